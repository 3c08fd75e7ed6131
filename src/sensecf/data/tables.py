"""Tables from CSV and Parquet files: read as they are meant, or refused with a remedy.

What counts as blank in a CSV file: an empty field and the other `BLANKS`. The words of
`BLANKS_AMONG_NUMBERS` are blank only in a column that otherwise holds numbers: in a column of
words, "None" is a level (no sleep disorder, no medication) and stays one. How numbers, identifiers and
dates are told apart is in `columns`.
"""

from __future__ import annotations

import csv
import difflib
import io
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sensecf.core.codec import EXACT, check_numbers, check_single
from sensecf.core.errors import InputError, MissingExtraError, TableWarning
from sensecf.core.files import refuse_pipe
from sensecf.core.rules import Floats
from sensecf.core.schema import FeatureSchema
from sensecf.data.columns import (
    BLANKS,
    BLANKS_AMONG_NUMBERS,
    FEW_WORDS,
    Columns,
    Wanted,
    like_identifier,
    refuse_words,
    spellings,
)
from sensecf.data.encodings import check_encoding, decode
from sensecf.data.infer.names import is_identifier, parse_names, words_of
from sensecf.data.numerals import DECIMALS, THOUSANDS, Marks, begins_as_number, split

__all__ = ["BLANKS", "BLANKS_AMONG_NUMBERS", "EXACT"]
#: What a person may say of how a file is written: arguments of `read_table`.
MARKS = ("decimal", "thousands", "encoding")
#: A label with more distinct numbers than this is a measurement, not a class.
MAX_NUMBER_CLASSES = 20
#: A label with more distinct words than this is free text, not a class.
MAX_WORD_CLASSES = 50
#: A table of more cells than this is not read whole: a small Parquet file can unfold to any size.
MAX_CELLS = 100_000_000

_CSV_SUFFIXES = (".csv", ".tsv", ".txt")
_PARQUET_SUFFIXES = (".parquet", ".pq")
# From pandas 3.1 on every float is read exactly, and asking for it is deprecated.
_EXACT_FLOATS: dict[str, Any] = (
    {} if tuple(map(int, pd.__version__.split(".")[:2])) >= (3, 1) else {"float_precision": "round_trip"}
)


def read_table(
    path: str | Path,
    schema: FeatureSchema | None = None,
    *,
    decimal: str = "",
    thousands: str = "",
    encoding: str = "",
    merge_spellings: bool = False,
) -> pd.DataFrame:
    """The table in a CSV (comma, semicolon, tab or bar) or Parquet file.

    Numbers are parsed exactly as written; whole numbers without blanks are integers, "true" and
    "false" are booleans, and everything else is text. Spaces around names and values are dropped.
    A named Parquet index becomes a column.

    Which marks stand before decimals and between thousands is inferred from the whole file; `decimal` ("." or ",")
    and `thousands` (",", ".", " " or "'") state it. Units and % behind numbers, durations (in minutes) and blood
    pressures (two columns) are read as numbers; `frame.attrs["units"]` has the units. Identifiers stay text
    where digits would make one of two ("1", "01"), numbers that are dates become dates. A `TableWarning` says
    what was done. `schema`: what the columns are, where that is known: its numbers must be numbers, its group is
    text, other columns are nobody's business. `merge_spellings`: levels that differ in case and blanks
    only become the most frequent one. Text is UTF-8 (or UTF-16 with its mark at the start) unless `encoding` names
    another one ("cp1252": what Excel in Western Europe saves as plain CSV).

    Raises `InputError` for a file that is absent, empty, not in its encoding, not a table or larger than `MAX_CELLS`,
    for numbers with two readings, and for words among measured numbers; `MissingExtraError` for Parquet without
    pyarrow.

    >>> train.to_csv(folder / "days.csv", index=False)
    >>> sensecf.read_table(folder / "days.csv", data.schema).shape == train.shape
    True
    """
    path = Path(path)
    suffix = path.suffix.lower()
    wanted = Wanted(schema, _stated(decimal, thousands), merge_spellings)
    check_encoding(encoding)
    if not path.exists():
        raise InputError(f"{path} does not exist; check the path of the table")
    if path.is_dir():
        raise InputError(f"{path} is a folder; name one CSV or Parquet file in it")
    if suffix not in _CSV_SUFFIXES + _PARQUET_SUFFIXES:
        raise InputError(f"{path}: the suffix {suffix!r} is unknown; save the table as .csv or .parquet")
    refuse_pipe(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if not content.strip():
        raise InputError(f"{path} is empty; it needs a header line and rows")
    if suffix in _PARQUET_SUFFIXES:
        frame, columns = _read_parquet(path, content, wanted)
    else:
        frame, columns = _read_csv(path, decode(path, content, encoding), wanted)
    if frame.empty:
        raise InputError(f"{path} has a header but no rows; add the rows or name another file")
    for remark in columns.remarks:
        warnings.warn(remark, TableWarning, stacklevel=2)
    return frame


def _stated(decimal: str, thousands: str) -> Marks | None:
    """The marks that a person states. Raises `InputError` for marks that no number is written with."""
    if decimal not in ("", *DECIMALS):
        raise InputError(f"decimal mark {decimal!r} is unknown; use one of {' '.join(DECIMALS)}")
    if thousands not in ("", *THOUSANDS):
        raise InputError(f"thousands mark {thousands!r} is unknown; use one of {', '.join(map(repr, THOUSANDS))}")
    if decimal and decimal == thousands:
        raise InputError(f"{decimal!r} cannot be the decimal and the thousands mark; state one of them")
    return Marks(decimal, thousands) if decimal or thousands else None


def read_parts(
    path: str | Path, rows: int, schema: FeatureSchema | None = None, **marks: str
) -> Iterator[pd.DataFrame]:
    """The table of `read_table` in parts of at most `rows` rows, numbered throughout.

    Of a Parquet file no more than a part and a row group are in memory; any other file, and one in which numbers
    of the schema are no numbers yet, is read whole: how a number is written shows in the whole file.
    Raises what `read_table` raises.
    """
    path = Path(path)
    begin = 0
    parts = _is_parquet(path) and _has_numbers(path, schema)
    whole = () if parts else (read_table(path, schema, merge_spellings=False, **marks),)
    for frame in _parquet_parts(path, rows) if parts else whole:
        for first in range(0, len(frame), rows):
            part = frame.iloc[first : first + rows]
            part.index = pd.RangeIndex(begin, begin + len(part))
            begin += len(part)
            yield part
    if not begin:
        raise InputError(f"{path} has a header but no rows; add the rows or name another file")


def check_names(names: Iterable[Any], where: str = "the table") -> list[str]:
    """Column names as text, stripped. Raises `InputError` for a name that is empty or used twice."""
    texts = [str(name).strip() for name in names]
    for position, text in enumerate(texts, start=1):
        if not text:
            raise InputError(f"{where}: column {position} has no name; name it, or drop it if it only counts the rows")
    twice = sorted(text for text, times in Counter(texts).items() if times > 1)
    if twice:
        at = [str(i) for i, text in enumerate(texts, start=1) if text == twice[0]]
        places = ", ".join(at[:5]) + (" ..." if len(at) > 5 else "")
        raise InputError(f"{where}: column {twice[0]!r} occurs more than once (columns {places}); rename or drop one")
    return texts


def check_label(frame: pd.DataFrame, label: str) -> tuple[pd.DataFrame, int]:
    """The rows that have a label, ready to train on, and how many had none and were dropped.

    The label column comes back as plain booleans, integers, floats or text, so that classes read
    from it compare equal whatever dtype the table had (0.0 and 1.0 with blanks become 0 and 1).
    Raises `InputError` for a label that is no column, has no value or one class, or is a
    measurement or free text instead of classes.
    """
    if label not in frame.columns:
        close = difflib.get_close_matches(label, [str(name) for name in frame.columns], n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"the columns are {', '.join(map(str, frame.columns))}"
        raise InputError(f"the table has no column {label!r} to use as label; {hint}")
    column = frame[label]
    if isinstance(column, pd.DataFrame):
        raise InputError(f"the table has the column {label!r} twice; rename or drop one")
    check_single(column)
    known = column.notna()
    kept = frame if known.all() else frame[known]
    values = _plain(kept[label])
    classes = values.unique().tolist()
    if len(classes) == 0:
        raise InputError(f"label {label!r} has no value in any row; name another column")
    if len(classes) == 1:
        raise InputError(f"label {label!r} has one class only ({classes[0]!r}); add rows of another class")
    if values.dtype.kind in "iuf":
        whole = values.dtype.kind in "iu"
        check_values(kept, [label])
        if len(classes) > MAX_NUMBER_CLASSES or (not whole and len(classes) > max(2, len(values) // 2)):
            middle = float(np.median(values.to_numpy(dtype=float)))
            raise InputError(
                f"label {label!r} has {len(classes)} distinct numbers, so it is a measurement; "
                f"make classes of it first, for instance 1 where {label} >= {middle:g} and 0 elsewhere"
            )
    elif len(classes) > MAX_WORD_CLASSES or (len(classes) == len(values) and len(values) > 2):
        raise InputError(
            f"label {label!r} has {len(classes)} distinct values in {len(values)} rows (such as {classes[0]!r}), "
            f"so it is no class; name another column or group the values into at most {MAX_WORD_CLASSES} classes"
        )
    return kept.assign(**{label: values}), len(frame) - len(kept)


def check_values(frame: pd.DataFrame, names: Sequence[str]) -> None:
    """Raise `InputError` for a number that no classifier takes, or for stray words in a column of measured numbers.

    A `TableWarning` names a column that looks like numbers and stays text, and levels that differ in spelling only.
    """
    for name in names:
        column = frame[name]
        check_single(column)
        if isinstance(column.dtype, pd.CategoricalDtype) or pd.api.types.is_bool_dtype(column.dtype):
            continue
        numbers = numbers_in(column)
        if numbers is None:
            continue
        check_numbers(column, numbers)
        known = column.notna().to_numpy()
        refuse_words(column, numbers[~np.isnan(numbers)], np.isnan(numbers) & known)
        if np.isnan(numbers[known]).any():
            _say_text(column)


def _say_text(column: pd.Series[Any]) -> None:
    """Warn where text looks like numbers, or where levels differ in spelling only."""
    texts = [value for value in column.dropna().unique() if isinstance(value, str)]
    numbers = [text for text in texts if (cell := split(text)) is not None and not cell.bound]
    counted = column.isin(numbers).sum()
    identifies = is_identifier(words_of(str(column.name))) or like_identifier(texts) is not None
    like = [] if identifies else [text for text in texts if begins_as_number(text)]
    if 4 * counted >= column.notna().sum():
        other = next((text for text in texts if text not in set(numbers)), None)
        beside = "" if other is None else f" beside {other!r}"
        warnings.warn(
            f"column {column.name!r} has numbers such as {numbers[0]!r}{beside} and is taken as text, not as numbers",
            TableWarning,
            stacklevel=3,
        )
    elif (
        len(like) > FEW_WORDS and 2 * column.isin(like).sum() >= column.notna().sum()
    ):  # fewer are levels, such as ages
        warnings.warn(
            f"column {column.name!r} has values such as {like[0]!r} and is taken as text, not as numbers; "
            "if they are numbers, write them plainly",
            TableWarning,
            stacklevel=3,
        )
    alike = spellings(column)
    if alike:
        some = ", ".join(f"{level!r} like {kept!r}" for level, kept in list(alike.items())[:3])
        warnings.warn(
            f"column {column.name!r} has values that differ in spelling only ({some}); "
            "say --merge-spellings (in Python read_table(..., merge_spellings=True)) to make them one",
            TableWarning,
            stacklevel=3,
        )


def numbers_in(column: pd.Series[Any]) -> Floats | None:
    """The values as floats, NaN where a value is blank or no number; None for dates and the like.

    Text with leading zeros or the exponents of identifiers is no number.
    """
    if pd.api.types.is_numeric_dtype(column.dtype):
        if column.dtype.kind == "c":
            return None
        return column.to_numpy(dtype=float, na_value=np.nan)
    if pd.api.types.is_object_dtype(column.dtype) or pd.api.types.is_string_dtype(column.dtype):
        texts = (value.strip() for value in column.dropna().unique() if isinstance(value, str))
        if like_identifier(texts) is not None:
            return np.full(len(column), np.nan)
        numbers: Floats = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
        return numbers
    return None


def _plain(column: pd.Series[Any]) -> pd.Series[Any]:
    """A column without blanks in its plainest dtype: bool, int64, float64 or text."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    values = [value.item() if isinstance(value, np.generic) else value for value in column.tolist()]
    if all(isinstance(value, bool) for value in values):
        return pd.Series(values, index=column.index, dtype=bool)
    if pd.api.types.is_numeric_dtype(column.dtype) or all(isinstance(v, int | float) for v in values):
        numbers = np.array(values, dtype=float)
        whole = np.isfinite(numbers).all() and (numbers == np.round(numbers)).all()
        return pd.Series([int(v) for v in values] if whole else numbers, index=column.index)
    return pd.Series([str(value) for value in values], index=column.index)


# --- Parquet ------------------------------------------------------------------------------------


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() in _PARQUET_SUFFIXES and path.is_file()


def _has_numbers(path: Path, schema: FeatureSchema | None) -> bool:
    """Whether no feature that the schema calls a number is text in the file, or absent."""
    with _reading_parquet(path):
        import pyarrow.parquet as pq

        with pq.ParquetFile(path) as file:
            kinds = {field.name.strip(): str(field.type) for field in file.schema_arrow}
    wanted = () if schema is None else [f.name for f in schema.features if f.numeric]
    return not any(kinds.get(name, "string") in ("string", "large_string", "string_view") for name in wanted)


def _parquet_parts(path: Path, rows: int) -> Iterator[pd.DataFrame]:
    with _reading_parquet(path):
        import pyarrow as pa
        import pyarrow.parquet as pq

        with pq.ParquetFile(path) as file:
            held: list[Any] = []
            for batch in file.iter_batches(batch_size=rows):
                held.append(batch)
                # Small row groups are put together: every part has work for all workers.
                if sum(map(len, held)) >= rows:
                    yield _with_names(path, pa.Table.from_batches(held).to_pandas())
                    held = []
            if held:
                yield _with_names(path, pa.Table.from_batches(held).to_pandas())


def _read_parquet(path: Path, content: bytes, wanted: Wanted) -> tuple[pd.DataFrame, Columns]:
    with _reading_parquet(path):
        import pyarrow.parquet as pq

        with pq.ParquetFile(io.BytesIO(content)) as file:
            _check_size(path, file.metadata.num_rows, file.metadata.num_columns)
        frame = _with_names(path, pd.read_parquet(io.BytesIO(content), engine="pyarrow"))
    columns = Columns(str(path), parse_names(frame.columns), wanted)
    return columns.read(frame, None, "."), columns


def _check_size(path: Path, rows: int, columns: int) -> None:
    if rows * columns > MAX_CELLS:
        raise InputError(
            f"{path} holds {rows:,} rows of {columns} columns, more than the {MAX_CELLS:,} cells read at once; "
            "take a part of it (`sensecf answer` reads Parquet of any length part by part)"
        )


@contextmanager
def _reading_parquet(path: Path) -> Iterator[None]:
    """Errors of the reader as ours."""
    try:
        yield
    except InputError:
        raise
    except ImportError:
        raise MissingExtraError(
            f"{path}: reading Parquet needs pyarrow; run pip install 'sensecf[parquet]' or save the table as CSV"
        ) from None
    # Which are pyarrow's own too.
    except (ValueError, TypeError, KeyError, OSError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} is no readable Parquet file ({reason}); write it again or use CSV") from error


def _with_names(path: Path, frame: pd.DataFrame) -> pd.DataFrame:
    """A frame from Parquet, a named index made a column."""
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    frame.columns = pd.Index(check_names(frame.columns, str(path)))
    return frame.reset_index(drop=True)


# --- CSV ----------------------------------------------------------------------------------------


def _read_csv(path: Path, text: str, wanted: Wanted) -> tuple[pd.DataFrame, Columns]:
    delimiter = _delimiter(text)
    names, rows = _check_shape(path, text, delimiter)
    _check_size(path, rows, len(names))
    columns = Columns(str(path), parse_names(names), wanted)
    if rows == 0:
        return pd.DataFrame(columns=pd.Index(names)), columns

    def parse(**options: Any) -> pd.DataFrame:
        return pd.read_csv(
            io.StringIO(text),
            sep=delimiter,
            header=0,
            names=names,
            index_col=False,
            na_values=sorted(BLANKS),
            keep_default_na=False,
            skipinitialspace=True,
            low_memory=False,
            **options,
        )

    frame = parse(**_EXACT_FLOATS)
    # Digits that may be an identifier: 007, 00E1, 12E3.
    odd = re.search(rf'(?:^|[{delimiter}"\n]) *[+-]?(?:0[0-9]+|[0-9]+[eE][0-9]+) *(?:[{delimiter}"\n]|$)', text)
    assume = "." if delimiter == "," else ""
    return columns.read(frame, lambda some: parse(usecols=some, dtype=str), assume, odd is not None), columns


def _delimiter(text: str) -> str:
    """Comma, semicolon, tab or bar: the one that cuts the first lines into most columns, all alike."""
    lines = [line for line in io.StringIO(text[:100_000]) if line.strip()][:50]

    def score(delimiter: str) -> tuple[bool, bool, int]:
        widths = [len(row) for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=True)]
        return widths[0] > 1, len(set(widths)) == 1, widths[0]

    return max((",", ";", "\t", "|"), key=score)


def _check_shape(path: Path, text: str, delimiter: str) -> tuple[list[str], int]:
    """The column names and the number of rows. Raises `InputError` where a row has more or fewer fields."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    names: list[str] = []
    rows = 0
    try:
        for row in reader:
            if not row or (len(row) == 1 and not row[0].strip()):
                continue
            if not names:
                names = check_names(row, str(path))
            elif len(row) != len(names):
                raise InputError(
                    f"{path}, line {reader.line_num}: {len(row)} field(s) where the header has {len(names)}; "
                    f"mend the line (text that holds {delimiter!r} needs quotes)"
                )
            else:
                rows += 1
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: {error}; check the quotes there") from error
    return names, rows
