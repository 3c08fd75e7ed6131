"""Damaged files of every format: no crash, no hang, and everything left out is counted.

The suite tries a few dozen per format; all of them: SENSECF_FUZZ=1000 pytest tests/sensors/test_sensors_fuzz.py
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from aireadi_files import MIDNIGHT, every, moves, points, stages, wear, write
from export_files import (
    apple,
    clarity,
    fitbit,
    fitbit_csv,
    garmin_account,
    garmin_csv,
    garmin_fit,
    libreview,
    oura,
    t1d_uom,
)

from sensecf.sensors import Built, Report, build, known_feature
from sensecf.sensors.cards import card_of
from sensecf.sensors.report import NothingUsedError

COUNT = int(os.environ.get("SENSECF_FUZZ", "40"))
#: Seconds one small file may take, on a slow and busy machine.
LIMIT = 20.0
#: Things that turn up where they should not.
TOKENS = (
    b"null", b"NaN", b"-1", b"1e999", b"99999999999999999999", b'""', b"[]", b"{}", b"true", b'"\\ud800"', b"\xff\xfe",
    b"\x00", b"0001-01-01T00:00:00", b"9999-12-31T23:59:59", b"2024-02-30", b"Low", b",", b"\n", b'"', b"<", b"&",
    b"-8",
)  # fmt: skip


def aireadi(root: Path) -> None:
    wear(root)
    write(root, "stress", points("stress", every(5), [30 + i % 50 for i in range(288)]))
    write(root, "glucose", points("glucose", every(5), ["Low" if i % 9 == 0 else 100 + i % 50 for i in range(288)]))
    write(root, "energy", points("energy", every(60), list(range(24))))
    write(root, "sleep", stages([(MIDNIGHT, 200, "light"), (MIDNIGHT.replace(hour=12), 100, "deep")]))
    write(root, "activity", moves([(m, 10, "walking", 70) for m in every(60)]))
    (root / "participants.tsv").write_text("person_id\tstudy_group\tage\n1001\thealthy\t50\n1002\thealthy\t51\n")
    (root / "clinical_data").mkdir()
    row = '1,1001,"bmi_vsorres, BMI",27.5\n'
    (root / "clinical_data" / "measurement.csv").write_text(
        "measurement_id,person_id,measurement_source_value,value_as_number\n" + row * 5
    )


def lifesnaps(root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    head = (
        "id,date,steps,minutesAsleep,minutesAwake,sleep_efficiency,bpm,resting_hr,rmssd,full_sleep_breathing_rate,"
        "spo2,stress_score,moderately_active_minutes,very_active_minutes"
    )
    rows = [
        f"{'ab'[i % 2]},2021-05-{1 + i:02d},{8000 + i},430,40,92,71.5,60.2,40.1,14.5,96.0,78,20,15" for i in range(20)
    ]
    (root / "daily_fitbit_sema_df_unprocessed.csv").write_text("\n".join([head, *rows]) + "\n")


def file(writer: Callable[[Path], None], name: str) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        writer(root / name)

    return make


FORMATS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "aireadi": ("aireadi", aireadi),
    "apple": ("apple", file(apple, "export.xml")),
    "dexcom": ("dexcom", file(clarity, "a.csv")),
    "fitbit": ("fitbit", fitbit),
    "fitbit-csv": ("fitbit", fitbit_csv),
    "garmin-fit": ("garmin", file(garmin_fit, "a.fit")),
    "garmin-account": ("garmin", garmin_account),
    "garmin-csv": ("garmin", garmin_csv),
    "lifesnaps": ("lifesnaps", lifesnaps),
    "libre": ("libre", file(libreview, "a.csv")),
    "oura": ("oura", oura),
    "t1d_uom": ("t1d_uom", t1d_uom),
}


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """One to four of: cut off, bytes changed, a piece lost, doubled or replaced by a token."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        if not out:
            break
        at = int(rng.integers(len(out)))
        length = int(min(rng.geometric(0.1), len(out) - at))
        match int(rng.integers(6)):
            case 0 if rng.random() < 0.3:
                del out[at:]
            case 1:
                for k in rng.integers(0, len(out), 5):
                    out[int(k)] = int(rng.integers(256))
            case 2:
                del out[at : at + length]
            case 3:
                out[at:at] = out[at : at + 20 * length]
            case _:
                out[at : at + length] = TOKENS[int(rng.integers(len(TOKENS)))]
    return bytes(out)


@pytest.fixture(params=FORMATS)
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str, Path]:
    name = request.param
    form, make = FORMATS[name]
    if name == "garmin-fit":
        pytest.importorskip("fitdecode", reason="needs the extra 'fit'")
    make(tmp_path / "root")
    return name, form, tmp_path / "root"


def test_damaged_files_never_crash_or_hang_and_losses_are_said(golden: tuple[str, str, Path]) -> None:
    name, form, root = golden
    whole = attempt(root, form)
    files = sorted(path for path in root.rglob("*") if path.is_file())
    rng = np.random.default_rng(7)
    for case in range(COUNT):
        path = files[int(rng.integers(len(files)))]
        original = path.read_bytes()
        path.write_bytes(mutate(original, rng))
        begun = time.monotonic()
        try:
            built = attempt(root, form)
        except Exception as error:  # the case is named, whatever the error is
            raise AssertionError(f"{name}, case {case}, {path.name}: {error!r}") from error
        finally:
            damaged = path.read_bytes()
            path.write_bytes(original)
        assert time.monotonic() - begun < LIMIT, f"{name}, case {case}"
        for column in built.table.columns:
            entry = known_feature(column)
            assert entry is not None
            if entry.low is not None:
                values = built.table[column].dropna()
                assert values.between(entry.low, entry.high).all(), f"{name}, case {case}, {column}"
        if lost(built.report) < lost(whole.report):
            # Less was reported left out than in the whole file only where less was there to be left out.
            assert len(damaged) != len(original) or built.report.seen != whole.report.seen, f"{name}, case {case}"


def attempt(root: Path, form: str) -> Built:
    """The build; an empty one where it refuses because nothing could be used."""
    try:
        return build(root, form, jobs=1, keep_stress_mean=True)
    except NothingUsedError as error:
        return Built(pd.DataFrame(), error.report, card_of(root, form))


def lost(report: Report) -> int:
    return sum(report.rejected.values())


@pytest.mark.parametrize("name", ["dexcom", "libre"])
def test_every_row_of_a_damaged_glucose_file_is_a_reading_or_accounted_for(name: str, tmp_path: Path) -> None:
    form, make = FORMATS[name]
    make(tmp_path)
    path = next(tmp_path.iterdir())
    original, rng = path.read_bytes(), np.random.default_rng(3)
    for case in range(COUNT):
        path.write_bytes(mutate(original, rng))
        report = attempt(tmp_path, form).report
        if report.count("file") == 0:
            accounted = (
                report.seen["readings"] + report.count("record") + report.count("reading") + sum(report.notes.values())
            )
            assert accounted == report.seen["records"], f"case {case}"


def test_every_record_of_a_damaged_stress_file_is_a_reading_or_accounted_for(tmp_path: Path) -> None:
    records = points("stress", every(5), [30 + i % 50 for i in range(288)])
    path = write(tmp_path, "stress", records)
    original, rng = path.read_bytes(), np.random.default_rng(3)
    for case in range(COUNT):
        path.write_bytes(mutate(original, rng))
        report = attempt(tmp_path, "aireadi").report
        accounted = report.seen["readings"] + report.count("record") + report.count("reading")
        assert accounted == report.seen["records"], f"case {case}"
