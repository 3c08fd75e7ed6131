"""`Jury`: the explained classifier fitted again many times under one named change, and what these refits say.

A jury is fitted once per task and kept beside it without pickle. Which jurors may take part in finding an answer
and which only count is for `pipeline.hold` to say; here they are a list in a fixed order.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from sensecf.classifiers.change import Source, family, refit
from sensecf.classifiers.fit import one_blas_thread
from sensecf.classifiers.saved_classifier import pack_all, remember, unpack
from sensecf.core.errors import InputError
from sensecf.core.files import replacing, write_json
from sensecf.core.judge import TIE, Classifier
from sensecf.core.kept import Count, read_bytes, read_record
from sensecf.core.parallel import spread
from sensecf.core.plain import cores
from sensecf.core.rules import Floats
from sensecf.core.task import Ints, Task, lead
from sensecf.core.version import __version__

Votes = NDArray[np.int8]


class Opinion(NamedTuple):
    """What a juror says of rows: `vote` (n,), a position among the task's classes, -1 for a tie; `proba` (n, classes),
    the task's classes in their order, 0 for one that the juror has not met."""

    vote: Votes
    proba: Floats


#: Jurors that are fitted where a refit is quick: 34 that may raise a margin and 59 that only count.
JURORS = 93
#: A refit of more seconds than this is slow, and a slow classifier gets so many jurors.
SLOW_SECONDS, SLOW_JURORS = 4.0, 29
#: Training rows on which a loaded jury must vote as it did when it was saved.
PROBES = 16
#: Largest file of a saved jury, in bytes; a larger one is not kept.
LARGEST = 2**28
_RECORD, _MEMBERS = "jury.json", "jury.skops"


class _Record(TypedDict):
    """`jury.json`."""

    fingerprint: str
    change: str
    seed: Count
    jurors: Count
    slow: bool
    sha256: str
    probe: list[list[int]]


@dataclass(frozen=True)
class Jury:
    """Refits of a task's classifier under one change, in a fixed order.

    `slow`: a refit takes so long that fewer were made than is usual.
    """

    task: Task
    change: str
    seed: int
    members: Sequence[Classifier]
    slow: bool = False

    def __len__(self) -> int:
        return len(self.members)

    @cached_property
    def opinions(self) -> list[Callable[[Floats], Opinion]]:
        """What each juror says of encoded rows, see `opinion_of`."""
        return [opinion_of(self.task, one) for one in self.members]

    @cached_property
    def judges(self) -> list[Callable[[Floats], Votes]]:
        """The class that each juror puts encoded rows in, see `judge_of`."""
        return [_vote_of(opinion) for opinion in self.opinions]

    @classmethod
    def fit(
        cls,
        task: Task,
        change: str = "bootstrap",
        jurors: int | None = None,
        seed: int = 0,
        say: Callable[[float], None] = lambda share: None,
        source: Source | None = None,
    ) -> Jury:
        """Fit a jury side by side; `jurors`: how many (None: `JURORS`, or `SLOW_JURORS` where a refit is slow).

        `say(share)` is told how far it is. `source`: what is fitted again, where the table's dates are wanted too.
        Raises `InputError` where the classifier cannot be fitted again; see `change.unfitted` and `change.refit`.
        """
        source = Source.of(task) if source is None else source
        began = time.perf_counter()
        first = refit(source, change, [seed, 0])
        slow = jurors is None and time.perf_counter() - began > SLOW_SECONDS
        count = jurors or (SLOW_JURORS if slow else JURORS)
        members: list[Any] = [first, *[None] * (count - 1)]
        say(1 / count)
        # Threads do: most of a fit runs outside of the interpreter's lock, and nothing need be sent anywhere.
        # Liblinear and code of the user's own may keep one random state for the whole process: one after the other.
        workers = cores() if family(source.blank) in ("xgboost", "random-forest", "mlp", "logistic") else 1
        with one_blas_thread():  # around all fits, since the limit of one that ends would be lifted for all
            done = spread(_member, range(1, count), (source, change, seed), workers=workers, threads=True)
            for finished, (at, member) in enumerate(done, 2):
                members[at + 1] = member
                say(finished / count)
        return cls(task, change, seed, members, slow)

    def votes(self, rows: Floats, jurors: slice = slice(None)) -> Votes:
        """The class that each juror puts encoded rows (n, d) in, shape (jurors, n): a position among the task's
        classes, -1 for a tie. Counts as no cost of an answer."""
        asked = self.judges[jurors]
        return np.array([judge(rows) for judge in asked], dtype=np.int8).reshape(len(asked), len(rows))

    def leads(self, rows: Floats, target: Ints, jurors: slice = slice(None)) -> Floats:
        """By how much each juror prefers the target class of encoded rows (n, d) to the next one, shape (jurors, n), in
        [-1, 1]. Counts as no cost of an answer."""
        asked = self.opinions[jurors]
        return np.array([lead(opinion(rows).proba, target) for opinion in asked]).reshape(len(asked), len(rows))

    def save(self, folder: str | Path, mark: str = "") -> bool:
        """Write `jury.skops` and `jury.json`, whole or not at all; whether the jury could be written.

        `mark`: the `fingerprint`, where it is known already.
        """
        folder = Path(folder)
        (folder / _RECORD).unlink(missing_ok=True)
        probe = self._probe()
        one, _, _ = pack_all([self.members[0]], lambda copies: True)
        data = None
        if one is not None and len(one) * len(self) <= LARGEST:
            data, _, _ = pack_all(
                list(self.members), lambda copies: np.array_equal(replace(self, members=copies)._probe(), probe)
            )
        if data is None:
            (folder / _MEMBERS).unlink(missing_ok=True)
            return False
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / _MEMBERS) as path:
            path.write_bytes(data)
        remember(data)
        write_json(
            folder / _RECORD,
            {
                "fingerprint": mark or fingerprint(self.task, self.change, self.seed),
                "change": self.change,
                "seed": self.seed,
                "jurors": len(self),
                "slow": self.slow,
                "sha256": hashlib.sha256(data).hexdigest(),
                "probe": probe.tolist(),
            },
        )
        return True

    @classmethod
    def load(
        cls, folder: str | Path, task: Task, mark: str, trusted: Sequence[str] = (), trust: bool = False
    ) -> Jury | None:
        """What `save` wrote for this task and seed (`mark`: the `fingerprint`); None where it has to be fitted.

        `trusted`, `trust`: see `storage.load_task`. Raises `InputError` for members that are not what was saved.
        """
        folder = Path(folder)
        if not (folder / _RECORD).exists():
            return None
        record = read_record(folder / _RECORD, _Record)
        if record["fingerprint"] != mark:
            return None
        path = folder / _MEMBERS
        data = read_bytes(path, LARGEST)
        if hashlib.sha256(data).hexdigest() != record["sha256"]:
            raise InputError(f"{path} was changed after the jury was saved; delete {_RECORD} to fit it anew")
        members: Any = unpack(path, data, trusted, trust)
        if not isinstance(members, list) or len(members) != record["jurors"]:
            raise InputError(f"{path} holds no jury of {record['jurors']}; delete {_RECORD} to fit it anew")
        jury = cls(task, record["change"], record["seed"], members, record["slow"])
        # A vote at the boundary may fall otherwise on another processor.
        if np.mean(jury._probe() != np.array(record["probe"])) > 0.01:
            raise InputError(f"the jury of {folder} does not vote as it did when it was saved; delete {_RECORD}")
        return jury

    def _probe(self) -> Votes:
        rows = self.task.rows
        return self.votes(rows[np.linspace(0, len(rows) - 1, min(PROBES, len(rows))).astype(int)])


def _member(shared: tuple[Source, str, int], number: int) -> Classifier:
    source, change, seed = shared
    return refit(source, change, [seed, number])


def judge_of(task: Task, juror: Classifier) -> Callable[[Floats], Votes]:
    """The class that one juror puts encoded rows in: positions among the task's classes, shape (n,), -1 for a tie."""
    return _vote_of(opinion_of(task, juror))


def _vote_of(opinion: Callable[[Floats], Opinion]) -> Callable[[Floats], Votes]:
    return lambda rows: opinion(rows).vote


def opinion_of(task: Task, juror: Classifier) -> Callable[[Floats], Opinion]:
    """What one juror says of encoded rows."""
    judge = task.sibling(juror)
    place = np.array([task.classes.index(one) for one in judge.classes], dtype=np.int8)

    def says(rows: Floats) -> Opinion:
        judged = judge(rows, final=not judge.takes_codes)
        proba = np.zeros((len(rows), len(task.classes)))
        proba[:, place] = judged.proba
        return Opinion(np.where(judged.tie, np.int8(-1), place[judged.predicted]), proba)

    boosted = _boosted(task, juror, place)
    some = task.rows[:PROBES]
    if boosted is not None and np.array_equal(boosted(some).vote, says(some).vote):
        return boosted
    return says


def _boosted(task: Task, juror: Any, place: Votes) -> Callable[[Floats], Opinion] | None:
    """The same from XGBoost's own log-odds of two classes, which few rows get in a tenth of the time; None for others.

    What the layers above cost for a row is more than the trees, and 93 jurors are asked.
    """
    steps = [step for _, step in getattr(juror, "steps", [])]
    if len(steps) != 2 or len(place) != 2 or not hasattr(steps[0], "of_codes") or not steps[0].suits(task.schema):
        return None
    model = getattr(steps[1], "model_", None)
    if type(model).__name__ != "XGBClassifier":
        return None
    encoder, booster = steps[0], model.get_booster()  # type: ignore[union-attr]

    def says(rows: Floats) -> Opinion:
        if not len(rows):
            return Opinion(np.empty(0, np.int8), np.empty((0, len(task.classes))))
        odds = np.asarray(booster.inplace_predict(encoder.of_codes(rows, task.schema), predict_type="margin"))
        proba = np.zeros((len(rows), len(task.classes)))
        proba[:, place[1]] = expit(odds)
        proba[:, place[0]] = 1 - proba[:, place[1]]
        # A difference of two probabilities is half of small log-odds.
        return Opinion(np.where(np.abs(odds) <= 2 * TIE, np.int8(-1), place[(odds > 0).astype(np.intp)]), proba)

    return says


def seed_of(folder: Path) -> int | None:
    """The seed of the jury that is kept in a folder; None where there is none."""
    return int(read_record(folder / _RECORD, _Record)["seed"]) if (folder / _RECORD).exists() else None


def fingerprint(task: Task, change: str, seed: int) -> str:
    """A name for everything that a jury depends on: schema, training rows, people, the classifier's settings and
    its answers, change, seed and the version of this package."""
    digest = hashlib.sha256()
    settings = sorted((name, repr(value)) for name, value in _settings(task.classifier).items())
    for part in (__version__, task.schema.to_toml(), task.classes, change, seed, settings):
        digest.update(repr(part).encode())
    sample = task.rows[np.linspace(0, len(task.rows) - 1, min(len(task.rows), 2000)).astype(int)]
    people = Source(None, task.schema, task.train).people
    for array in (task.rows, task.y, people, task.judge(sample).proba.round(6)):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:32]


def _settings(classifier: Any) -> dict[str, str | int | float | bool | None]:
    """Settings that are plain values, of all parts; a fitted part's address in memory is none of them."""
    found = classifier.get_params() if hasattr(classifier, "get_params") else {}
    return {name: value for name, value in found.items() if isinstance(value, str | int | float | bool | None)}
