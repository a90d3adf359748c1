"""Data sets as people download them, read into records."""
