"""The golden day of each export format, and what is peculiar to each."""

from __future__ import annotations

import tracemalloc
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from export_files import (
    COUNTRIES,
    DAY,
    FitFile,
    abroad,
    apple,
    clarity,
    fit_seconds,
    fitbit,
    fitbit_csv,
    garmin_account,
    garmin_csv,
    garmin_fit,
    libreview,
    oura,
    t1d_uom,
)

from sensecf.core.errors import InputError
from sensecf.sensors import Report, build, known_feature
from sensecf.sensors.formats.fit import read_fit
from sensecf.sensors.report import NothingUsedError

HEART = {"hr_mean_bpm": 63.0, "hr_min_bpm": 60, "hr_max_bpm": 66}
SLEEP = {
    "sleep_total_min": 420, "sleep_deep_min": 90, "sleep_rem_min": 105, "sleep_light_min": 225,
    "sleep_deep_pct": 21.4, "sleep_rem_pct": 25.0, "sleep_efficiency_pct": 93.3,
}  # fmt: skip
#: 276 readings of 100 and 12 of 200 mg/dL.
GLUCOSE = {
    "glucose_mean_mgdl": 104.2, "glucose_tar_pct": 4.2, "glucose_tir_pct": 95.8, "glucose_tbr_pct": 0,
    "hyperglycaemia_events": 1, "gmi_pct": 5.8, "mage": 100,
}  # fmt: skip


def rows(root: Path, form: str, **options: Any) -> pd.DataFrame:
    return build(root, form, jobs=1, **options).table


def report_of_nothing(root: Path, form: str) -> Report:
    """What the build says that uses nothing."""
    with pytest.raises(NothingUsedError) as raised:
        build(root, form, jobs=1)
    return raised.value.report


def assert_day(table: pd.DataFrame, expected: dict[str, float], date: str = "2024-03-05") -> None:
    """The row of that date has the expected values, to the precision of the catalogue."""
    row = table[table["date"] == date].iloc[0]
    for name, value in expected.items():
        entry = known_feature(name)
        assert entry is not None
        assert row[name] == pytest.approx(value, abs=0.51 * 10**-entry.decimals), name


# --- glucose sensors --------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["mg/dL", "mmol/L"])
@pytest.mark.parametrize("form", ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%m/%d/%Y %H:%M"])
def test_the_golden_day_of_dexcom_clarity(tmp_path: Path, unit: str, form: str) -> None:
    clarity(tmp_path / "ada.csv", unit, form)
    table = rows(tmp_path, "dexcom", day_first=False)
    assert table["person_id"].tolist() == ["ada"]
    assert_day(table, GLUCOSE)


def test_names_and_alerts_of_clarity_are_noted_and_never_kept(tmp_path: Path) -> None:
    clarity(tmp_path / "ada.csv")
    built = build(tmp_path, "dexcom", jobs=1)
    assert built.report.notes["Clarity rows that are no glucose values (names, alerts, insulin, ...)"] == 4
    assert "Nobody" not in built.table.to_csv() + str(built.report.to_dict())


def test_each_csv_file_is_a_person_or_each_folder(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        clarity(tmp_path / name / "export.csv")
    clarity(tmp_path / "c.csv")
    assert rows(tmp_path, "dexcom", folders_are_people=True)["person_id"].tolist() == ["a", "b"]
    assert rows(tmp_path / "c.csv", "dexcom")["person_id"].tolist() == ["c"]


LIBRE_FORMS = ["%d-%m-%Y %H:%M", "%m-%d-%Y %I:%M %p", "%Y/%m/%d %H:%M", "%d.%m.%Y %H:%M"]


@pytest.mark.parametrize("form", LIBRE_FORMS)
@pytest.mark.parametrize(("unit", "comma"), [("mg/dL", False), ("mmol/L", False), ("mmol/L", True)])
def test_the_golden_day_of_libreview(tmp_path: Path, unit: str, comma: bool, form: str) -> None:
    libreview(tmp_path / "ada.csv", unit, form, comma)
    # 92 historic values of 100, 4 of 200, and one scan beyond the sensor's 500 mg/dL.
    low, high = (100, 200) if unit == "mg/dL" else (5.6 * 18.0156, 11.1 * 18.0156)
    mean = (92 * low + 4 * high + 500) / 97
    assert_day(rows(tmp_path, "libre"), {"glucose_mean_mgdl": mean, "glucose_tar_pct": 500 / 97})


#: The golden day with its first reading below the sensor's 40 mg/dL.
ABROAD = {"glucose_mean_mgdl": (275 * 100 + 12 * 200 + 40) / 288, "glucose_tbr_pct": 100 / 288,
          "glucose_tar_pct": 1200 / 288}  # fmt: skip


@pytest.mark.parametrize("country", COUNTRIES)
@pytest.mark.parametrize("maker", ["dexcom", "libre", "carelink"])
@pytest.mark.parametrize(("unit", "encoding"), [("mmol/L", "utf-16"), ("mg/dL", "utf-8-sig")])
def test_exports_of_every_country_give_the_same_days(
    tmp_path: Path, maker: str, country: str, unit: str, encoding: str
) -> None:
    abroad(tmp_path / "ada.csv", maker, COUNTRIES[country], unit, encoding)
    built = build(tmp_path, maker, jobs=1)
    assert len(built.table) == 25
    assert built.report.count("file") == 0
    assert_day(built.table, ABROAD, "2024-03-20")
    assert built.report.seen["readings"] == 25 * 288 + (maker == "libre")
    assert built.report.seen["records"] == built.report.seen["readings"] + sum(built.report.notes.values()) + sum(
        n for (what, _), n in built.report.rejected.items() if what in ("record", "reading")
    )


def test_one_folder_may_hold_every_country_and_another_maker(tmp_path: Path) -> None:
    for name, country in COUNTRIES.items():
        abroad(tmp_path / f"{name}.csv", "dexcom", country)
    abroad(tmp_path / "other.csv", "libre", COUNTRIES["de"])
    (tmp_path / "broken.csv").write_text("when;value\n2024-05-01;5,1\n")
    built = build(tmp_path, "dexcom", jobs=1)
    assert built.table["person_id"].value_counts().to_dict() == dict.fromkeys(COUNTRIES, 25)
    assert built.report.examples["file", "an export of another maker: try --format libre"] == ["other.csv"]
    assert built.report.examples["file", "no header row with a time and a glucose column"] == ["broken.csv"]


def test_a_build_that_used_nothing_names_each_file_and_leaves_no_table(tmp_path: Path) -> None:
    abroad(tmp_path / "other.csv", "libre", COUNTRIES["de"])
    (tmp_path / "broken.csv").write_text("when;value\n2024-05-01;5,1\n")
    clarity(tmp_path / "either.csv", form="%m/%d/%Y %H:%M")
    with pytest.raises(NothingUsedError) as raised:
        build(tmp_path, "dexcom", jobs=1)
    for said in ("other.csv: an export of another maker", "broken.csv: no header row", "either.csv: dates could be",
                 "--dates day-first"):  # fmt: skip
        assert said in str(raised.value)


def test_a_header_whose_unit_the_values_contradict_leaves_the_file_out(tmp_path: Path) -> None:
    clarity(tmp_path / "a.csv", "mmol/L")
    text = (tmp_path / "a.csv").read_text(encoding="utf-8")
    (tmp_path / "a.csv").write_text(text.replace("mmol/L", "mg/dL"), encoding="utf-8")
    with pytest.raises(NothingUsedError, match="the header says mg/dL, the values are mmol/L"):
        build(tmp_path, "dexcom", jobs=1)
    (tmp_path / "a.csv").write_text(text.replace(" (mmol/L)", ""), encoding="utf-8")
    assert_day(rows(tmp_path, "dexcom"), GLUCOSE)


def test_decimal_commas_between_cells_that_commas_separate_are_never_read_as_whole_numbers(tmp_path: Path) -> None:
    libreview(tmp_path / "a.csv", "mmol/L", comma=True)
    text = (tmp_path / "a.csv").read_text(encoding="utf-8")
    (tmp_path / "a.csv").write_text(text.replace('"', ""), encoding="utf-8")
    with pytest.raises(NothingUsedError, match="decimal commas between cells"):
        build(tmp_path, "libre", jobs=1)
    # A spreadsheet that quotes whole lines keeps them apart.
    lines = ['"' + line.replace('"', '""') + '"' for line in text.splitlines()]
    (tmp_path / "a.csv").write_text("\n".join(lines), encoding="utf-8")
    assert len(rows(tmp_path, "libre")) == 1


def test_a_date_that_could_be_either_is_read_as_days_in_a_row(tmp_path: Path) -> None:
    """03-02 to 05-02 are three days in February, not the second of three months."""
    lines = ["Glucose Data", "Device,Serial Number,Device Timestamp,Record Type,Historic Glucose mg/dL"]
    for day in (3, 4, 5):
        lines += [f"L,1,0{day}-02-2024 {i // 4:02d}:{i % 4 * 15:02d},0,100" for i in range(96)]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    assert rows(tmp_path, "libre")["date"].tolist() == ["2024-02-03", "2024-02-04", "2024-02-05"]


# --- Fitbit -----------------------------------------------------------------------------------


def test_the_golden_day_of_fitbit(tmp_path: Path) -> None:
    fitbit(tmp_path / "Takeout")
    built = build(tmp_path / "Takeout", "fitbit", jobs=1)
    table = built.table
    assert built.report.rejected["record", "sleep log repeated"] == 1
    # The short wake of two minutes lies over light sleep.
    night = {"sleep_total_min": 418, "sleep_light_min": 223, "sleep_deep_min": 90, "sleep_efficiency_pct": 92.9}
    others = {"steps": 5500, "active_min": 35, "resting_hr_bpm": 62.5, "spo2_mean_pct": 95.6, "hrv_rmssd_ms": 33.2,
              "respiration_mean_brpm": 14.6, "fitbit_stress_score": 78}  # fmt: skip
    assert_day(table, HEART | night | others)
    assert table["date"].tolist() == ["2024-03-05"]


NEWER = HEART | SLEEP | {"steps": 5500, "resting_hr_bpm": 62.5, "spo2_mean_pct": 95.6, "hrv_rmssd_ms": 33.2,
                         "respiration_mean_brpm": 14.6}  # fmt: skip


def test_the_golden_day_of_fitbit_in_the_layout_since_2024(tmp_path: Path) -> None:
    fitbit_csv(tmp_path / "Takeout")
    table = rows(tmp_path, "fitbit", timezone="America/Los_Angeles")
    assert table["date"].tolist() == ["2024-03-05"]
    assert_day(table, NEWER)


def test_fitbit_in_both_layouts_counts_the_steps_once(tmp_path: Path) -> None:
    fitbit(tmp_path / "Takeout")
    fitbit_csv(tmp_path / "Takeout" / "again")
    assert_day(rows(tmp_path, "fitbit"), HEART | {"steps": 5500})


def test_a_csv_of_fitbit_over_the_change_to_summer_time_has_a_day_of_23_hours(tmp_path: Path) -> None:
    data = tmp_path / "Physical Activity_GoogleData"
    data.mkdir()
    begin = datetime(2024, 3, 30, 23)  # 31 March 2024 has 23 hours in Berlin; it begins at 23:00 UTC
    lines = [f"{begin + timedelta(minutes=5 * i):%Y-%m-%dT%H:%M:%SZ},{60 + i % 7}.0" for i in range(2 * 288)]
    (data / "heart_rate_2024-03-31.csv").write_text("\n".join(["timestamp,beats per minute", *lines]))
    steps = [f"{begin + timedelta(hours=h):%Y-%m-%dT%H:%M:%SZ},100" for h in range(48)]
    (data / "steps_2024-03-31.csv").write_text("\n".join(["timestamp,steps", *steps]))
    table = rows(tmp_path, "fitbit", timezone="Europe/Berlin")
    assert table.set_index("date").loc[["2024-03-31", "2024-04-01"], "steps"].tolist() == [2300, 2400]


def test_fitbit_without_a_zone_says_so_and_takes_one(tmp_path: Path) -> None:
    fitbit(tmp_path / "Takeout", zone=None)
    assert any("--timezone" in note for note in build(tmp_path, "fitbit", jobs=1).report.notes)
    assert_day(rows(tmp_path, "fitbit", timezone="America/Los_Angeles"), HEART)
    with pytest.raises(InputError, match="time zone 'Mars/Base' is unknown"):
        build(tmp_path, "fitbit", timezone="Mars/Base")


def test_the_device_s_resting_heart_rate_fills_days_that_have_no_computed_one(tmp_path: Path) -> None:
    fitbit(tmp_path / "Takeout")
    for path in tmp_path.rglob("heart_rate-*.json"):
        path.unlink()
    assert_day(rows(tmp_path, "fitbit"), {"resting_hr_bpm": 57.2})


def test_fitbit_sleep_without_stages_gives_the_total_alone(tmp_path: Path) -> None:
    (tmp_path / "sleep-2024-03-01.json").write_text(
        '[{"logId": 1, "levels": {"data": ['
        '{"dateTime": "2024-03-04T23:00:00.000", "level": "asleep", "seconds": 24000},'
        '{"dateTime": "2024-03-05T05:40:00.000", "level": "restless", "seconds": 600}]}}]'
    )
    table = rows(tmp_path, "fitbit")
    assert_day(table, {"sleep_total_min": 400, "sleep_efficiency_pct": 97.6})
    assert "sleep_deep_min" not in table


# --- Garmin -----------------------------------------------------------------------------------


def test_the_golden_day_of_garmin_fit_files(tmp_path: Path) -> None:
    pytest.importorskip("fitdecode", reason="needs the extra 'fit'")
    garmin_fit(tmp_path / "day.fit")
    built = build(tmp_path, "garmin", jobs=1, keep_stress_mean=True)
    expected = {"steps": 6600, "active_min": 66, "active_kcal": 286, "stress_mean": 30, "spo2_mean_pct": 96,
                "respiration_mean_brpm": 14.5}  # fmt: skip
    assert_day(built.table, HEART | SLEEP | expected)
    assert built.report.count("file") == 0
    assert built.table["stress"].tolist() == ["high"]


def test_a_zone_given_overrides_the_offset_of_the_fit_file(tmp_path: Path) -> None:
    pytest.importorskip("fitdecode", reason="needs the extra 'fit'")
    fit = FitFile()
    for i in range(288):
        fit.add(55, (253, "I", fit_seconds(DAY) + 300 * i), (27, "B", 60 + i % 5))
    fit.write(tmp_path / "day.fit")
    assert any("--timezone" in note for note in build(tmp_path, "garmin", jobs=1).report.notes)
    assert rows(tmp_path, "garmin", timezone="America/Los_Angeles")["date"].tolist() == ["2024-03-05"]


def test_a_fit_file_with_a_wrong_checksum_is_reported_and_read(tmp_path: Path) -> None:
    pytest.importorskip("fitdecode", reason="needs the extra 'fit'")
    garmin_fit(tmp_path / "day.fit")
    data = bytearray((tmp_path / "day.fit").read_bytes())
    data[-1] ^= 0xFF
    (tmp_path / "day.fit").write_bytes(bytes(data))
    built = build(tmp_path, "garmin", jobs=1)
    assert built.report.count("file") == 1
    assert_day(built.table, HEART)


def test_sixteen_bit_times_go_on_over_their_end(tmp_path: Path) -> None:
    pytest.importorskip("fitdecode", reason="needs the extra 'fit'")
    start = (fit_seconds(DAY) | 0xFFFF) - 60  # a minute before the low 16 bits begin anew
    fit = FitFile()
    fit.add(55, (253, "I", start), (27, "B", 60))
    for seconds in (30, 90, 150):
        fit.add(55, (26, "H", (start + seconds) & 0xFFFF), (27, "B", 61))
    fit.write(tmp_path / "day.fit")
    times = [time for time, _ in read_fit(tmp_path / "day.fit", Report()).points["heart_rate"]]
    assert [time - times[0] for time in times] == [0, 30, 90, 150]


@pytest.mark.parametrize("old_dates", [False, True])
def test_the_golden_day_of_garmin_s_account_export(tmp_path: Path, old_dates: bool) -> None:
    garmin_account(tmp_path, old_dates)
    expected = {"steps": 6600, "active_kcal": 286, "resting_hr_bpm": 55, "hr_min_bpm": 50, "hr_max_bpm": 120,
                "active_min": 30, "stress_mean": 31}  # fmt: skip
    assert_day(rows(tmp_path, "garmin", keep_stress_mean=True), SLEEP | expected)


def test_garmin_csv_files_made_from_fit(tmp_path: Path) -> None:
    garmin_csv(tmp_path)
    for path in tmp_path.glob("*.csv"):  # saved by a spreadsheet, with a byte order mark
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    table = rows(tmp_path, "garmin", timezone="America/Los_Angeles", keep_stress_mean=True)
    assert_day(table, HEART | {"stress_mean": 40})


# --- Apple Health and Oura --------------------------------------------------------------------


def test_the_golden_day_of_apple_health(tmp_path: Path) -> None:
    apple(tmp_path / "apple_health_export" / "export.xml")
    built = build(tmp_path, "apple", jobs=1)
    # Steps of watch and phone are not added up.
    expected = {"steps": 6000, "active_kcal": 260, "active_min": 30, "spo2_mean_pct": 96}
    assert_day(built.table, HEART | SLEEP | GLUCOSE | expected)
    assert built.report.notes["Apple records of other kinds"] == 1


def test_a_cut_off_apple_export_is_read_up_to_the_cut(tmp_path: Path) -> None:
    apple(tmp_path / "export.xml")
    text = (tmp_path / "export.xml").read_text()
    (tmp_path / "export.xml").write_text(text[: text.index("StepCount")])
    built = build(tmp_path, "apple", jobs=1)
    assert built.report.count("file") == 1
    assert_day(built.table, HEART)


def test_a_long_apple_export_needs_little_memory(tmp_path: Path) -> None:
    record = '<Record type="HKQuantityTypeIdentifierDietaryWater" startDate="2024-03-05 08:00:00 -0800" value="1"/>\n'
    (tmp_path / "export.xml").write_text(f"<HealthData>{record * 8_000}</HealthData>")
    tracemalloc.start()
    report = report_of_nothing(tmp_path, "apple")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert report.seen["records"] == 8_000
    assert peak < 1.5e6  # the tree of these records takes five times as much


def test_an_apple_export_with_entity_bombs_is_refused_quickly(tmp_path: Path) -> None:
    levels = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 12))
    (tmp_path / "export.xml").write_text(
        f'<!DOCTYPE HealthData [<!ENTITY l0 "lol">{levels}]><HealthData>&l11;</HealthData>'
    )
    assert report_of_nothing(tmp_path, "apple").count("file") == 1


BROKEN = "<!DOCTYPE HealthData [\n<!ATTLIST VisionPrescription\n  type CDATA #REQUIRED\n<!ELEMENT RightEye EMPTY>\n]>\n"


@pytest.mark.parametrize("name", ["exportar.xml", "Exportación.xml", "eksport.XML"])
def test_an_apple_export_is_told_by_its_root_and_not_by_its_name(tmp_path: Path, name: str) -> None:
    apple(tmp_path / "apple_health_export" / name)
    (tmp_path / "apple_health_export" / "export_cda.xml").write_text("<ClinicalDocument><a/></ClinicalDocument>")
    built = build(tmp_path, "apple", jobs=1)
    assert built.report.seen["files"] == 1
    assert_day(built.table, HEART | SLEEP)
    with pytest.raises(InputError, match="whose root is HealthData"):
        build(tmp_path / "apple_health_export" / "export_cda.xml", "apple", jobs=1)


def test_the_document_type_of_ios_16_costs_no_record(tmp_path: Path) -> None:
    apple(tmp_path / "export.xml")
    whole = build(tmp_path, "apple", jobs=1)
    text = (tmp_path / "export.xml").read_text()
    start, end = text.index("<!DOCTYPE"), text.index("<HealthData locale")
    (tmp_path / "export.xml").write_text(text[:start] + BROKEN + text[end:])
    built = build(tmp_path, "apple", jobs=1)
    assert built.table.equals(whole.table)
    assert built.report.to_dict() == whole.report.to_dict()


@pytest.mark.parametrize("size", [7, 64, 1 << 16])
def test_characters_that_xml_forbids_are_dropped_and_counted(
    tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A control character, a reference to one, and a byte of another encoding, wherever the stream is cut."""
    monkeypatch.setattr("sensecf.sensors.formats.apple.CHUNK", size)
    apple(tmp_path / "export.xml")
    whole = build(tmp_path, "apple", jobs=1)
    data = (tmp_path / "export.xml").read_bytes()
    for odd in (b"\x0b", b"&#11;", b"&#x1F;", b"\xff"):
        data = data.replace(b'"Watch"', b'"Wat' + odd + b'ch &amp; co&#233;"', 1)
    (tmp_path / "export.xml").write_bytes(data)
    built = build(tmp_path, "apple", jobs=1)
    assert built.report.count("character") == 4
    assert built.report.count("file") == 0
    assert built.table.equals(whole.table)


@pytest.mark.parametrize("split", [False, True])
def test_the_golden_day_of_oura(tmp_path: Path, split: bool) -> None:
    oura(tmp_path, split)
    table = rows(tmp_path, "oura")
    expected = {"steps": 6000, "active_kcal": 260, "active_min": 30, "spo2_mean_pct": 96.4, "hrv_rmssd_ms": 34,
                "respiration_mean_brpm": 14.5}  # fmt: skip
    assert_day(table, HEART | SLEEP | expected)
    assert table["date"].tolist() == ["2024-03-05"]


def test_the_csv_of_oura_s_trends(tmp_path: Path) -> None:
    (tmp_path / "trends.csv").write_text(
        "date,Sleep Score,Deep Sleep Duration,REM Sleep Duration,Light Sleep Duration,Awake Time,Average HRV,Steps\n"
        "2024-03-05,80,5400,6300,13500,1800,34,6000\n2024-03-06,,,,,,,7000\n"
    )
    table = rows(tmp_path, "oura")
    assert_day(table, SLEEP | {"steps": 6000, "hrv_rmssd_ms": 34})
    assert table["steps"].tolist() == [6000, 7000]


# --- all --------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["apple", "dexcom", "fitbit", "garmin", "libre", "oura"])
def test_a_folder_without_such_files_is_refused(tmp_path: Path, form: str) -> None:
    (tmp_path / "readme.txt").write_text("nothing here")
    with pytest.raises(InputError, match="holds no"):
        build(tmp_path, form)
    with pytest.raises(InputError, match="does not exist"):
        build(tmp_path / "absent", form)


def test_two_people_in_folders_and_a_different_day_each(tmp_path: Path) -> None:
    oura(tmp_path / "ada")
    oura(tmp_path / "bob")
    table = rows(tmp_path, "oura", folders_are_people=True)
    assert table["person_id"].tolist() == ["ada", "bob"]


# --- LifeSnaps --------------------------------------------------------------------------------

LIFESNAPS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "lifesnaps_daily"


@pytest.mark.skipif(not LIFESNAPS.is_dir(), reason="the public LifeSnaps table is not beside the checkout")
def test_the_published_lifesnaps_table_gives_the_values_of_the_prepared_one() -> None:
    built = build(LIFESNAPS, "lifesnaps", jobs=1)
    prepared = pd.read_csv(LIFESNAPS / "lifesnaps_stress.csv")
    both = built.table.merge(
        prepared, left_on=["person_id", "date"], right_on=["participant_id", "date"], suffixes=("", "_prepared")
    )
    assert len(both) == len(prepared) == 1560
    for mine, theirs, slack in (
        ("sleep_total_min", "sleep_min", 0.5), ("hrv_rmssd_ms", "rmssd_ms", 0.051),
        ("resting_hr_bpm", "resting_hr_bpm_prepared", 0.051), ("steps", "steps_prepared", 0.5),
        ("sleep_efficiency_pct", "sleep_efficiency_pct_prepared", 0.051), ("fitbit_stress_score", "stress_score", 0),
    ):  # fmt: skip
        entry = known_feature(mine)
        assert entry is not None
        sensible = both[theirs].between(entry.low, entry.high)
        assert (both[mine].notna() == sensible).all(), mine
        assert ((both[mine] - both[theirs]).abs().dropna() <= slack).all(), mine
    assert (both["active_min"] == both["moderately_active_min"] + both["very_active_min"]).all()
    assert built.card.shareable


def test_a_lifesnaps_table_of_another_shape_is_reported(tmp_path: Path) -> None:
    (tmp_path / "daily_fitbit_sema_df_unprocessed.csv").write_text("id,date,steps\na,2021-05-24,5\n")
    assert report_of_nothing(tmp_path, "lifesnaps").count("file") == 1


# --- T1D-UOM ----------------------------------------------------------------------------------

UOM_DAY = HEART | SLEEP | GLUCOSE | {
    "resting_hr_bpm": 62.5, "steps": 6000, "distance_m": 4002, "active_kcal": 260, "active_min": 40,
    "sedentary_min": 1400, "very_active_min": 0, "bolus_insulin_u": 6.5, "carbs_g": 110, "stress_mean": 30.0,
}  # fmt: skip


@pytest.mark.parametrize("exchanged", [False, True])
def test_the_golden_day_of_t1d_uom(tmp_path: Path, exchanged: bool) -> None:
    t1d_uom(tmp_path, exchanged)
    built = build(tmp_path, "t1d_uom", jobs=1, keep_stress_mean=True)
    assert built.table["person_id"].tolist() == ["2301"]
    assert_day(built.table, UOM_DAY)
    assert built.report.count("record") == 3  # a repeated epoch, a shorter record of the night, a meal without amount
    assert (sum("exchanged" in note for note in built.report.notes) == 1) == exchanged
    assert built.card.shareable


def test_a_night_without_intervals_keeps_its_stages(tmp_path: Path) -> None:
    t1d_uom(tmp_path, intervals=False)
    built = build(tmp_path, "t1d_uom", jobs=1)
    assert_day(built.table, SLEEP)
    assert any("one after the other" in note for note in built.report.notes)


def test_a_folder_without_t1d_uom_files_and_a_file_without_its_columns_are_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no T1D-UOM files"):
        build(tmp_path, "t1d_uom", jobs=1)
    (tmp_path / "UoMGlucose2301.csv").write_text("time,glucose\n01/01/2024 00:00,5\n")
    assert report_of_nothing(tmp_path, "t1d_uom").count("file") == 1
