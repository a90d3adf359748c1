"""The image half of a model as one graph, for programs without this package."""
