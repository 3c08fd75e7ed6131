"""What AI-READI knows of a person beside the sensors: participants.tsv and the OMOP clinical tables."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from sensecf.data.infer.catalogue import GROUPS
from sensecf.sensors.recording import Facts
from sensecf.sensors.report import Report

#: Rows of an OMOP table held in memory at a time (version 3 has 700,000 observations).
CHUNK = 50_000

#: REDCap code or label (lower case) to (feature, low, high). Version 3 writes "code, label", version 1 the label.
MEASUREMENTS = {
    "bmi_vsorres": ("bmi", 10, 100),
    "bmi": ("bmi", 10, 100),
    "import_hba1c": ("hba1c_pct", 3, 20),
    "hba1c (%)": ("hba1c_pct", 3, 20),
    "bp1_sysbp_vsorres": ("sbp", 50, 300),
    "bp2_sysbp_vsorres": ("sbp", 50, 300),
    "systolic (mmhg)": ("sbp", 50, 300),
    "bp1_diabp_vsorres": ("dbp", 20, 200),
    "bp2_diabp_vsorres": ("dbp", 20, 200),
    "diastolic (mmhg)": ("dbp", 20, 200),
}
#: Codes of the questionnaires' totals. 555, 777, 888, 99 and 999 stand for "no answer" and lie outside the ranges.
OBSERVATIONS = {"cestl": ("cesd10", 0, 30), "paidscore": ("paid5", 0, 20)}


def read_facts(base: Path, clinical: Path, report: Report) -> dict[str, Facts]:
    """Facts by person id (text): age, study_group, clinical_site, recommended_split, and clinical values (means).

    Tables that are absent or cannot be read are noted in the report and leave their columns blank.
    """
    facts = _participants(base / "participants.tsv", report)
    for table, prefix, names in (
        (clinical / "measurement.csv", "measurement", MEASUREMENTS),
        (clinical / "observation.csv", "observation", OBSERVATIONS),
    ):
        for (person, feature), value in _omop(table, f"{prefix}_source_value", names, report).items():
            facts.setdefault(person, {})[feature] = value
    return facts


def _participants(path: Path, report: Report) -> dict[str, Facts]:
    table = _read(path, "\t", report)
    if table is None:
        return {}
    column = next((name for name in ("person_id", "participant_id") if name in table), None)
    if column is None:
        report.reject("file", "no column person_id or participant_id", path.name)
        return {}
    facts: dict[str, Facts] = {}
    for record in table.to_dict("records"):
        person = str(record[column]).strip()
        if person in ("", "nan"):
            report.reject("person", "no id in participants.tsv", path.name)
            continue
        mine: Facts = {}
        for name in ("study_group", "clinical_site", "recommended_split"):
            text = record.get(name)
            if isinstance(text, str) and text.strip():
                mine[name] = text.strip()
        if "study_group" in mine and mine["study_group"] not in GROUPS:
            report.reject("value", f"study_group {mine.pop('study_group')!r} is unknown", path.name)
        age = pd.to_numeric(str(record.get("age")), errors="coerce")
        if 0 < age < 130:
            mine["age"] = int(age)
        elif "age" in table:
            report.reject("value", "age blank or impossible", path.name)
        facts[person] = mine
    report.seen["people listed"] += len(facts)
    return facts


def _read(path: Path, separator: str, report: Report) -> pd.DataFrame | None:
    try:
        return pd.read_csv(path, sep=separator, dtype=str)
    except FileNotFoundError:
        report.notes[f"{path.name} is absent"] += 1
    except (OSError, ValueError) as error:  # ParserError, EmptyDataError and UnicodeDecodeError are ValueErrors
        report.reject("file", f"cannot be read: {str(error).splitlines()[0]}", path.name)
    return None


def _omop(
    path: Path, source: str, names: dict[str, tuple[str, int, int]], report: Report
) -> dict[tuple[str, str], float]:
    """Mean value by person and feature of the wanted rows of one long OMOP table."""
    sums: dict[tuple[str, str], list[float]] = {}
    wanted = {"person_id", source, "value_as_number"}
    try:
        for chunk in pd.read_csv(path, usecols=list(wanted), dtype=str, chunksize=CHUNK):
            text = chunk[source].fillna("").str.strip().str.lower()
            code = text.str.split(",", n=1).str[0].str.strip()
            key = code.where(code.isin(names), text)
            rows = key.isin(names)
            values = pd.to_numeric(chunk.loc[rows, "value_as_number"], errors="coerce")
            people = chunk.loc[rows, "person_id"].fillna("").str.strip()
            for person, name, value in zip(people, key[rows], values, strict=True):
                feature, low, high = names[name]
                if person and low <= value <= high:
                    sums.setdefault((person, feature), []).append(float(value))
                else:
                    report.reject("value", f"{feature}: blank, no answer, or outside {low} to {high}", path.name)
    except FileNotFoundError:
        report.notes[f"{path.name} is absent"] += 1
    except (OSError, ValueError) as error:
        report.reject("file", f"cannot be read: {str(error).splitlines()[0]}", path.name)
    return {key: sum(values) / len(values) for key, values in sums.items()}
