"""Reads the tensors of files that strangers have written."""
