"""The demo: a visitor's picture and class names to views, tables, explanations and files."""
