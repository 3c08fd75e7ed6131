"""The start: a run folder, a table with its schema, or the simulated cohort becomes a `Cohort`, phase by phase."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from sensecf import generators
from sensecf.core.errors import InputError, MissingExtraError
from sensecf.core.files import cache_folder
from sensecf.core.limits import HOLD
from sensecf.core.schema import FeatureSchema
from sensecf.core.task import Task
from sensecf.data.builtin import load
from sensecf.data.tables import read_table
from sensecf.generators import Context
from sensecf.generators.choice import AUTO, choose
from sensecf.generators.search import THOROUGH, Search
from sensecf.pipeline.consequences import Mechanisms
from sensecf.pipeline.hold import Holding
from sensecf.runs.experiment import Progress, Setup, experiment, prepared
from sensecf.runs.findings import findings
from sensecf.runs.finished import facts_of, lessons_of, request_of, shares_of, summary_of, take_model
from sensecf.runs.record.bound import Made
from sensecf.runs.run import load_task
from sensecf.web.cohort import Cohort, encode_people
from sensecf.web.trust import Trust, trust_of

#: What is shown of each phase, in order.
PHASES = {
    "reading": "Reading the table",
    "classifier": "Fitting the classifier",
    "search": "Searching for examples to learn from",
    "pairs": "Learning from examples",
    "verdicts": "Learning from the classifier’s verdicts",
    "warming": "Getting ready for the first question",
}
SIMULATED = "The data are simulated, shaped like daily summaries of a study. No row is a person’s."


@dataclass(frozen=True)
class PageSource:
    """What the page is opened with: a run folder, a table and its schema, or neither."""

    path: Path | None = None
    schema: Path | None = None
    classifier: str = "xgboost"
    generator: str = AUTO
    target: str | None = None
    seed: int = 0
    classes: tuple[str, ...] = ()
    trust: bool = False
    marks: Mapping[str, Any] = field(default_factory=dict)
    hold: float | None = None


@dataclass
class Start:
    """How far the start is: `shares` by phase, and in the end `cohort` or `problem`."""

    source: PageSource
    shares: dict[str, float] = field(default_factory=dict)
    cohort: Cohort | None = None
    problem: str = ""

    def begin(self) -> None:
        """Start in a thread of its own; the page shows how far it is."""
        threading.Thread(target=self.run, name="sensecf-start", daemon=True).start()

    def run(self) -> None:
        """Make the cohort, or keep the problem in words. Raises nothing: the page has to show it."""
        try:
            self.cohort = make_cohort(self.source, self.say)
            # Meanwhile the page is looked at; who asks for a plan waits for it.
            self.cohort.held()
            self.cohort.task.once(Mechanisms)
            self.cohort.task.once(Made)
        except InputError as error:
            self.problem = str(error)
        except Exception as error:  # the page would wait for ever
            self.problem = (
                f"This is an error of ours ({type(error).__name__}: {error}). The terminal has no more to say."
            )

    def say(self, phase: str, share: float) -> None:
        """Note how far a phase is; those before it are done."""
        for name in PHASES:
            if name == phase:
                break
            self.shares[name] = 1.0
        self.shares[phase] = share


def make_cohort(source: PageSource, say: Progress = lambda phase, share: None) -> Cohort:
    """The cohort behind a source. Raises `InputError` for what cannot be used."""
    say("reading", 0.0)
    if source.path is not None and source.path.is_dir():
        cohort = _from_run(source.path, say, source.trust, source.hold)
    elif source.path is not None:
        if source.schema is None:
            raise InputError(
                f"a table needs its schema: sensecf serve {source.path} --schema schema.toml "
                f"(made by: sensecf schema {source.path} --label COL > schema.toml)"
            )
        schema = FeatureSchema.from_toml(source.schema)
        cohort = _from_table(read_table(source.path, schema, **source.marks), schema, source, say, source.path.stem, "")
    else:
        data = load("simulated")
        cohort = _from_table(data.frame, data.schema, source, say, "Simulated cohort", SIMULATED)
    say("warming", 0.0)
    cohort.warm()
    say("warming", 1.0)
    return cohort


def _from_table(
    frame: pd.DataFrame, schema: FeatureSchema, source: PageSource, say: Progress, title: str, notice: str
) -> Cohort:
    setup = Setup(source.classifier, source.classes, source.target, seed=source.seed)
    made = experiment(prepared(frame, schema, setup), say)
    task, people = made.task, made.table.held_out
    task.once(Holding).settle(None, source.seed, cache=cache_folder())
    # As `explain` chooses for the same table, so that both give one answer.
    chosen, _ = choose(source.generator, int((~made.there(made.target)).sum()), source.classifier)
    generator, told = _generator(chosen, task, Context(source.seed, 1.0, cache=cache_folder(), progress=say))
    summary, reliability = made.quality(made.target)
    known = _learned(task, source.classifier, title, datetime.now(UTC))
    cohort = Cohort(
        task,
        generator,
        Search(task, source.seed, effort=THOROUGH),
        made.target,
        *encode_people(task, people),
        title,
        " ".join(part for part in (notice, told) if part),
        source.classifier,
        source.seed,
        hold=HOLD if source.hold is None else source.hold,
    )
    return _trusted(cohort, trust_of(summary, reliability.to_dict(orient="records"), known))


def _from_run(folder: Path, say: Progress, trust: bool, hold: float | None) -> Cohort:
    facts = facts_of(folder)
    say("classifier", 0.0)
    task = load_task(folder, trust=trust)
    say("classifier", 1.0)
    # All days of the people asked about, where the run says whose its rows are.
    days = folder / "held_out.csv"
    people = read_table(days if days.is_file() else folder / "factuals.csv", decimal=".").set_index("query")
    take_model(folder)
    if task.once(Holding).folder is None:
        task.once(Holding).settle(None, int(facts.get("seed", 0)), cache=cache_folder())
    seed, dial = int(facts.get("seed", 0)), float(facts.get("plausibility", 1.0))
    context = Context(seed, dial, cache=cache_folder(), progress=say, options=lessons_of(folder, request_of(facts)))
    generator, told = _generator(str(facts.get("generator", "tiny")), task, context)
    notice = " ".join(part for part in (str(facts.get("notice", "")), told) if part)
    classifier = str(facts.get("classifier", ""))
    made = datetime.fromtimestamp((folder / "run.json").stat().st_mtime, UTC)
    known = _learned(task, classifier, task.schema.name or folder.name, made)
    cohort = Cohort(
        task,
        generator,
        Search(task, seed, effort=THOROUGH, plausibility=dial),
        task.schema.find_class(facts["target"]),
        *encode_people(task, people),
        task.schema.name or folder.name,
        notice,
        classifier,
        seed,
        dial,
        run_shares=shares_of(folder, facts),
        hold=request_of(facts).limits.hold if hold is None else hold,
        findings=findings(folder),
    )
    return _trusted(cohort, trust_of(summary_of(folder), facts.get("reliability", []), known))


def _learned(task: Task, classifier: str, data: str, made: datetime) -> Trust:
    """What is known of a classifier before anything is measured."""
    person = task.schema.person
    people = int(task.train[person].nunique()) if person is not None and person in task.train else 0
    return Trust(classifier, data, made.date().isoformat(), len(task.train), people)


def _trusted(cohort: Cohort, trust: Trust) -> Cohort:
    """The cohort with its trust, in the direction in which probabilities are shown."""
    return replace(cohort, trust=trust.turned_round() if cohort.turned_round else trust)


def _generator(name: str, task: Task, context: Context) -> tuple[generators.Generator, str]:
    """The generator, and a remark where another stands in because a package is not installed."""
    try:
        return generators.build(name, task, context), ""
    except MissingExtraError as error:
        return Search(task, context.seed, plausibility=context.plausibility), f"Plans come from the search: {error}."
