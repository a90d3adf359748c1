"""Data sets as people download them, brought to one schema in Parquet."""
