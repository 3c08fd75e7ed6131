"""The embedded language model: its vocabulary, training and sampling."""
