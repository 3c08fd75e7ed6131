"""One file per command of `sensecf`; `cli` imports a file when its command is asked for."""
