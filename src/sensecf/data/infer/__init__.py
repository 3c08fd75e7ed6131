"""What a table's columns are, guessed from names and values."""
