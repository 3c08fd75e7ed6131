"""`tuned`: a language model that was tuned on the table answers, once, in the words it was tuned on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np

from sensecf.core.candidates import Candidates
from sensecf.core.errors import InputError, MissingExtraError
from sensecf.core.kept import Json, read_record
from sensecf.core.query import Query
from sensecf.core.schema import FeatureSchema
from sensecf.core.task import Task
from sensecf.data.privacy_gate import withheld
from sensecf.generators.own import Own, note_added_up
from sensecf.generators.traits import Traits
from sensecf.llm import LLM
from sensecf.llm.ask import Answers, ask, ask_alone
from sensecf.llm.client import Client
from sensecf.llm.language.brief import Brief
from sensecf.llm.language.offered import Offered
from sensecf.llm.language.prompts import Prompts

#: The temperature of all answers but the first, which is the likeliest.
SAMPLING = 0.7


class Tuned:
    """The model in the folder that `finetune` wrote: one greedy answer and `samples` - 1 drawn ones per person.

    `model`: that folder, with an adapter or merged weights. `llm`: something else that serves the same
    model, such as vLLM; then nothing is loaded here.
    Raises `InputError` when the folder holds no tuned model, or one that was tuned on another table or
    in a wording that has changed since.
    """

    name = "tuned"
    traits = Traits(asks_model=True, greedy=True, takes=("samples", "llm", "device", "batch_size"), needs=("model",))

    def __init__(
        self,
        task: Task,
        seed: int = 0,
        *,
        model: str | Path,
        samples: int = 16,
        llm: LLM | None = None,
        device: str | None = None,
        batch_size: int = 64,
    ) -> None:
        if samples < 1:
            raise InputError(f"samples must be at least 1, not {samples}")
        self.folder = Path(model)
        self.record = read_facts(self.folder)
        _check(self.folder, self.record, task.schema)
        self.task, self.samples, self.seed, self.tokens = task, samples, seed, 0
        self._own = Own()
        words = worded(self.record["full"], self.record.get("offers", False))
        self.prompts: Prompts = words(task, withheld=withheld(task.schema), order=self.record["pairs"]["order"])
        self.llm = llm or Client(_open(self.folder, self.record, device, batch_size))

    def propose(self, query: Query, rng: np.random.Generator) -> Candidates:
        """A candidate per answer: a row, or the reason why it is none."""
        if isinstance(self.prompts, Offered) and len(query):
            note_added_up(self._own, self.prompts, query, self.prompts.ask(query))
        first = ask(self.prompts, self.llm, query, seed=self.seed, name=self.name)
        self.tokens += first.tokens
        self._note(query, first, 1)
        if self.samples == 1:
            return first.candidates
        drawn = ask(
            self.prompts, self.llm, query, self.samples - 1, temperature=SAMPLING, seed=self.seed, name=self.name
        )
        self.tokens += drawn.tokens
        self._note(query, drawn, self.samples - 1)
        return Candidates.concat([first.candidates, drawn.candidates])

    def _note(self, query: Query, answers: Answers, samples: int) -> None:
        for k, (text, reason) in enumerate(zip(answers.texts, answers.candidates.reason, strict=True)):
            if text:
                person = query.rows[k // samples] + 0.0  # one zero
                self._own.note(person.tobytes(), None if reason else text, bool(answers.verdicts.good[k]))

    def own(self) -> dict[str, int]:
        """What the model answered itself, in people: see `Own.counts`; its first answer is the likeliest."""
        return self._own.counts()

    def greedy(self, query: Query) -> Candidates:
        """The likeliest answer to each query, unverified and so asked for a lead (see `ask_alone`)."""
        return ask_alone(self.prompts, self.llm, query, seed=self.seed, name=self.name).candidates


class Shape(TypedDict):
    """What a table must have in common with the one that a model was tuned on: the levels or the kind of each feature,
    the label, its classes."""

    features: dict[str, list[str] | str]
    label: str
    classes: list[str]


class TunedRecord(TypedDict):
    """`tuned.json`, as far as it is needed to ask the model; `offers`: see `finetune.tune.Tuning`; `pairs`: what was
    learned from, with the order of the features in `order`."""

    base: str
    full: bool
    wording: str
    schema: Shape
    offers: NotRequired[bool]
    leanings: NotRequired[bool]  # of a wording that is no more
    pairs: NotRequired[Json]


def read_facts(folder: Path) -> TunedRecord:
    """The facts of `tuned.json`. Raises `InputError` where there are none."""
    if not (folder / "tuned.json").exists():
        raise InputError(f"{folder} holds no tuned model (tuned.json is absent); make one with: sensecf finetune")
    try:
        return read_record(folder / "tuned.json", TunedRecord)
    except InputError as error:
        raise InputError(f"{error}: it is not the record of a tuned model; tune the model again") from error


def worded(full: bool, offers: bool) -> type[Prompts]:
    """The wording of a tuned model: that of `prompted` (`full`), that of offers, or a short one."""
    return Prompts if full else Offered if offers else Brief


def table_shape(schema: FeatureSchema) -> Shape:
    """What a table must have in common with the one that a model was tuned on."""
    return {
        "features": {f.name: [str(level) for level in f.levels] if f.levels else f.kind for f in schema.features},
        "label": schema.label,
        "classes": [str(value) for value in schema.classes],
    }


def _check(folder: Path, record: TunedRecord, schema: FeatureSchema) -> None:
    now = worded(record["full"], record.get("offers", False)).version
    then = "leanings" if record.get("leanings") else record["wording"]
    if then != now:
        raise InputError(f"{folder} was tuned in the wording {then!r}, this is {now!r}; tune it again")
    theirs, ours = record["schema"], table_shape(schema)
    if theirs == ours:
        pairs = record.get("pairs")
        order = pairs.get("order") if isinstance(pairs, dict) else None
        if not isinstance(order, list) or set(order) != set(schema.names) or len(order) != len(schema):
            raise InputError(f"tuned.json of {folder} names no order of the features (pairs.order); tune it again")
        return
    different = sorted(set(theirs["features"]) ^ set(ours["features"]))
    what = f"the feature {different[0]!r}" if different else "kinds, levels, label or classes"
    raise InputError(f"{folder} was tuned on another table ({what} differ); tune a model on this one")


def _open(folder: Path, record: TunedRecord, device: str | None, batch_size: int) -> Any:
    try:
        from sensecf.llm.tokens import load
    except ImportError as error:
        raise MissingExtraError(
            f"a model in this process needs {error.name}: pip install 'sensecf[local-llm]'"
        ) from error
    if (folder / "adapter_config.json").is_file():
        return load(record["base"], adapter=folder, device=device, batch_size=batch_size).local
    return load(folder / "merged", device=device, batch_size=batch_size).local
