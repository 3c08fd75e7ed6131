"""One module for each maker's files."""
