"""How good a model is on a dataset: predictions on disk, figures of them, and a report."""
