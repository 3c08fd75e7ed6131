"""Every version quirk and sentinel of the AI-READI tree, on files made by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from aireadi_files import MIDNIGHT, WATCH, every, moves, points, stages, wear, write

from sensecf.core.errors import InputError
from sensecf.sensors import Report, Wear, build
from sensecf.sensors.report import NothingUsedError


def rows(root: Path, **options: Any) -> pd.DataFrame:
    return build(root, "aireadi", jobs=1, **options).table


def report(root: Path) -> Report:
    return build(root, "aireadi", jobs=1).report


def why(root: Path) -> dict[str, int]:
    return {reason: n for (_, reason), n in report(root).rejected.items()}


# --- sentinels --------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [-2, -1, 0])
def test_stress_codes_below_one_are_no_reading(tmp_path: Path, code: int) -> None:
    write(tmp_path, "stress", points("stress", every(1), [code if i % 2 else 40 for i in range(1440)]))
    assert rows(tmp_path, keep_stress_mean=True)["stress_mean"].item() == 40
    assert why(tmp_path)["stress: code for no reading (0 or below)"] == 720


@pytest.mark.parametrize("code", [-2, -1, 0])
def test_respiration_codes_are_no_reading(tmp_path: Path, code: float) -> None:
    write(tmp_path, "respiration", points("respiration", every(1), [code if i % 2 else 14.5 for i in range(1440)]))
    assert rows(tmp_path)["respiration_mean_brpm"].item() == 14.5


@pytest.mark.parametrize("code", [0, -1, -40])
def test_heart_rate_of_zero_and_below_is_no_reading(tmp_path: Path, code: int) -> None:
    values = [code if i % 4 == 0 else 60 + i % 4 for i in range(1440)]
    write(tmp_path, "heart_rate", points("heart_rate", every(1), values))
    assert rows(tmp_path)[["hr_min_bpm", "hr_mean_bpm", "hr_max_bpm"]].iloc[0].tolist() == [61, 62, 63]


def test_oxygen_zero_and_bare_nan_are_no_reading(tmp_path: Path) -> None:
    values = [0 if i % 3 == 0 else float("nan") if i % 3 == 1 else 95 for i in range(240)]
    path = write(tmp_path, "spo2", points("spo2", every(1, hours=4), values))
    assert "NaN" in path.read_text()  # as the real files have it, although it is not JSON
    assert rows(tmp_path)["spo2_mean_pct"].item() == 95


def test_glucose_words_are_the_limits_of_the_sensor(tmp_path: Path) -> None:
    values = ["Low" if i % 2 else "High" for i in range(288)]
    write(tmp_path, "glucose", points("glucose", every(5), values))
    row = rows(tmp_path).iloc[0]
    assert row["glucose_mean_mgdl"] == 220
    assert row[["glucose_tbr_pct", "glucose_tir_pct", "glucose_tar_pct"]].tolist() == [50, 0, 50]


def test_unknown_sleep_and_empty_intervals_are_left_out(tmp_path: Path) -> None:
    night = [(MIDNIGHT, 200, "light"), (MIDNIGHT + timedelta(minutes=200), 100, "unknown"),
             (MIDNIGHT + timedelta(minutes=300), 60, "deep"), (MIDNIGHT + timedelta(minutes=360), 0, "rem"),
             (MIDNIGHT + timedelta(minutes=370), -10, "rem")]  # fmt: skip
    write(tmp_path, "sleep", stages(night))
    row = rows(tmp_path).iloc[0]
    assert (row["sleep_total_min"], row["sleep_deep_min"], row["sleep_rem_min"]) == (260, 60, 0)
    assert why(tmp_path)["sleep stage unknown"] == 1
    assert why(tmp_path)["interval of no or negative length"] == 2


def test_active_kcal_are_a_running_total_not_a_sum(tmp_path: Path) -> None:
    wear(tmp_path, days=2)
    times = [MIDNIGHT + timedelta(hours=h) for h in (9, 12, 18, 24, 33, 40)]
    write(tmp_path, "energy", points("energy", times, [50, 120, 300, 410, 30, 200]))
    # The 410 at midnight closes the first day: the counter starts anew after it.
    assert rows(tmp_path)["active_kcal"].tolist() == [410, 200]


def test_the_averages_of_the_manifest_are_never_used(tmp_path: Path) -> None:
    wear(tmp_path)
    before = rows(tmp_path)
    manifest = tmp_path / WATCH / "manifest.tsv"
    manifest.write_text("person_id\taverage_heartrate_bpm\taverage_sleep_hours\n1001\t999\t99\n")
    pd.testing.assert_frame_equal(rows(tmp_path), before)


# --- the doubtful step field ------------------------------------------------------------------


def walks(values: list[Any], name: str = "walking") -> list[Any]:
    return moves([(MIDNIGHT + timedelta(minutes=60 * i), 10, name, v) for i, v in enumerate(values)])


def test_activity_bytes_are_recognised_and_never_summed(tmp_path: Path) -> None:
    wear(tmp_path)
    write(tmp_path, "activity", walks([70, 102, 134, 70, 70, 38]))
    table = rows(tmp_path)
    assert "steps" not in table
    assert table["active_min"].item() == 60
    assert any("activity byte" in note for note in report(tmp_path).notes)


def test_real_steps_are_summed(tmp_path: Path) -> None:
    wear(tmp_path)
    write(tmp_path, "activity", walks([700, 1020, 134, 70, 71, 38]))
    row = rows(tmp_path).iloc[0]
    assert (row["steps"], row["active_min"]) == (2033, 60)


def test_few_records_cannot_tell_steps_from_bytes(tmp_path: Path) -> None:
    wear(tmp_path)
    write(tmp_path, "activity", walks([70, 102, 38]))
    assert "steps" not in rows(tmp_path)
    assert any("too few movements" in note for note in report(tmp_path).notes)
    write(tmp_path, "activity", walks([70, 102, 39]))  # 39 is no byte of walking
    assert rows(tmp_path)["steps"].item() == 211


def test_movement_without_name_and_long_movement_are_left_out(tmp_path: Path) -> None:
    wear(tmp_path)
    spans = [
        (MIDNIGHT, 480, "sedentary", 0),
        (MIDNIGHT + timedelta(hours=8), 10, "", ""),
        (MIDNIGHT + timedelta(hours=9), 300, "walking", 70),
        (MIDNIGHT + timedelta(hours=15), 30, "running", 97),
    ]
    write(tmp_path, "activity", moves(spans))
    assert rows(tmp_path)["active_min"].item() == 30
    assert why(tmp_path)["movement without a name (type 9)"] == 1
    assert why(tmp_path)["movement longer than an hour (a gap)"] == 1


def test_movement_over_midnight_counts_to_both_days(tmp_path: Path) -> None:
    wear(tmp_path, days=2)
    write(tmp_path, "activity", moves([(MIDNIGHT + timedelta(hours=23, minutes=45), 40, "walking", 400)]))
    table = rows(tmp_path)
    assert table["active_min"].tolist() == [15, 25]
    assert table["steps"].tolist() == [150, 250]


# --- versions and copies ----------------------------------------------------------------------

NIGHT = [(MIDNIGHT + timedelta(hours=-1), 240, "light"), (MIDNIGHT + timedelta(hours=3), 120, "deep")]


@pytest.mark.parametrize("key", ["effective_time_frame", "sleep_stage_time_frame"])
def test_both_keys_of_a_sleep_interval(tmp_path: Path, key: str) -> None:
    write(tmp_path, "sleep", stages(NIGHT, key))
    assert rows(tmp_path)["sleep_total_min"].item() == 360


def test_sleep_episodes_of_version_1(tmp_path: Path) -> None:
    records = stages(NIGHT, "sleep_stage_time_frame")
    body = [{"sleep_stage_episodes": records[:1]}, {"sleep_stage_episodes": records[1:]}]
    write(tmp_path, "sleep", [], body=body)
    assert rows(tmp_path)["sleep_total_min"].item() == 360


@pytest.mark.parametrize("key", ["calories_value", "duration"])
def test_both_names_of_calories(tmp_path: Path, key: str) -> None:
    wear(tmp_path)
    write(tmp_path, "energy", points("energy", [MIDNIGHT + timedelta(hours=12)], [321], key))
    assert rows(tmp_path)["active_kcal"].item() == 321


@pytest.mark.parametrize("layout", ["list", "named", "other name"])
def test_glucose_under_cgm_or_not(tmp_path: Path, layout: str) -> None:
    records = points("glucose", every(5), [100 + i % 3 for i in range(288)])
    body = {"list": records, "named": {"cgm": records}, "other name": {"glucose": records}}[layout]
    write(tmp_path, "glucose", [], body=body)
    assert rows(tmp_path)["glucose_mean_mgdl"].item() == 101


def test_glucose_events_other_than_values_are_left_out(tmp_path: Path) -> None:
    records = points("glucose", every(5), [100] * 288)
    records.insert(0, {**records[0], "event_type": "Calibration", "blood_glucose": {"value": 400}})
    # A first record of another shape must not hide the others.
    write(tmp_path, "glucose", records)
    assert rows(tmp_path)["glucose_mean_mgdl"].item() == 100


def test_datatypes_nested_twice(tmp_path: Path) -> None:
    wear(tmp_path, nested=True)
    assert rows(tmp_path)["hr_mean_bpm"].notna().all()


@pytest.mark.parametrize("folder", ["dataset", "AIREADI-v3"])
def test_the_tree_may_lie_one_folder_down(tmp_path: Path, folder: str) -> None:
    wear(tmp_path / folder)
    assert len(rows(tmp_path)) == 1


def test_activity_times_of_older_files(tmp_path: Path) -> None:
    wear(tmp_path)
    spans = [(MIDNIGHT + timedelta(hours=10), 30, "walking", 70)]
    write(tmp_path, "activity", moves(spans, "%Y-%m-%d %H:%M:%S"))
    assert rows(tmp_path)["active_min"].item() == 30


@pytest.mark.parametrize("column", ["person_id", "participant_id"])
def test_both_names_of_the_id_column(tmp_path: Path, column: str) -> None:
    wear(tmp_path)
    head = f"{column}\tclinical_site\tstudy_group\tage\tstudy_visit_date\trecommended_split\n"
    (tmp_path / "participants.tsv").write_text(head + "1001\tUW\tinsulin_dependent\t61\t2024-03-01\tval\n")
    row = rows(tmp_path).iloc[0]
    assert (row["person_id"], row["age"], row["study_group"], row["recommended_split"]) == (
        "1001", 61, "insulin_dependent", "val",
    )  # fmt: skip


@pytest.mark.parametrize("label", ["bmi_vsorres, BMI", "BMI"])
def test_measurement_names_of_all_versions(tmp_path: Path, label: str) -> None:
    wear(tmp_path)
    clinical = tmp_path / "clinical_data"
    clinical.mkdir()
    (clinical / "measurement.csv").write_text(
        "measurement_id,person_id,measurement_source_value,value_as_number\n"
        f'1,1001,"{label}",27.5\n2,1001,"import_hba1c, HbA1c (%)",6.1\n3,1001,"lbscat_a1c, Haemoglobin",14\n'
        '4,1001,"bp1_sysbp_vsorres, Systolic (mmHg)",120\n5,1001,"bp2_sysbp_vsorres, Systolic (mmHg)",130\n'
    )
    (clinical / "observation.csv").write_text(
        "observation_id,person_id,observation_source_value,value_as_number\n"
        '1,1001,"cestl, CES-D-10 total",11\n2,1001,"paidscore, PAID-5",777\n'
        '3,1001,"ces5, hopeful",1\n4,1001,"cestl, CES-D-10 total",99\n'
    )
    table = rows(tmp_path)
    assert table[["bmi", "hba1c_pct", "sbp", "cesd10"]].iloc[0].tolist() == [27.5, 6.1, 125, 11]
    assert "paid5" not in table  # 777: no answer


def test_absent_files_and_empty_lists_are_no_error(tmp_path: Path) -> None:
    wear(tmp_path)
    write(tmp_path, "stress", [])
    built = build(tmp_path, "aireadi", jobs=1)
    assert built.report.notes["files with an empty list"] == 1
    assert built.report.notes["people without a glucose file"] == 1
    assert len(built.table) == 1


@pytest.mark.parametrize(
    "damage", ["", "   ", "{", "[]", "null", '{"body": 3}', '{"body": {}}', "\x00\xff", "[" * 100_000]
)
def test_a_damaged_file_is_counted_and_the_others_are_read(tmp_path: Path, damage: str) -> None:
    wear(tmp_path)
    write(tmp_path, "stress", []).write_text(damage, encoding="latin-1")
    built = build(tmp_path, "aireadi", jobs=1)
    assert built.report.count("file") == 1
    assert built.table["hr_mean_bpm"].notna().all()


def test_bad_records_are_counted_one_by_one(tmp_path: Path) -> None:
    good = points("stress", every(1), [30] * 1440)
    bad: list[Any] = [None, 5, {}, {"stress": 3, "effective_time_frame": {"date_time": "2024-03-05T12:00:00Z"}},
                      {"stress": {"value": 1}, "effective_time_frame": {"date_time": "yesterday"}},
                      {"stress": {"value": "x"}, "effective_time_frame": {"date_time": "2024-03-05T12:00:30Z"}},
                      {"stress": {"value": 5}, "effective_time_frame": {"date_time": "0001-01-01T00:00:00+14:00"}},
    ]  # fmt: skip
    write(tmp_path, "stress", [*bad, *good])
    reasons = why(tmp_path)
    assert reasons["value or time is absent"] == 4
    assert reasons["timestamp cannot be read"] == 2
    assert reasons["stress: blank, text, or outside 1 to 100"] == 1
    assert rows(tmp_path, keep_stress_mean=True)["stress_mean"].item() == 30


def test_the_same_moment_twice_is_read_once(tmp_path: Path) -> None:
    records = points("stress", every(1), [30] * 1440)
    write(tmp_path, "stress", records + records[:10])
    assert why(tmp_path)["same moment as the record before"] == 10


# --- days, nights, zones ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("person", "timezone", "expected"),
    [
        ("1001", "pst", "2024-03-05"),
        ("7001", "cst", "2024-03-06"),
        ("7001", None, "2024-03-06"),
        ("4001", None, "2024-03-05"),
    ],
)
def test_days_are_local_by_header_or_else_by_id(
    tmp_path: Path, person: str, timezone: str | None, expected: str
) -> None:
    # 05:00 to 07:00 UTC: still the evening before in Los Angeles, past midnight for an hour in Chicago.
    start = datetime(2024, 3, 6, 6, tzinfo=UTC)
    write(tmp_path, "glucose", points("glucose", every(1, 2, start), [100] * 120), person=person, timezone=timezone)
    table = rows(tmp_path, wear=Wear(glucose_share=0.04))
    assert table["date"].tolist() == [expected]


def test_daylight_saving_time_is_followed(tmp_path: Path) -> None:
    # In July Los Angeles is 7 hours behind: 06:59 UTC is 23:59, 07:00 UTC is the next day.
    times = [datetime(2024, 7, 2, 6, 0, tzinfo=UTC) + timedelta(minutes=i) for i in range(120)]
    write(tmp_path, "glucose", points("glucose", times, [100] * 60 + [200] * 60))
    table = rows(tmp_path, wear=Wear(glucose_share=0.01))
    assert table[["date", "glucose_mean_mgdl"]].to_numpy().tolist() == [["2024-07-01", 100], ["2024-07-02", 200]]


@pytest.mark.parametrize(("bedtime", "expected"), [(-3.0, "2024-03-05"), (1.0, "2024-03-05"), (17.0, "2024-03-06")])
def test_a_night_is_named_by_its_morning(tmp_path: Path, bedtime: float, expected: str) -> None:
    write(tmp_path, "sleep", stages([(MIDNIGHT + timedelta(hours=bedtime), 300, "light")]))
    assert rows(tmp_path)["date"].tolist() == [expected]


def test_a_nap_is_not_the_night(tmp_path: Path) -> None:
    spans = [(MIDNIGHT, 400, "light"), (MIDNIGHT + timedelta(hours=13), 90, "deep")]
    write(tmp_path, "sleep", stages(spans))
    row = rows(tmp_path).iloc[0]
    assert (row["sleep_total_min"], row["sleep_deep_min"]) == (400, 0)


def test_a_night_across_the_change_of_the_clock_keeps_its_length(tmp_path: Path) -> None:
    # On 2024-03-10 at 02:00 the clock in Los Angeles goes to 03:00.
    start = datetime(2024, 3, 10, 7, tzinfo=UTC)
    write(tmp_path, "sleep", stages([(start, 240, "light"), (start + timedelta(minutes=240), 180, "rem")]))
    row = rows(tmp_path).iloc[0]
    assert (row["date"], row["sleep_total_min"]) == ("2024-03-10", 420)


def test_overlapping_stages_are_counted_once(tmp_path: Path) -> None:
    spans = [(MIDNIGHT, 240, "light"), (MIDNIGHT + timedelta(minutes=200), 100, "deep"), (MIDNIGHT, 240, "light")]
    write(tmp_path, "sleep", stages(spans))
    assert rows(tmp_path)["sleep_total_min"].item() == 300


# --- wear time --------------------------------------------------------------------------------


def test_a_day_worn_too_short_is_blank(tmp_path: Path) -> None:
    times = every(1, 9)
    write(tmp_path, "heart_rate", points("heart_rate", times, [60 + i % 9 for i in range(len(times))]))
    with pytest.raises(NothingUsedError, match="nothing measured long enough"):
        rows(tmp_path)
    assert len(rows(tmp_path, wear=Wear(watch_min=500))) == 1


def test_a_watch_on_the_table_does_not_count_as_worn(tmp_path: Path) -> None:
    times = every(5)
    still = [60 + i % 7 if i < 100 else 77 for i in range(288)]
    write(tmp_path, "heart_rate", points("heart_rate", times, still))
    write(tmp_path, "stress", points("stress", every(1), [20] * 500 + [90] * 940))
    table = rows(tmp_path, keep_stress_mean=True, wear=Wear(stress_min=400))
    assert "hr_mean_bpm" not in table  # 100 readings of 5 minutes: less than ten hours
    assert table["stress_mean"].item() == 20
    assert report(tmp_path).count("stretch") == 1


def test_glucose_needs_seventy_per_cent_of_the_day(tmp_path: Path) -> None:
    for share in (0.69, 0.71):
        times = every(5)[: int(288 * share)]
        write(tmp_path / str(share), "glucose", points("glucose", times, [100] * len(times)))
    with pytest.raises(NothingUsedError, match="nothing measured long enough"):
        rows(tmp_path / "0.69")
    assert len(rows(tmp_path / "0.71")) == 1


# --- the table --------------------------------------------------------------------------------


def test_the_label_follows_the_threshold_and_its_source_is_left_out(tmp_path: Path) -> None:
    values = [30] * 1440 + [60] * 1440
    write(tmp_path, "stress", points("stress", every(1, 48), values))
    assert rows(tmp_path)["stress"].tolist() == ["high", "high"]
    assert rows(tmp_path, stress_threshold=51)["stress"].tolist() == ["low", "high"]
    assert "stress_mean" not in rows(tmp_path)


def test_heart_rate_can_be_left_out(tmp_path: Path) -> None:
    wear(tmp_path)
    write(tmp_path, "stress", points("stress", every(1), [30] * 1440))
    assert list(rows(tmp_path, heart_rate=False).columns) == ["person_id", "date", "stress"]


def test_a_folder_that_is_no_tree_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no AI-READI tree"):
        build(tmp_path, "aireadi")
    with pytest.raises(InputError, match="is no folder"):
        build(tmp_path / "absent", "aireadi")
    with pytest.raises(InputError, match="format 'fitbitt' is unknown"):
        build(tmp_path, "fitbitt")


def test_people_without_sensor_files_are_said(tmp_path: Path) -> None:
    wear(tmp_path)
    (tmp_path / "participants.tsv").write_text("person_id\tage\n1001\t50\n1002\t60\n")
    assert report(tmp_path).rejected["person", "no sensor file"] == 1


def test_the_report_is_plain_data(tmp_path: Path) -> None:
    wear(tmp_path)
    write(tmp_path, "stress", points("stress", every(1), [-1] * 1440))
    data = report(tmp_path).to_dict()
    assert json.loads(json.dumps(data)) == data
    assert data["rejected"][0]["count"] == 1440


def test_a_few_equal_readings_far_apart_are_no_still_watch(tmp_path: Path) -> None:
    """Eleven readings of 77 over more than three hours: rest, not a table. Twelve are a table."""
    for count, stretches in ((11, 0), (12, 1)):
        root = tmp_path / str(count)
        times = [MIDNIGHT + timedelta(minutes=20 * i) for i in range(count)] + every(
            5, 18, MIDNIGHT + timedelta(hours=6)
        )
        write(root, "heart_rate", points("heart_rate", times, [77] * count + [60 + i % 7 for i in range(216)]))
        assert report(root).count("stretch") == stretches


def test_irregularity_needs_three_nights(tmp_path: Path) -> None:
    for nights, known in ((2, False), (3, True)):
        root = tmp_path / str(nights)
        write(root, "sleep", stages([(MIDNIGHT + timedelta(hours=25 * i), 400, "light") for i in range(nights)]))
        table = rows(root)
        assert ("sleep_midpoint_sd_min" in table) == known
    assert (table["sleep_midpoint_sd_min"] == 60).all()


def test_a_value_with_another_type_in_its_low_bits_is_no_byte_of_walking(tmp_path: Path) -> None:
    wear(tmp_path)
    write(tmp_path, "activity", walks([70, 102, 38, 70, 22]))  # 22 is 16 + 6: type 22
    assert rows(tmp_path)["steps"].item() == 302
