"""The arms of a study by name: a control, or `ours[:generator]`; `@amount` where it adds rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sensecf import generators
from sensecf.augmentation import PURPOSES, augment, controls, munged
from sensecf.augmentation.controls import Situation, Treatment
from sensecf.augmentation.gate import NOTHING, OPTIONS, choose, weighed
from sensecf.augmentation.judges import FAMILIES, Panel, convene
from sensecf.augmentation.loop import loop
from sensecf.augmentation.soft import label_softly
from sensecf.core.errors import InputError
from sensecf.core.schema import FeatureSchema
from sensecf.core.task import Task
from sensecf.generators import Context, Generator

#: The classifiers that learn from the rows of `sensecf augment`.
LEARNERS = ("svm", "random-forest", "xgboost", "mlp")
#: The generator where a method names none.
GENERATOR = "search"
#: Rows that `augment` adds where no amount is given, in multiples of what a control adds.
AMOUNT = 4.0


class Ours(NamedTuple):
    """A method of ours: what it may see, whether it takes an amount, and its title."""

    sees: str
    amounts: bool
    title: str


#: Ours by name; the first is the method, the others take it apart.
OURS: dict[str, Ours] = {
    "augment": Ours("reduced", True, "judged rows, the real ones and made ones, where a gate finds no harm in them"),
    "ungated": Ours("reduced", True, "these, whatever a gate finds"),
    "munge": Ours("reduced", True, "judged rows that no counterfactual has a part in: a control"),
    "pairs": Ours("reduced", True, "judged pairs"),
    "counterfactuals": Ours("reduced", True, "judged pairs, the counterfactuals only"),
    "factuals": Ours("reduced", True, "judged pairs, the factuals only"),
    "margin": Ours("reduced", True, "counterfactuals with a margin, labelled as asked for"),
    "boundary": Ours("reduced", True, "counterfactuals at the boundary, labelled as asked for"),
    "shuffled": Ours("reduced", True, "counterfactuals with a margin, labels drawn at random"),
    "loop": Ours("reduced", True, "judged pairs in rounds, where the learner is weak"),
    "committee": Ours("reduced", False, "the judges themselves, instead of a classifier"),
    "unlabelled": Ours("unlabelled", False, "the unlabelled rows, judged"),
}


class ArmName(NamedTuple):
    """A name taken apart: `amount` is None where none is given."""

    name: str
    generator: str
    amount: float | None


@dataclass
class Shared:
    """What the arms of one split share, each thing made once: judges, task, generators.

    `judges`: estimators of the user's that judge beside the families, by `module:object`.
    """

    judges: tuple[str, ...] = ()
    made: dict[str, Any] = field(default_factory=dict)

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """`make()` at the first call with that name, the same object afterwards."""
        if name not in self.made:
            self.made[name] = make()
        return self.made[name]


def find(text: str) -> ArmName:
    """The method of a name such as `smote@2` or `augment:tiny`. Raises `InputError` for what there is not."""
    rest, _, number = text.partition("@")
    name, _, generator = rest.partition(":")
    if name not in OURS and name not in controls.CONTROLS:
        raise InputError(f"method {text!r} is unknown; use {', '.join([*OURS, *controls.CONTROLS])}")
    if generator and name not in OURS:
        raise InputError(f"method {text!r}: a control takes no generator")
    if generator:
        generators.find(generator)
    amount = None
    if number:
        takes = (OURS[name] if name in OURS else controls.CONTROLS[name]).amounts
        if not takes:
            raise InputError(f"method {text!r}: {name} adds no number of rows that could be chosen")
        try:
            amount = float(number)
        except ValueError:
            raise InputError(f"method {text!r}: {number!r} is no number") from None
        if not 0 < amount <= 100:
            raise InputError(f"method {text!r}: the amount must lie between 0 and 100")
    return ArmName(name, generator or GENERATOR, amount)


def sees(text: str) -> str:
    """What a method may see: reduced, unlabelled or removed rows."""
    name = find(text).name
    return OURS[name].sees if name in OURS else controls.CONTROLS[name].sees


def apply(text: str, situation: Situation, shared: Shared) -> Treatment:
    """What a method makes of a situation, of which it is shown no more than it may see."""
    method, view = find(text), sees(text)
    shown = replace(
        situation,
        unlabelled=situation.unlabelled if view == "unlabelled" else None,
        removed=situation.removed if view == "removed" else None,
    )
    if method.name in controls.CONTROLS:
        arm: Any = controls.find(method.name)
        return arm(shown) if method.amount is None else arm(shown, method.amount)
    return _ours(method, shown, shared)


def _ours(method: ArmName, situation: Situation, shared: Shared) -> Treatment:
    rows, schema, seed = situation.rows.reset_index(drop=True), situation.schema, situation.seed
    panel: Panel = shared.once("panel", lambda: _convene(rows, schema, seed, shared.judges))
    if method.name == "committee":
        return Treatment(fit=lambda name: panel.whole)
    if method.name == "unlabelled":
        assert situation.unlabelled is not None, "this arm is shown the unlabelled rows"
        added, facts = label_softly(situation.unlabelled, rows, schema, panel)
        return Treatment(added=added, balanced=True, facts=facts)
    task: Task = shared.once("task", lambda: Task(schema, rows, panel.whole))
    build = generator_of(method.generator)
    amount = method.amount or (AMOUNT if method.name in ("augment", "ungated", "munge") else 1.0)
    count = max(1, round(amount * situation.budget))
    if method.name == "loop":
        return Treatment(fit=lambda name: loop(situation, panel, build, name, count))
    generator = shared.once(f"generator {method.generator}", lambda: build(task, seed))
    if method.name in ("margin", "boundary", "shuffled"):
        return _plain(method.name, situation, task, generator, panel, amount)
    if method.name == "munge":
        return Treatment(added=munged(task, count, panel, seed), balanced=True)
    if method.name == "augment":
        return _gated(method, situation, shared, build, amount)
    if method.name == "ungated":
        return Treatment(added=_judged_rows(method, situation, shared, amount), balanced=True)
    made = augment(task, generator, count, purpose=method.name, panel=panel, seed=seed)
    return Treatment(added=made, balanced=True)


def _convene(rows: pd.DataFrame, schema: FeatureSchema, seed: int, judges: tuple[str, ...]) -> Panel:
    return convene(rows, schema, seed, (*FAMILIES, *judges)) if judges else convene(rows, schema, seed)


def _judged_rows(method: ArmName, situation: Situation, shared: Shared, amount: float) -> pd.DataFrame:
    """The rows of `augment` and `ungated`: made once for both."""
    made = shared.made
    task, generator, panel = made["task"], made[f"generator {method.generator}"], made["panel"]
    count = max(1, round(amount * situation.budget))
    rows: pd.DataFrame = shared.once(
        f"rows {method.generator} {count}", lambda: augment(task, generator, count, panel=panel, seed=situation.seed)
    )
    return rows


def _gated(
    method: ArmName, situation: Situation, shared: Shared, build: Callable[[Task, int], Generator], amount: float
) -> Treatment:
    """The rows that the gate lets pass, the same for every classifier; without any, class weights."""
    options = [option._replace(amount=amount) for option in OPTIONS]
    decision = choose(situation, shared.made["panel"], build, situation.budget, options=options)
    purpose, amount, weight = decision.option
    made = pd.DataFrame()
    if decision.option != NOTHING:
        made = weighed(_judged_rows(method, situation, shared, amount), weight)
    tried = {
        f"x{option.amount:g}, weight {option.weight:g}": {
            name: {"gain": round(gain.mean, 6), "error": round(gain.error, 6)} for name, gain in gains.items()
        }
        for option, gains in decision.gains.items()
    }
    facts = {"purpose": purpose, "amount": amount, "weight": weight, "tried": tried}
    return Treatment(added=made, balanced=True, facts=facts, note="" if len(made) else "the gate adds nothing")


def _plain(name: str, situation: Situation, task: Task, generator: Generator, panel: Panel, amount: float) -> Treatment:
    """Counterfactuals labelled with the class asked for, towards the scarce classes, as the controls add rows."""
    allotted = situation.allot(amount)
    per_class = {c: int(n) for c, n in zip(situation.classes, allotted, strict=True)}
    purpose = name if name in PURPOSES else "margin"
    made = augment(task, generator, purpose=purpose, per_class=per_class, panel=panel, seed=situation.seed)
    missing = int(allotted.sum()) - len(made)
    note = f"{missing} counterfactuals too few were found" if missing else ""
    if name == "shuffled":
        shares = np.bincount(situation.y) / len(situation.y)
        drawn = situation.rng(403).choice(len(shares), len(made), p=shares)
        words = np.array([*situation.classes, None], dtype=object)
        made[situation.schema.label] = pd.Series(words[drawn], index=made.index, dtype=object).infer_objects()
    return Treatment(added=made, note=note)


def generator_of(name: str) -> Callable[[Task, int], Generator]:
    """How a study builds a generator: small, since it builds one for every split and every fold of the gate."""

    def build(task: Task, seed: int) -> Generator:
        options: dict[str, Any] = {}
        if name == "tiny":
            from sensecf.generators.tiny.tiny import Recipe

            options["recipe"] = small_recipe(Recipe(), len(task.rows))
        elif name == "search":
            from sensecf.generators.search import Effort

            options["effort"] = Effort(beam=2, edits=16, depth=3, neighbours=3, keep=3)
        return generators.build(name, task, Context(seed, options=options))

    return build


def small_recipe(recipe: Any, rows: int) -> Any:
    """The embedded model's recipe for few training rows: as many pairs as there are to learn, up to 1,200."""
    return replace(recipe, pairs=min(1200, max(300, 2 * rows)), epochs=6, rounds=12, round_queries=96, samples=12)
