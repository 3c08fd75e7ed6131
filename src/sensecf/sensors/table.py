"""From a folder of device files to the daily table, people in parallel, one at a time in each worker."""

from __future__ import annotations

import importlib
import math
import platform
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from joblib import cpu_count

from sensecf.core.errors import InputError
from sensecf.core.parallel import LOCAL, Engine, spread
from sensecf.data.card import Card
from sensecf.data.infer.catalogue import ENTRIES
from sensecf.data.privacy_gate import permission
from sensecf.sensors.cards import card_of
from sensecf.sensors.days.features import Wear, daily_rows
from sensecf.sensors.recording import Day
from sensecf.sensors.report import NothingUsedError, Report
from sensecf.sensors.source import Source
from sensecf.sensors.times import iso_day, zone

#: Modules of this package with `find(root, timezone, folders_are_people, report) -> sources` and
#: `read(source, report) -> Recording`. A new format is one such file.
FORMATS = tuple(
    path.stem
    for path in sorted((Path(__file__).parent / "formats").glob("*.py"))
    if "\ndef find(" in path.read_text(encoding="utf-8")
)

#: Lower edges of the bands of Garmin's stress score.
STRESS_BANDS = {"low": 26.0, "medium": 51.0, "high": 76.0}


#: One person's rows and what was left out of them.
_Person = tuple[list[Day], Report]


class Built(NamedTuple):
    """The table, one row per person and day; what was read and left out; what may be done with it.

    >>> people_written = sensecf.sensors.simulate(folder / "devices", people=2, days=2)
    >>> built = sensecf.sensors.build(folder / "devices", "aireadi", jobs=1)
    >>> len(built.table) > 0
    True
    """

    table: pd.DataFrame
    report: Report
    card: Card


def build(
    root: str | Path,
    format: str,
    *,
    stress_threshold: float = STRESS_BANDS["low"],
    keep_stress_mean: bool = False,
    heart_rate: bool = True,
    wear: Wear | None = None,
    timezone: str | None = None,
    day_first: bool | None = None,
    folders_are_people: bool = False,
    jobs: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    engine: Engine = LOCAL,
) -> Built:
    """Read the device files below `root` and compute one row per person and local day.

    Columns stand in the order of the catalogue; those nobody has a value for are left out.
    Where stress was measured there is the label `stress`: "high" on days whose mean valid score is
    at least `stress_threshold` (Garmin's bands begin at 26, 51 and 76). The mean itself is left out unless
    `keep_stress_mean`, because the label is computed from it; `heart_rate=False` also leaves out
    the heart rate columns, from which the score is computed. `timezone` (IANA) is for formats with
    UTC times that do not name one, and overrides it elsewhere. `day_first`: how dates such as 03/04 are read where a
    file does not settle it (such a file is left out otherwise). `jobs`: people at a time (default: one
    per processor). `progress(done, people)` is called after each person. `engine`: where files are
    read; the machines of a cluster must all see them below the same `root`.

    Bad files, records and readings are left out and counted in the report; they are no error.
    Raises `InputError` for an unknown format, when `root` holds no files of it, and when its card keeps
    the rows away from the engine's machines; `NothingUsedError` (one too) when no day comes of the files.

    >>> people_written = sensecf.sensors.simulate(folder / "watches", people=2, days=2)
    >>> "glucose_mean_mgdl" in sensecf.sensors.build(folder / "watches", "aireadi", jobs=1).table
    True
    """
    if format not in FORMATS:
        raise InputError(f"format {format!r} is unknown; use {', '.join(FORMATS)}")
    if not 1 <= stress_threshold <= 100:
        raise InputError(f"stress threshold {stress_threshold:g} must lie in 1 to 100 (Garmin's bands: 26, 51, 76)")
    if timezone is not None:
        zone(timezone)
    card = card_of(root, format)
    permission(engine.host, card, engine.allows)
    report = Report()
    root = Path(root).absolute()
    module = importlib.import_module(f"sensecf.sensors.formats.{format}")
    found: list[Source] = module.find(root, timezone, folders_are_people, report)
    sources = [replace(source, day_first=day_first) for source in found]
    report.seen["people"] += len(sources)
    workers = jobs if engine.address else min(jobs or cpu_count(), max(len(sources), 1))
    people: dict[int, _Person] = {}
    for position, person in spread(_one, sources, (root, format, wear or Wear()), workers=workers, engine=engine):
        people[position] = person
        if progress is not None:
            progress(len(people), len(sources))
    rows: list[Day] = []
    for position in range(len(sources)):
        mine, counted = people[position]
        rows += mine
        report.merge(counted)
    table = _table(rows, stress_threshold, keep_stress_mean, heart_rate)
    report.seen["rows"] += len(table)
    if table.empty:
        raise NothingUsedError(root, report)
    return Built(table, report, card)


def _one(shared: tuple[Path, str, Wear], source: Source) -> _Person:
    """One person's rows; runs in a worker, so that only one person's readings are in its memory."""
    root, format, wear = shared
    if not root.exists():  # else every file of the person would count as one that cannot be read
        raise InputError(f"{root} is not on {platform.node()}; every machine of the cluster must see it at that path")
    report = Report()
    module = importlib.import_module(f"sensecf.sensors.formats.{format}")
    recording = module.read(source, report)
    return daily_rows(recording, wear, report), report


def _table(rows: list[Day], threshold: float, keep_mean: bool, heart_rate: bool) -> pd.DataFrame:
    for row in rows:
        row["date"] = iso_day(row.pop("day"))
        mean = row.get("stress_mean", math.nan)
        if not math.isnan(mean):
            row["stress"] = "high" if mean >= threshold else "low"
    left_out = set() if keep_mean else {"stress_mean"}
    if not heart_rate:
        left_out |= {entry.name for entry in ENTRIES if entry.unit == "beats/min" or entry.name == "hrv_rmssd_ms"}
    present: set[str] = set().union(*rows)
    columns = [entry.name for entry in ENTRIES if entry.name in present and entry.name not in left_out]
    return pd.DataFrame(rows, columns=columns)
