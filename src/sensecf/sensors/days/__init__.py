"""Recordings to days: one number a day for each feature."""
