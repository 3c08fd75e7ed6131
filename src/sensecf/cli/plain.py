"""Text of other people's making on the terminal."""

from __future__ import annotations

from typing import Any


def plain(value: Any) -> Any:
    """A cell of a table as text that is printed as it stands: no markup, no control characters."""
    from rich.text import Text

    return Text("".join(c if c.isprintable() else "�" for c in str(value)))
