"""The version of the package."""

__version__ = "0.1.0"

#: The format of schema files and of run folders. It grows when files of before can no longer be read as they are.
FORMAT = 1
