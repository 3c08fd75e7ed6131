"""The ways to a language model: servers, this process, files of batches, replays."""
