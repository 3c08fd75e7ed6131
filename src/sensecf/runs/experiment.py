"""`Experiment`: a classifier fitted to a table, the rows held out from it, and who is asked about.

`explain`, the dry run, `compare`, the page, `finetune` and the benchmarks are prepared here:

    prepare -> choose the targets -> fit -> check -> judge -> who is asked
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from sensecf import metrics
from sensecf.classifiers.fit import fit_classifier
from sensecf.classifiers.storage import data_hash
from sensecf.core.errors import InputError
from sensecf.core.judge import Judgement
from sensecf.core.parallel import LOCAL, Engine
from sensecf.core.people import Counted, counted, noun_of
from sensecf.core.query import out_of_range
from sensecf.core.rules import Bools, Floats
from sensecf.core.schema import FeatureSchema, Value
from sensecf.core.task import Ints, Task
from sensecf.core.version import FORMAT, __version__
from sensecf.data.prepare import prepare
from sensecf.data.whose import whose
from sensecf.runs.facts import TableFacts

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from narwhals.typing import IntoDataFrame

    from sensecf.data.card import Card

Progress = Callable[[str, float], None]


def silent(phase: str, share: float) -> None:
    """The progress of whom nobody watches."""


@dataclass(frozen=True)
class Call:
    """How a command is carried out, which changes none of its answers.

    `overwrite`: replace an older run. `notice`: a sentence that no reader may miss. `arguments`: the command
    line, for the record. `progress(phase, share)` is told how far each phase is. `confirm` is told what a language
    model costs at most before it is asked, and may raise. `engine`: where answers are worked out.
    """

    overwrite: bool = False
    notice: str = ""
    arguments: Mapping[str, object] = field(default_factory=dict)
    progress: Progress = silent
    confirm: Callable[[str], None] = lambda estimate: None
    engine: Engine = LOCAL


#: Nobody watches, and nothing is replaced.
QUIETLY = Call()


@dataclass(frozen=True)
class Setup:
    """What an experiment is made with.

    `classifier`: a name, `module:object` or an object, which `classes` says the classes of. `target`: the class to
    reach (None: the schema's), `each_class`: every class instead. `seed`: of the split and of the fit.
    """

    classifier: Any = "xgboost"
    classes: tuple[str, ...] = ()
    target: Any = None
    each_class: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Prepared:
    """A table that was checked and split.

    `frame`: the labelled rows; `train`, `held_out`: see `prepare`. `named`: the rows to ask about were named, and may
    have no label.
    """

    setup: Setup
    schema: FeatureSchema
    card: Card | None
    frame: pd.DataFrame
    train: pd.DataFrame
    held_out: pd.DataFrame
    named: bool

    @property
    def record(self) -> TableFacts:
        """Rows and schema as hashes, and the version: what must be the same for a run to go on."""
        schema = hashlib.sha256(self.schema.to_toml().encode()).hexdigest()
        found: TableFacts = {
            "format": FORMAT,
            "data": data_hash(self.frame),
            "schema": schema,
            "sensecf": __version__,
        }
        if self.named:
            found["queries"] = data_hash(self.held_out)
        return found

    def targets(self) -> list[Value]:
        """The classes to reach. Raises `InputError` when none is named, or none of its rows can be learned from."""
        setup, schema = self.setup, self.schema
        found = list(schema.classes) if setup.each_class else [schema.goal(setup.target)]
        known = self.train[schema.label].unique().tolist()
        for goal in found:
            if goal not in known:
                raise InputError(
                    f"class {goal!r} has no row to learn from; name another --target or add rows of that class"
                )
        return found

    def fit(self, say: Progress = silent) -> Task:
        """The classifier fitted to the training rows, and checked on the held-out ones.

        Raises `InputError` for a classifier that cannot be fitted or breaks its contract.
        """
        say("classifier", 0.0)
        setup, schema, train = self.setup, self.schema, self.train
        classifier = fit_classifier(setup.classifier, schema, train, seed=setup.seed, classes=setup.classes)
        task = Task(schema, train, classifier)
        task.check(task.codec.encode(self.held_out))
        say("classifier", 1.0)
        return task


def prepared(
    frame: IntoDataFrame,
    schema: FeatureSchema,
    setup: Setup = Setup(),
    queries: IntoDataFrame | None = None,
    card: Card | None = None,
) -> Prepared:
    """The first step: the table is checked and split. Raises `InputError` as `prepare` does."""
    labelled, train, held_out = prepare(frame, schema, queries, setup.seed)
    return Prepared(setup, schema, card, labelled, train, held_out, queries is not None)


@dataclass(frozen=True)
class Experiment:
    """A fitted task, its held-out rows and who of them is asked about.

    `table`: what it was made from; `targets`: the classes to reach; `rows` (n, d): the held-out rows, encoded;
    `outside`: why a held-out row cannot be asked about, by its position.
    """

    table: Prepared
    task: Task
    targets: list[Value]
    rows: Floats
    outside: dict[int, str]

    @property
    def target(self) -> Value:
        """The class to reach, the first where each is asked for."""
        return self.targets[0]

    @cached_property
    def judged(self) -> Judgement:
        """What the classifier says of the held-out rows; its own `predict` has the last word."""
        return self.task.judge(self.rows, final=True)

    @cached_property
    def inside(self) -> Bools:
        """Which held-out rows lie within the schema's ranges, shape (n,)."""
        return ~np.isin(np.arange(len(self.rows)), list(self.outside))

    def quality(self, target: Value) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The classifier's measures on the held-out rows and its reliability table; undefined where rows were named."""
        if self.table.named:
            return metrics.unknown(), pd.DataFrame()
        return metrics.quality(self.task, self.table.held_out, target, self.table.setup.seed)

    def there(self, target: Value) -> Bools:
        """Which held-out rows the classifier puts in a class, shape (n,)."""
        there: Bools = self.judged.predicted == self.task.target_position(target)
        return there

    def asked(self, limit: int | None = None) -> Ints:
        """Positions of the held-out rows that are asked about: those that were named, else those not in the target
        class. Raises `InputError` where there is none."""
        at = np.flatnonzero(self.table.named | ~self.there(self.target))[:limit]
        if not len(at):
            raise InputError(
                f"nobody to ask about: the classifier puts every held-out row in {self.target!r} already; "
                "name --queries"
            )
        return at

    def people(self, at: Ints) -> pd.Series[Any] | None:
        """The person of each held-out row at the positions `at`; None where the schema names none."""
        person, held_out = self.table.schema.person, self.table.held_out
        return held_out[person].iloc[at] if person is not None and person in held_out else None

    def counted(self, at: Ints) -> Counted:
        """How many rows of how many people those at the positions `at` are, in the table's own noun."""
        return counted(self.whose.iloc[at], noun_of(self.whose))

    @cached_property
    def whose(self) -> pd.DataFrame:
        """Whose the held-out rows are and when: columns `person`, `when` and those shown, as far as there are any."""
        return whose(self.table.schema, self.table.held_out)

    @cached_property
    def days(self) -> pd.DataFrame:
        """Every held-out row, asked about or not: whose it is and when, the features, the label where it is known,
        what the classifier says of it (`predicted`, `probability` of the target)."""
        task, table, said = self.task, self.table, self.judged
        position = task.target_position(self.target)
        verdict = {
            "predicted": np.array(task.classes, dtype=object)[said.predicted],
            "probability": said.proba[:, position].round(6),
        }
        found = pd.concat([task.codec.decode(self.rows, nullable=True), pd.DataFrame(verdict)], axis=1)
        found = pd.concat([self.whose, found.set_index(table.held_out.index)], axis=1)
        label = table.schema.label
        return pd.concat([found, table.held_out[label]], axis=1) if label in table.held_out else found


def experiment(table: Prepared, say: Progress = silent) -> Experiment:
    """All steps after the first. Raises `InputError` for what cannot be used."""
    targets = table.targets()
    task = table.fit(say)
    rows = task.codec.encode(table.held_out)
    return Experiment(table, task, targets, rows, out_of_range(task.codec, rows, table.held_out))


def record(request: DataclassInstance) -> dict[str, object]:
    """What a request says, as it stands in `run.json`: its limits each under its own name."""
    found: dict[str, object] = asdict(request)
    found |= cast(Mapping[str, object], found.pop("limits"))
    if found["prompting"] is None:
        del found["prompting"]
    return found


def check_counts(**counts: float | None) -> None:
    """Raise `InputError` for an option that must be at least 1 and is not, or for a seed that is none."""
    for name, value in counts.items():
        if name == "seed" and value is not None and not 0 <= value < 2**32:
            raise InputError(f"--seed must lie between 0 and {2**32 - 1}, not {value}")
        if name != "seed" and value is not None and value < 1:
            option = "-n" if name == "n" else f"--{name.replace('_', '-')}"
            raise InputError(f"{option} must be at least 1, not {value}")
