"""CSV exports of glucose sensors, read by their structure: any language, delimiter, date and number format.

A header row is the first with a unit of glucose (or its word) and no number; the time is the column whose cells
are dates with a time of day, or a date and a clock beside each other. What differs between makers is which rows hold
readings of the sensor: that is told by a column of record types (LibreView), of events (Clarity), or by the
column of the sensor alone (CareLink).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sensecf.core.rules import Bools, Floats
from sensecf.data.numerals import Marks, number, split
from sensecf.sensors.formats.exportwords import ABOVE, BELOW, GLUCOSE, MGDL, MMOL, has_unit, means, no_sensor, plain
from sensecf.sensors.recording import Recording, make_signal
from sensecf.sensors.report import Report
from sensecf.sensors.source import MGDL_PER_MMOL, Source, column, find_files, read_rows
from sensecf.sensors.times import CLOCK, DATE, STAMP, Ints, parse_wall

#: Rows among which the header is looked for, and by which the content of a column is judged.
HEAD_ROWS, SAMPLE = 60, 400
#: Medians of glucose on either side of this are of mmol/L and of mg/dL: nobody's is 30 of either.
BETWEEN_UNITS = 30.0
_NUMBER = re.compile(r"[<>]?\s*\d+(?:[.,]\d+)?")
_DATE, _CLOCK = re.compile(DATE), re.compile(CLOCK, re.IGNORECASE)
_CODES = {"0", "1", "2", "3", "4", "5", "6"}


@dataclass(frozen=True)
class Sheet:
    """One table of an export: plain header cells, rows below them, text above them, and columns by what they hold.

    `glucose`: the columns that may hold readings, `time`: one column, or date and clock; `record`, `event`: None
    when absent.
    """

    head: list[str]
    body: list[list[str]]
    above: list[str]
    glucose: tuple[int, ...]
    time: tuple[int, ...]
    record: int | None
    event: int | None

    @property
    def maker(self) -> str:
        """The format whose export this looks like, or ""."""
        if self.record is not None:
            return "libre"
        if any("isig" in cell for cell in self.head) or (
            len(self.time) == 2 and any(means(c, "sensor") for c in self.head)
        ):
            return "carelink"
        return "dexcom" if self.event is not None else ""


#: Which rows hold readings, and in which column: masks (n,) and positions. The rest is counted in the report.
Select = Callable[[Sheet, Report, str], list[tuple[Bools, int]]]


def csv_people(root: Path, folders_are_people: bool, expected: str) -> list[Source]:
    """Sources of formats that have one CSV file per person, or with `folders_are_people` one folder."""
    if root.is_file():
        return [Source(root.stem, {"glucose": (root,)})]
    patterns = {"glucose": ("*.[cC][sS][vV]", "*.[tT][sS][vV]")}
    sources = find_files(root, patterns, "UTC", folders_are_people, expected)
    if folders_are_people:
        return sources
    return [Source(path.stem, {"glucose": (path,)}) for path in sources[0].files["glucose"]]


def read_export(source: Source, report: Report, form: str, select: Select, limits: tuple[float, float]) -> Recording:
    """The glucose trace of one person; `limits`: mg/dL for what the sensor writes below and above its range.

    Bad files and rows are counted in the report.
    """
    times: list[Ints] = []
    values: list[Floats] = []
    for path in source.files["glucose"]:
        rows = read_rows(path, report)
        found = sheets(rows) if rows else []
        if rows and not found:
            report.reject("file", "no header row with a time and a glucose column", path.name)
        for sheet in found:
            if sheet.maker not in ("", form):
                report.reject("file", f"an export of another maker: try --format {sheet.maker}", path.name)
                continue
            # Dates elsewhere in the file may settle the order of day and month.
            others = {text.split(" ")[0] for other in found for text in column(other.body, other.time[0])}
            try:
                _read_sheet(
                    replace(sheet, above=[*sheet.above, *others]),
                    source.day_first,
                    (report, path.name),
                    select,
                    limits,
                    times,
                    values,
                )
            except ValueError as error:  # dates or unit that cannot be settled
                report.reject("file", str(error), path.name)
    recording = Recording(source.person)
    if times:
        where = source.files["glucose"][0].name
        signal = make_signal("glucose", np.concatenate(times), np.concatenate(values), report, where)
        if signal is not None:
            recording.signals["glucose"] = signal
    return recording


def _read_sheet(
    sheet: Sheet,
    day_first: bool | None,
    place: tuple[Report, str],
    select: Select,
    limits: tuple[float, float],
    times: list[Ints],
    values: list[Floats],
) -> None:
    """Append times and values of one table. Raises `ValueError` when its dates or its unit cannot be settled."""
    report, where = place
    if _split_decimals(sheet):
        raise ValueError("decimal commas between cells that commas separate: export with semicolons, or quote numbers")
    stamps = [" ".join(cells) for cells in zip(*(column(sheet.body, i) for i in sheet.time), strict=True)]
    seconds = parse_wall(stamps, day_first, sheet.above)
    counted = Report()
    parts = [(mask, i, mgdl(sheet, i, mask, limits)) for mask, i in select(sheet, counted, where)]
    counted.seen["records"] += len(sheet.body)
    report.merge(counted)
    for mask, _, glucose in parts:
        times.append(seconds[mask])
        values.append(glucose)


def _split_decimals(sheet: Sheet) -> bool:
    """Whether most values continue in the next cell of rows that are longer than the header."""
    rows = [row for row in sheet.body if len(row) > sheet.glucose[0] + 1 and row[sheet.glucose[0]]]
    split = [row for row in rows if len(row) > len(sheet.head) and row[sheet.glucose[0] + 1].isdigit()]
    return len(split) > len(rows) / 2


def mgdl(sheet: Sheet, index: int, mask: Bools, limits: tuple[float, float]) -> Floats:
    """Glucose of the masked rows in mg/dL, from either unit. Raises `ValueError` when header and values disagree."""
    texts, where = np.unique(np.array(column(sheet.body, index), dtype=str)[mask], return_inverse=True)
    cells = [split(text) for text in texts.tolist()]
    words, bounds = [plain(text) for text in texts], ["" if cell is None else cell.bound for cell in cells]
    low = np.isin(words, list(BELOW)) | (np.array(bounds, dtype=str) == "<")
    high = np.isin(words, list(ABOVE)) | (np.array(bounds, dtype=str) == ">")
    # No glucose has thousands: whichever mark stands there is the decimal one.
    numbers = np.array(
        [np.nan if c is None else number(c.number, Marks("," if "," in c.number else ".")) for c in cells], dtype=float
    )
    usual = (np.isfinite(numbers) & (numbers > 0) & ~low & ~high)[where]
    median = float(np.median(numbers[where][usual])) if usual.any() else np.nan
    unit = sheet.head[index] if has_unit(sheet.head[index]) else next((c.unit for c in cells if c and c.unit), "")
    mmol = bool(MMOL.search(unit)) or (not MGDL.search(unit) and bool(median < BETWEEN_UNITS))
    if usual.sum() >= 10 and mmol != (median < BETWEEN_UNITS):
        said, meant = ("mmol/L", "mg/dL") if mmol else ("mg/dL", "mmol/L")
        raise ValueError(f"the header says {said}, the values are {meant} (median {median:.4g}): correct the header")
    return np.select([low, high], [limits[0], limits[1]], numbers * (MGDL_PER_MMOL if mmol else 1.0))[where]


# --- structure --------------------------------------------------------------------------------


def sheets(rows: list[list[str]]) -> list[Sheet]:
    """The tables of an export, one below the other, each with a header of its own; none when there is no header."""
    first = next((i for i, row in enumerate(rows[:HEAD_ROWS]) if _is_header(row, has_unit, 2)), None)
    if first is None:
        first = next((i for i, row in enumerate(rows[:HEAD_ROWS]) if _is_header(row, _names_glucose, 2)), None)
    if first is None:
        return []
    above = [cell for row in rows[:first] for cell in row]
    key = rows[first][:2]
    starts = [
        first,
        *(i for i in range(first + 1, len(rows)) if rows[i][:2] == key and _is_header(rows[i], has_unit, 2)),
    ]
    out = []
    for start, end in zip(starts, [*starts[1:], len(rows)], strict=True):
        # CareLink rules off its tables with a row of dashes.
        body = [row for row in rows[start + 1 : end] if any(row) and not row[0].startswith("-----")]
        sheet = _sheet(rows[start], body, above)
        if sheet is not None:
            out.append(sheet)
    return out


def _is_header(row: Sequence[str], named: Callable[[str], bool], cells: int) -> bool:
    filled = [cell for cell in row if cell]
    return (
        len(filled) >= cells
        and any(named(cell) and len(cell) < 80 for cell in filled)
        and not any(_NUMBER.fullmatch(cell) or _DATE.match(cell) for cell in filled)
    )


def _names_glucose(cell: str) -> bool:
    return any(stem in plain(cell) for stem in GLUCOSE)


def _sheet(header: list[str], body: list[list[str]], above: list[str]) -> Sheet | None:
    head = [plain(cell) for cell in header]
    sample = body[:: max(1, len(body) // SAMPLE)]
    columns = {i: [cell for cell in column(sample, i) if cell] for i in range(len(head))}
    glucose = [i for i, cell in enumerate(head) if has_unit(cell) and not no_sensor(cell)]
    glucose = glucose or [i for i, cell in enumerate(head) if _names_glucose(cell) and not no_sensor(cell)]
    stamps, dates, clocks = (
        {i: sum(bool(shape.fullmatch(cell)) for cell in cells) for i, cells in columns.items()}
        for shape in (STAMP, _DATE, _CLOCK)
    )
    when, date, clock = (max(counts, key=lambda i: counts[i]) for counts in (stamps, dates, clocks))
    pair = min(dates[date], clocks[clock])
    if not glucose or (sample and not max(stamps[when], pair)):
        return None
    time = (when,) if stamps[when] >= pair else (date, clock)
    record = next((i for i, cell in enumerate(head) if means(cell, "record")), None)
    if record is None and len(time) == 1:
        record = next(
            (
                i
                for i, cells in columns.items()
                if i not in glucose and len(cells) > 0.9 * len(sample) and cells and set(cells) <= _CODES
            ),
            None,
        )
    event = next((i for i, cell in enumerate(head) if means(cell, "event")), None)
    if event is None and record is None:
        event = _events(columns, column(sample, glucose[0]), len(sample))
    return Sheet(head, body, above, tuple(glucose), time, record, event)


def _events(columns: dict[int, list[str]], glucose: list[str], n: int) -> int | None:
    """The first column of few different words of which one stands where glucose does: events, in any language."""
    for i, cells in columns.items():
        kinds = Counter(cells)
        texts = not any(_NUMBER.fullmatch(cell) or _DATE.match(cell) for cell in kinds)
        if texts and len(cells) > 0.9 * n and 2 <= len(kinds) <= 20 and len(cells) == n:
            inside = Counter(cell for cell, value in zip(cells, glucose, strict=True) if value)
            if inside and inside.most_common(1)[0][1] > 0.9 * sum(inside.values()):
                return i
    return None
