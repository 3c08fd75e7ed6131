"""A table comes in: reading, preparing, cards, splits, guesses of a schema."""
