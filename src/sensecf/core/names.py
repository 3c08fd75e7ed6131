"""Names in one text, as options of a command line and cells of a table give them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable


def split_names(text: str, mark: str = ",") -> tuple[str, ...]:
    """Names separated by commas (`mark`); one that holds a comma stands in double quotes."""
    fields = next(csv.reader([text], delimiter=mark, skipinitialspace=True), [])
    return tuple(name.strip() for name in fields if name.strip())


def join_names(names: Iterable[str], mark: str = ",") -> str:
    """The inverse of `split_names`."""
    out = io.StringIO()
    csv.writer(out, delimiter=mark, lineterminator="").writerow(names)
    return out.getvalue()
