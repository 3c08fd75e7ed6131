"""Plans and decisions of a folder, written for other systems."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from sensecf.core.errors import InputError
from sensecf.core.files import write_text
from sensecf.core.folder import named
from sensecf.core.version import __version__
from sensecf.runs.record import redcap
from sensecf.runs.record.fhir import bundle, check_system
from sensecf.runs.record.journal import FILE, Journal
from sensecf.runs.record.plans import KeptPlan, plans_of
from sensecf.runs.record.sheet import paces, weeks_of
from sensecf.runs.record.written import decisions_text, plans_text
from sensecf.runs.run import load_task

#: The formats, and what each leaves in its folder beside `seal.json`.
FORMATS = {
    "csv": ("plans.csv", "decisions.csv"),
    "redcap": ("redcap.csv", "redcap_dictionary.csv"),
    "fhir": ("plans.fhir.json",),
}
#: What an export was made of: version, time, how many plans, and the hash of the journal's last line.
SEAL = "seal.json"


def export(
    folder: Path, form: str, out: str | Path, *, system: str = "", decided: bool = False, overwrite: bool = False
) -> list[Path]:
    """Write the plans of a run folder, and of its journal, into the folder `out`; returns the files.

    `form`: one of `FORMATS`. `system`: for FHIR, the namespace of the persons' ids. `decided`: only plans that somebody
    decided on or kept. Raises `InputError` where there is no plan, for a journal that was changed, for FHIR without
    a namespace, for REDCap and FHIR where the table names no person, and for files that exist unless `overwrite`.
    """
    if form not in FORMATS:
        raise InputError(f"format {form!r} is unknown; use {', '.join(FORMATS)}")
    if form == "fhir":
        check_system(system)
    target = named(out)
    if target.exists() and not target.is_dir():
        raise InputError(f"{target} is a file; name a folder with --out")
    there = [name for name in (*FORMATS[form], SEAL) if (target / name).exists()]
    if there and not overwrite:
        raise InputError(f"{target} holds {there[0]}; choose another --out or add --overwrite")
    plans = plans_of(folder, decided)
    journal = Journal(folder) if (folder / FILE).exists() else None
    texts = _texts(folder, form, plans, journal, system)
    for name, text in texts.items():
        write_text(target / name, text)
    made = {
        "sensecf": __version__,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "plans": len(plans),
        "journal": "" if journal is None else journal.seal,
    }
    write_text(target / SEAL, json.dumps(made, indent=2) + "\n")
    return [target / name for name in (*texts, SEAL)]


def _texts(folder: Path, form: str, plans: list[KeptPlan], journal: Journal | None, system: str) -> dict[str, str]:
    if form == "csv":
        found: dict[str, Callable[[], str]] = {"plans.csv": lambda: plans_text(plans)}
        if journal is not None:
            found["decisions.csv"] = lambda: decisions_text(journal.of_kind("decision"))
        return {name: make() for name, make in found.items()}
    if form == "redcap":
        return {"redcap.csv": redcap.data(plans), "redcap_dictionary.csv": redcap.dictionary()}
    today = datetime.now(UTC).date().isoformat()
    pace = paces(load_task(folder)) if (folder / "task").exists() else {}
    weeks = {plan.id: weeks_of(plan, pace) for plan in plans} if pace else {}
    return {"plans.fhir.json": bundle(plans, system, today, weeks)}
