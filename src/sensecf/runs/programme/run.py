"""`programme`: a finished run into a folder of programmes.

The folder holds `run.json`, `programmes.csv`, `people.csv`, `days.csv`, `groups.csv`, `sets.csv`, `consequences.csv`,
`budget.csv`, `redcap.csv` with `redcap_dictionary.csv`, `reach.svg` and `programme.html`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sensecf.core.errors import InputError
from sensecf.core.files import replacing, write_json, write_text
from sensecf.core.folder import FILES, UNFINISHED, claimed, named, remove
from sensecf.core.people import some
from sensecf.core.version import __version__
from sensecf.data.card import card_beside
from sensecf.pipeline.programme.asks import CANDIDATES
from sensecf.pipeline.programme.find import FEWEST, PRICE, Found, find
from sensecf.pipeline.weeks import MISSED
from sensecf.runs.experiment import QUIETLY, Call, check_counts
from sensecf.runs.finished import facts_of, quality_of
from sensecf.runs.programme.cohort import Opened, judges, opened
from sensecf.runs.programme.redcap import dictionary, records
from sensecf.runs.programme.report import figure, page
from sensecf.runs.programme.tables import EXPECTED, Tables, plain, tables
from sensecf.runs.run import versions

#: What is written beside `run.json`.
OWN_FILES = (
    "programmes.csv",
    "people.csv",
    "days.csv",
    "groups.csv",
    "sets.csv",
    "consequences.csv",
    "budget.csv",
    "redcap.csv",
    "redcap_dictionary.csv",
    "reach.svg",
    "programme.html",
)


@dataclass(frozen=True)
class ProgrammeSpec:
    """What `sensecf programme` was asked; see its options.

    `most`: programmes at most; `candidates` to choose from at most; `price`: what a typical plan's effort takes off the
    worth of a turned day; `prices`: the cost per person of each feature that a programme moves (1 where nothing is
    said); `budget`: what may be spent in all, in the same unit.

    >>> sensecf.ProgrammeSpec(most=2).most
    2
    """

    most: int = 3
    candidates: int = CANDIDATES
    price: float = PRICE
    prices: Mapping[str, float] = field(default_factory=dict)
    budget: float | None = None
    seed: int | None = None


@dataclass(frozen=True)
class Programmes:
    """What was found: the run as it was opened, the programmes, the tables and the facts of `run.json`."""

    run: Opened
    found: Found
    tables: Tables
    facts: Mapping[str, Any]


def programme(
    run: str | Path,
    out: str | Path,
    request: ProgrammeSpec = ProgrammeSpec(),
    *,
    people: pd.Series[Any] | None = None,
    classifier: str | None = None,
    trust: bool = False,
    call: Call = QUIETLY,
) -> Programmes:
    """The few programmes that turn the most days of the people in a finished run, into the folder `out`.

    `people`: whose each row is, where the run does not say. `classifier`, `trust`: see `load_task`. The same run and
    request give the same files. Raises `InputError` for what cannot be used.

    >>> sensecf.programme("plans", folder / "programme")  # doctest: +SKIP
    """
    source, folder = Path(run), named(out)
    if folder.resolve() == source.resolve():
        raise InputError(f"{folder} is the run that programmes are made of; name another folder with --out")
    call.progress("opening", 0.0)
    facts_of(source)
    there = opened(source, classifier, trust, people)
    check(request, there)
    call.progress("opening", 1.0)
    asked = {**asdict(request), "run": source.name, "command": "programme", "sensecf": __version__}
    with claimed(folder, asked, call.overwrite):
        who = judges(there, lambda share: call.progress("jury", share))
        call.progress("programmes", 0.0)
        seed = there.seed if request.seed is None else request.seed
        found = find(there.cohort, who, request.most, seed=seed, limit=request.candidates, price=request.price)
        if not found.sets:
            raise InputError(
                "no programme turns a day of the people who pick; what there is are plans of their own: "
                f"{source / 'report.html'}"
            )
        made = tables(there, found, request.prices, request.budget)
        quality = quality_of(source, facts_of(source))
        facts = {**asked, **_facts(there, found, made, len(who.count)), "quality": quality}
        facts |= {"versions": versions(), "arguments": call.arguments}
        result = Programmes(there, found, made, facts)
        _write(result, folder, source)
        call.progress("programmes", 1.0)
    return result


def check(request: ProgrammeSpec, run: Opened) -> None:
    """Raise `InputError` for an option that nothing can be found with."""
    check_counts(programmes=request.most, candidates=request.candidates, seed=request.seed)
    if not 0 <= request.price <= 1:
        raise InputError(f"--price must lie between 0 and 1, not {request.price:g}")
    if request.budget is not None and not request.budget >= 0:
        raise InputError(f"--budget must be 0 or more, not {request.budget:g}")
    for name, price in request.prices.items():
        run.task.schema[name]
        if not 0 < price < float("inf"):
            raise InputError(f"--cost {name}={price:g}: a cost is a positive number")


def _facts(run: Opened, found: Found, made: Tables, counting: int) -> Mapping[str, Any]:
    """What `run.json` says beside what was asked."""
    best = made.sets.iloc[-1]
    picking = int(found.picks.sum())
    counted = run.cohort.count - picking
    return {
        "target": run.target,
        "notice": run.notice,
        "people": run.cohort.count,
        "rows_are": run.called.days,
        "asked_are": run.called.many,
        "people_who_picked": picking,
        "people_counted": counted,
        "days": len(run.cohort.query),
        "candidates": len(found.tried),
        "jurors_counting": counting,
        "hold": 0.0 if run.held is None else run.held.hold,
        "no_jury": run.no_jury,
        "programmes": plain(made.programmes),
        "sets": plain(made.sets),
        "reached": float(best["reached"]),
        "headline": headline(run, found, made),
        "expected": claim(made),
        "how": how(run, found, counting),
        "missed_week": MISSED,
        "budget_spent": None
        if made.spent is None
        else {"cost": made.spent.cost, "days": made.spent.value, "people": int((made.spent.given >= 0).sum())},
    }


def headline(run: Opened, found: Found, made: Tables) -> str:
    """The first sentence: how many programmes turn how many days of whom."""
    best = made.sets.iloc[-1]
    count = int(best["programmes"])
    apart = bool((~found.picks).any())
    if run.called.people:
        whom = (
            f" of {some(int(best['people']), 'people')} who took no part in picking them" if apart else " of the people"
        )
    else:
        whom = " that took no part in picking them" if apart else ""
    low, high = best["low"], best["high"]
    span = "" if np.isnan(low) else f" ({low:.0%} to {high:.0%})"
    share, least, most = (best[name] for name in EXPECTED)
    ends = f" ({least:.0%} to {most:.0%})" if most - least > 0.005 else ""
    truly = "" if np.isnan(share) else f" Of these, {share:.0%}{ends} are expected to be so in truth."
    return (
        f"{count} {'programme turns' if count == 1 else 'programmes turn'} {best['reached']:.0%}{span} of the "
        f"{some(int(best['days']), run.called.days)}{whom} to {run.target}.{truly}"
    )


def claim(made: Tables) -> str:
    """Where the share that is expected in truth comes from, in words."""
    told = made.calibration
    if told.because:
        said = f"The classifier's probabilities are not calibrated: {told.because}."
    else:
        said = (
            "Expected in truth: the classifier's probability, set right by rows of others than it learned from "
            f"(log-odds times {told.slope:.2f}, {told.intercept:+.2f})"
        )
        said += "." if told.against else ", with what is expected to follow."
    if told.against:
        one, other = told.against
        said += (
            f" Nothing is counted as following: {one} and {other} move together, which the accepted causes say they "
            "do not, so something hidden is at work. The upper end leaves it out; at the lower end it moves "
            "the label as strongly as what it is seen to move; the middle is claimed."
        )
    return said


def how(run: Opened, found: Found, counting: int) -> str:
    """Who picked and who counted, in words."""
    picking, counted = int(found.picks.sum()), int((~found.picks).sum())
    if run.held is None:
        judged = f"Nothing is said of whether it holds: {run.no_jury}."
    else:
        judged = (
            f"A {run.called.day} counts as turned where {run.held.hold:.0%} of {counting} refits agree that took no "
            "part in the plans, in picking programmes or in giving them out."
        )
    if counted:
        return f"Picked on {some(picking, run.called.many)}, counted on {counted} others. {judged}"
    return (
        f"All {picking} {run.called.many} picked: with fewer than {FEWEST} none is left to count on, so the shares "
        f"are too high rather than too low. {judged}"
    )


def _write(result: Programmes, folder: Path, source: Path) -> None:
    """All files, `run.json` last."""
    remove(folder, [*FILES, *OWN_FILES])
    made, facts = result.tables, result.facts
    frames = {
        "programmes": made.programmes,
        "people": made.people,
        "days": made.days,
        "groups": made.groups,
        "sets": made.sets,
        "consequences": made.consequences,
        "budget": made.budget,
        "redcap": records(made.people, made.days, result.found, result.run),
        "redcap_dictionary": dictionary(result.run.target),
    }
    for name, frame in frames.items():
        with replacing(folder / f"{name}.csv") as path:
            frame.to_csv(path, index=False)
    card = card_beside(source / "run.json")
    if card is not None:
        card.save(folder)
    picture = figure(made, result.run)
    write_text(folder / "reach.svg", picture)
    write_text(folder / "programme.html", page(result.run, result.found, made, facts, picture))
    write_json(folder / "run.json", facts)
    remove(folder, UNFINISHED)
