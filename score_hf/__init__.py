"""SCORE: open-vocabulary instance segmentation of aerial images, for Transformers."""
