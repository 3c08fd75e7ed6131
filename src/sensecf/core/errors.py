"""The errors that SenseCF raises on purpose; every other exception is a bug."""

from __future__ import annotations


class SenseCFError(Exception):
    """Base of all deliberate errors.

    >>> issubclass(sensecf.InputError, sensecf.SenseCFError)
    True
    """


class InputError(SenseCFError, ValueError):
    """Something the user gave cannot be used.

    The message is one line: what was wrong, where (column, row, value) and what to do.
    The command line prints it and ends with exit status 2.

    >>> try:
    ...     sensecf.Limits(max_changes=-1)
    ... except sensecf.InputError as error:
    ...     print(error)
    max_changes must be a whole number of at least 1, not -1
    """


class SenseCFWarning(UserWarning):
    """What a person should know; the command line prints it as one line on stderr, once."""


class TableWarning(SenseCFWarning):
    """What a person should know of how a table was read."""


class LimitsWarning(SenseCFWarning):
    """What a person should know of what the answers may change."""


class MissingExtraError(InputError):
    """An optional dependency is needed and absent; the message names the extra to install."""


def one_line(error: BaseException) -> str:
    """An exception as one line of text: its type and its message."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
