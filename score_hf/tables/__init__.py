"""The paper's tables: their numbers, and the trainings and evaluations that repeat them."""
