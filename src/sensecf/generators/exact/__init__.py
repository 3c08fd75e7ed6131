"""The proven least change for linear models and trees."""
