"""`python -m sensecf.cli`: the command `sensecf`."""

from sensecf.cli import main

main()
