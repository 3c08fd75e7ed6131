"""A language model asked in words."""
