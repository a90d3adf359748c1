"""Checkpoints of the original code, which is built on detectron2, become models, and back."""
