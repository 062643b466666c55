"""Annotations: ELAN files and text, read and written by their ending."""
