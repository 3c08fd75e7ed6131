"""Timestamps: fast and slow reading agree, and wall clocks are those of the zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sensecf.core.errors import InputError
from sensecf.sensors.recording import make_signal, make_spans, split_at_midnight
from sensecf.sensors.report import Report
from sensecf.sensors.times import (
    DAY,
    LATEST,
    NO_TIME,
    AmbiguousDates,
    iso_day,
    parse_day,
    parse_iso,
    parse_wall,
    to_local,
    zone,
)

moments = st.datetimes(datetime(2000, 1, 2), datetime(2099, 12, 30)).map(lambda t: t.replace(microsecond=0))


@settings(deadline=None)
@given(st.lists(moments, min_size=1, max_size=20), st.sampled_from(["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S"]))
def test_plain_timestamps_are_read_as_python_reads_them(times: list[datetime], form: str) -> None:
    expected = [int(t.replace(tzinfo=UTC).timestamp()) for t in times]
    assert parse_iso([t.strftime(form) for t in times]).tolist() == expected


@pytest.mark.parametrize(
    "text",
    ["2024-03-05T08:00:00.250Z", "2024-03-05T00:00:00-08:00", "2024-03-05 10:00+02:00", " 2024-03-05T08:00:00Z "],
)
def test_fractions_offsets_and_blanks_are_understood(text: str) -> None:
    assert parse_iso([text, "2024-03-05T08:00:00Z"]).tolist() == [1709625600, 1709625600]


@pytest.mark.parametrize(
    "text",
    [None, 5, "", "now", "today", "NaT", "2024", "yesterday", "2024-02-30T00:00:00Z",
     "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "1999-12-31T23:59:59Z", {}],
)  # fmt: skip
def test_what_is_no_timestamp_is_marked_and_spares_its_neighbours(text: object) -> None:
    assert parse_iso([text, "2024-03-05T08:00:00Z"]).tolist() == [NO_TIME, 1709625600]


@settings(deadline=None)
@given(moments, st.sampled_from(["America/Los_Angeles", "America/Chicago", "Europe/Berlin", "Asia/Kolkata"]))
def test_wall_clocks_are_those_of_the_zone(moment: datetime, name: str) -> None:
    aware = moment.replace(tzinfo=UTC)
    wall = aware.astimezone(ZoneInfo(name)).replace(tzinfo=UTC)
    assert to_local(np.array([int(aware.timestamp())]), name).tolist() == [int(wall.timestamp())]


def test_an_unknown_zone_is_refused() -> None:
    for name in ("Mars/Base", "", "../etc/passwd"):
        with pytest.raises(InputError, match="time zone"):
            zone(name)


WRITTEN = [
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %I:%M:%S %p",
    "%d.%m.%Y %H:%M",
    "%Y-%m-%dT%H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%d-%m-%y %H:%M",
]


@settings(deadline=None)
@given(moments, st.integers(13, 60), st.sampled_from(WRITTEN))
def test_a_file_that_holds_a_day_after_the_twelfth_is_read_as_it_was_written(
    start: datetime, days: int, form: str
) -> None:
    times = [(start + timedelta(days=i)).replace(second=0) for i in range(min(days, 700))]
    expected = [int(t.replace(tzinfo=UTC).timestamp()) for t in times]
    assume(expected[-1] < LATEST)
    assume(any(t.day > 12 for t in times))
    assert parse_wall([t.strftime(form) for t in times]).tolist() == expected


@pytest.mark.parametrize("texts", [["03/04/2024 08:00"], ["01-02-2024 10:00", "02-01-2024 10:00"]])
def test_dates_that_could_be_either_are_refused_with_the_flag_that_settles_them(texts: list[str]) -> None:
    with pytest.raises(AmbiguousDates, match="--dates day-first"):
        parse_wall(texts)
    first, other = (parse_wall(texts, day_first)[0] // DAY for day_first in (True, False))
    assert iso_day(first)[5:] == "-".join(reversed(texts[0][:5].replace("/", "-").split("-")))
    assert iso_day(first)[5:7] == iso_day(other)[8:]


def test_what_settles_the_order_may_stand_elsewhere_in_the_file_or_in_days_in_a_row() -> None:
    assert iso_day(parse_wall(["03/04/2024"], hints=["made on 28/04/2024 10:00 UTC"])[0] // DAY) == "2024-04-03"
    assert iso_day(parse_wall(["03/04/2024"], hints=["made on 04/28/2024"])[0] // DAY) == "2024-03-04"
    assert iso_day(parse_wall(["03.04.2024"])[0] // DAY) == "2024-04-03"
    assert iso_day(parse_wall(["02/02/2024"])[0] // DAY) == "2024-02-02"
    rows = [f"{day:02d}/07/2024 10:00" for day in (3, 4, 5)]
    assert iso_day(parse_wall(rows)[0] // DAY) == "2024-07-03"


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("12:30 AM", 0),
        ("12:30 PM", 12),
        ("1:30 p. m.", 13),
        ("1:30\u202fp.\u00a0m.", 13),
        ("01:30:59 am", 1),
        ("23:30", 23),
        ("23.30", 23),
        ("klo 23.30", 23),
        ("kl. 23.30.59", 23),
        ("23:30 Uhr", 23),
    ],
)
def test_clocks_in_any_spelling(text: str, hour: int) -> None:
    assert parse_wall([f"13.02.2024 {text}"])[0] % DAY // 3600 == hour


@pytest.mark.parametrize(
    "text", ["", "30/02/2024 10:00", "13/13/2024", "2024-02-30", "13.02.2024 25:00", "1/2", "now", "01/01/1999"]
)
def test_what_is_no_wall_clock_time_is_marked(text: str) -> None:
    assert parse_wall([text, "13/02/2024 10:00"], day_first=True).tolist() == [NO_TIME, 1707818400]


def test_days_are_read_and_written() -> None:
    assert iso_day(parse_day("2024-03-05T10:00:00") or 0) == "2024-03-05"
    assert parse_day("05.03.2024") is None
    assert parse_day(None) is None


def test_the_hour_that_happens_twice_keeps_its_length_and_order() -> None:
    # On 2024-11-03 at 02:00 the clock in Los Angeles goes back to 01:00.
    start = int(datetime(2024, 11, 3, 7, tzinfo=UTC).timestamp())
    time = start + 600 * np.arange(30)
    signal = make_signal("heart_rate", time, np.full(30, 60.0), Report(), "f", "America/Los_Angeles")
    assert signal is not None
    assert (np.diff(signal.time) >= 0).all()
    assert (np.diff(signal.seconds) == 600).all()


spans = st.lists(st.tuples(st.integers(0, 5 * DAY), st.integers(-100, 20 * 3600)), max_size=30)


@settings(deadline=None)
@given(spans)
def test_spans_never_overlap_and_lose_nothing_in_silence(pairs: list[tuple[int, int]]) -> None:
    base = int((datetime(2024, 1, 1, tzinfo=UTC)).timestamp())
    start = np.array([base + a for a, _ in pairs], dtype=np.int64)
    end = start + np.array([b for _, b in pairs], dtype=np.int64)
    report = Report()
    made = make_spans(start, end, np.full(len(pairs), "light"), None, report, "f")
    kept = 0 if made is None else len(made)
    assert kept + report.count("record") == len(pairs)
    if made is not None:
        assert (made.seconds > 0).all()
        assert (made.start[1:] >= (made.start + made.seconds)[:-1]).all()
        minutes = {t for a, b in pairs if 0 < b <= 12 * 3600 for t in range(base + a, base + a + b)}
        assert int(made.seconds.sum()) == len(minutes)
        day, seconds, index = split_at_midnight(made)
        assert seconds.sum() == made.seconds.sum()
        assert (np.bincount(index, seconds) == made.seconds).all()
        assert (seconds <= DAY).all()
        assert set(day) <= set(range(base // DAY, base // DAY + 7))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(-3, 300)), max_size=40), st.randoms())
def test_a_signal_does_not_depend_on_the_order_of_different_moments(pairs: list[tuple[int, int]], rng: object) -> None:
    base = 1_700_000_000
    unique = list(dict(pairs).items())
    shuffled = unique.copy()
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    made = [
        make_signal(
            "stress", np.array([base + t for t, _ in x], np.int64), np.array([v for _, v in x], float), Report(), "f"
        )
        for x in (unique, shuffled)
    ]
    if made[0] is None or made[1] is None:
        assert not unique
    else:
        np.testing.assert_array_equal(made[0].time, made[1].time)
        np.testing.assert_array_equal(made[0].value, made[1].value)
