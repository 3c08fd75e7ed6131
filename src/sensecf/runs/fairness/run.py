"""One run of `sensecf fairness`: from a run of `explain` to a folder that says who pays more."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.files import replacing, write_json, write_text
from sensecf.core.folder import claimed, named
from sensecf.core.version import __version__
from sensecf.runs.experiment import QUIETLY, Call, check_counts
from sensecf.runs.fairness.figure import figure
from sensecf.runs.fairness.groups import attributes
from sensecf.runs.fairness.measures import by_group, found, gaps
from sensecf.runs.fairness.mending import mending
from sensecf.runs.fairness.proxies import proxies
from sensecf.runs.fairness.report import sheet, verdict
from sensecf.runs.findings import into_report
from sensecf.runs.whose import People, people_of

#: Files of the folder beside `run.json` and `report.html`.
TABLES = ("groups", "gaps", "proxies", "mending")


@dataclass(frozen=True)
class FairnessSpec:
    """What `sensecf fairness` was asked; see its options."""

    protected: tuple[str, ...] = ()
    mend: bool = True
    seed: int = 0


@dataclass(frozen=True)
class Fairness:
    """What was found. `groups`, `gaps`, `proxies`, `mending`: the tables of the folder; `facts`: what `run.json`
    says."""

    groups: pd.DataFrame
    gaps: pd.DataFrame
    proxies: pd.DataFrame
    mending: pd.DataFrame
    facts: Mapping[str, Any]

    @property
    def claimed(self) -> pd.DataFrame:
        """The gaps that are claimed."""
        return self.gaps[self.gaps["claimed"]]


def fairness(
    folder: str | Path,
    out: str | Path,
    request: FairnessSpec = FairnessSpec(),
    *,
    table: Path | None = None,
    classifier: Any = None,
    trust: bool = False,
    call: Call = QUIETLY,
) -> Fairness:
    """Compare the groups of a run by its protected features, into the folder `out`.

    First how the classifier treats groups of held-out people, then who is left without a plan, whether plans hold, what
    they cost and what they ask, with intervals over whole people and tests that are corrected for their number. Groups
    of fewer than ten people are not shown. Raises `InputError` for what cannot be used, before anything is written.
    """
    check_counts(seed=request.seed)
    call.progress("opening", 0.0)
    people = people_of(Path(folder), table, classifier, trust)
    by, why = attributes(people, request.protected)
    call.progress("opening", 1.0)
    asked = {**asdict(request), "command": "fairness", "run": people.facts["data"], "sensecf": __version__}
    place = named(out)
    with claimed(place, asked, call.overwrite):
        began = time.perf_counter()
        made = found(people)
        call.progress("comparing", 0.0)
        groups, hidden = by_group(made, by, request.seed)
        call.progress("comparing", 0.3)
        apart = gaps(made, by, request.seed)
        call.progress("comparing", 0.8)
        stand_ins = proxies(made, by, request.seed)
        call.progress("comparing", 1.0)
        gapped = apart if request.mend else apart.iloc[:0]
        tried = mending(made, by, gapped, request.seed, lambda share: call.progress("mending", share))
        names = [one.name for one in by if not one.pair]
        facts = {
            **asked,
            "protected": names,
            "protected_why": why,
            "protected_edited": edited(people.answers, names),
            "hidden": hidden,
            "target": people.target,
            "requests": len(people.answers.factuals),
            "held_out": len(people.table.held_out),
            "claims": int(apart["claimed"].sum()),
            "notes": notes(people),
            "arguments": call.arguments,
            "seconds": round(time.perf_counter() - began, 1),
        }
        done = Fairness(groups, apart, stand_ins, tried, facts)
        done = replace(done, facts={**facts, "verdict": verdict(done)})
        _write(place, done, people)
        into_report(Path(folder))
        return done


def edited(answers: Counterfactuals, names: list[str]) -> dict[str, int]:
    """How many plans change each protected feature: 0, unless the schema lets them."""
    changed = answers.changes()["feature"].value_counts()
    return {name: int(changed.get(name, 0)) for name in names}


def notes(people: People) -> list[str]:
    """What a reader must know of where the numbers are from."""
    out = []
    if people.table.named:
        out.append("The queries of the run were named and have no label: the classifier's own gaps are not known.")
    if people.request.limits.hold > 0:
        out.append(f"Plans are those that hold in {people.request.limits.hold:.0%} of refits.")
    if people.facts.get("limit"):
        out.append("The run asked about some of the held-out rows only; social burden is over those.")
    return out


def _write(folder: Path, made: Fairness, people: People) -> None:
    """Everything that is left, `run.json` last."""
    for name in TABLES:
        with replacing(folder / f"{name}.csv") as path:
            getattr(made, name).to_csv(path, index=False)
    drawn = figure(made)
    write_text(folder / "fairness.svg", drawn)
    sheet(made, people, drawn).write(folder)
    if people.table.card is not None:
        people.table.card.save(folder)
    write_json(folder / "run.json", made.facts)
    for path in (folder / "unfinished").glob("*"):
        path.unlink()
    (folder / "unfinished").rmdir()
