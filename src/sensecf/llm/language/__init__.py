"""A question and its answer in words: prompts, wording, replies."""
