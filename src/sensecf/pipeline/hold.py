"""Plans that hold: a margin that is calibrated on people, and jurors that only count.

    calibrate   people the classifier did not learn from are answered at ever smaller margins, each met by a refit of
                its own; the first margin whose exact bound falls short ends the sequence (Learn then Test,
                Angelopoulos et al. 2021, with Clopper-Pearson bounds)
    raise       half A of the jury may raise the margin of one person
    count       half B took no part in finding the answer: k of its n agree, which has an exact bound of its own

The statement is about refits under the named change on people like these, not about another population, and not
about what a plan does to a person.
"""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import beta, binom, norm

from sensecf.classifiers.change import CHANGES, Source, family, refit, unfitted
from sensecf.classifiers.fit import fit_anew, one_blas_thread
from sensecf.classifiers.jury import Jury, fingerprint, judge_of, seed_of
from sensecf.core.codec import Codec
from sensecf.core.cost import JuryFacts
from sensecf.core.distances import Scale
from sensecf.core.errors import InputError, SenseCFWarning, one_line
from sensecf.core.kept import read_sealed, write_sealed
from sensecf.core.limits import Limits
from sensecf.core.parallel import spread
from sensecf.core.plain import cores
from sensecf.core.query import Query
from sensecf.core.rules import Floats
from sensecf.core.task import Ints, Task
from sensecf.generators.search import Effort, Search
from sensecf.pipeline.refine import judge, ranked, refine

#: Confidence of every bound here.
CONFIDENCE = 0.95
#: Margins that are tried, from strict to lax; fixed before anybody is asked.
MARGINS = (0.9, 0.8, 0.7, 0.6, 0.55, 0.5, 0.45, 0.4, 0.35, 0.3, 0.25, 0.2, 0.15, 0.1, 0.05, 0.0)
#: Grows when margins are found another way: those of before in the cache are then found anew.
PROCEDURE = 3
#: People that a margin is calibrated on at most: as many allow two failures at 95 % of 95 %.
PEOPLE = 124
#: Classifiers of the calibration, each fitted without a part of the people.
FOLDS = 5
#: How much less strict the sequence may begin for one person to be allowed to disagree.
LAXER = 0.2
#: Where nothing can be calibrated (nobody outside of the target class is left out of any fit).
UNCALIBRATED = 0.5
#: Of so many jurors, so many only count: 59 are the least whose agreement shows 95 % with 95 % confidence.
COUNTING, OF = 59, 93
#: How often half A may raise the margin of one person, and by how much.
RAISES, RAISE = 3, 0.1
#: The largest margin that a raise leads to.
STRICTEST = 0.95
#: A plan is steady when the mean lead of the jurors asked is so many times its spread, for each standard deviation
#: that a normal lead would need for the share asked: 2.75 for 0.95. Of 1,711 answers that half A agreed with, a sixth
#: of those below it fell short of the share in half B, and one in 84 of those above (docs/holding.md).
STEADY = 5 / 3
#: How far a person lands off a plan: the share of each change that is carried out (mean 1), and the error of what is
#: measured, in training standard deviations; at least half a step.
ADHERENCE, ERROR = 0.1, 0.1

Say = Callable[[float], None]


def lower_bound(held: Any, of: Any, confidence: float = CONFIDENCE) -> Floats:
    """The exact one-sided lower bound (Clopper-Pearson) of a share of which `held` of `of` were seen, [0, 1]."""
    held, of = np.asarray(held, dtype=float), np.asarray(of, dtype=float)
    with np.errstate(invalid="ignore"):
        low = beta.ppf(1 - confidence, held, of - held + 1)
    return np.where(held > 0, np.nan_to_num(low), 0.0)


def confidence_of(held: int, of: int, share: float) -> float:
    """With which confidence `held` of `of` show that a share is at least `share`, [0, 1]."""
    return float(1 - binom.sf(held - 1, of, share)) if of and held else 0.0


@dataclass(frozen=True)
class Calibration:
    """A margin, and what it rests on.

    `people`: who were answered at this margin, `held`: of how many the juror agreed; `low`: the exact bound;
    `confidence`: with which the share is at least `hold`; `certified`: that is at least `CONFIDENCE`. `tried`: the
    margins of the sequence with their people and how many held.
    """

    hold: float
    margin: float
    people: int
    held: int
    low: float
    confidence: float
    certified: bool
    tried: list[tuple[float, int, int]]


def passes(held: int, of: int, hold: float) -> bool:
    """Whether a margin stays in the sequence: its bound is at least `hold`; all agree where there are too few people
    for any bound to be."""
    if lower_bound(of, of) < hold:
        return of > 0 and held == of
    return bool(lower_bound(held, of) >= hold)


def choose(seen: Callable[[float], tuple[int, int]], hold: float) -> Calibration:
    """Fixed-sequence testing: the smallest margin before the first that falls short.

    `seen(margin)`: how many people are answered, and of how many the juror agrees. The sequence begins where enough
    people are answered for a bound to pass in spite of one who disagrees (93 for 0.95), where that is at most `LAXER`
    below the first margin that answers enough for one that all agree with (59); there otherwise, or else where most
    are answered: which is known before a juror is asked.
    """
    first = next((margin for margin in MARGINS if _enough(seen(margin)[0], hold, 0)), None)
    near = [margin for margin in MARGINS if first is not None and first >= margin >= first - LAXER - 1e-9]
    first = next((margin for margin in near if _enough(seen(margin)[0], hold, 1)), first)
    tried: list[tuple[float, int, int]] = []
    best: tuple[float, int, int] | None = None
    for margin in MARGINS:
        of, held = seen(margin)
        if margin > first if first is not None else best is None and not _most(of, seen, hold):
            continue
        tried.append((margin, of, held))
        if not passes(held, of, hold):
            break
        best = margin, of, held
    if best is None:
        if not tried:
            return Calibration(hold, UNCALIBRATED, 0, 0, 0.0, 0.0, False, [])
        best = tried[0]
    margin, of, held = best
    sure = confidence_of(held, of, hold)
    return Calibration(
        hold,
        margin,
        of,
        held,
        round(float(lower_bound(held, of)), 6),
        round(sure, 6),
        bool(lower_bound(held, of) >= hold),
        tried,
    )


def _enough(of: int, hold: float, failures: int) -> bool:
    """Whether the bound of `of` people can be at least `hold` where so many disagree."""
    return of > failures and bool(lower_bound(of - failures, of) >= hold)


def _most(of: int, seen: Callable[[float], tuple[int, int]], hold: float) -> bool:
    """Whether no smaller margin could answer enough people for a bound, and this one answers most of those who are
    answered at all: where there are few people, the sequence begins there."""
    last = seen(MARGINS[-1])[0]
    return of > 0 and bool(lower_bound(last, last) < hold) and 2 * of > last


@dataclass(frozen=True)
class Held:
    """What a call of `explain` needs to answer plans that hold."""

    hold: float
    jury: Jury
    calibration: Calibration

    @property
    def counting(self) -> int:
        """Jurors that only count."""
        return max(1, min(COUNTING, round(len(self.jury) * COUNTING / OF)))

    @property
    def raising(self) -> int:
        """Jurors that may have a part in finding an answer: half A."""
        return len(self.jury) - self.counting

    @property
    def steady(self) -> float:
        """What `steadiness` a plan is to have."""
        return max(0.0, STEADY * float(norm.ppf(self.hold)))

    def steadiness(self, rows: Floats, target: Ints, jurors: slice | None = None) -> Floats:
        """How many times its spread over jurors (half A) the mean lead of each row (m, d) is, shape (m,); where fewer
        than `hold` of them agree, their share less 1; infinite where there are none. Higher is better.

        All of a few jurors agree with many a plan that one in ten of all refits turns back; how narrowly they do says
        which.
        """
        asked = slice(0, self.raising) if jurors is None else jurors
        leads = self.jury.leads(rows, target, asked)
        if not len(leads):
            return np.full(len(rows), np.inf)
        agree = (leads > 0).mean(axis=0)
        steadiness = leads.mean(axis=0) / np.maximum(leads.std(axis=0), 1e-6)
        return np.where(agree >= self.hold, steadiness, agree - 1)

    def stand(self, rows: Floats, target: Ints) -> Ints:
        """Of how many jurors of half B each row (m, d) is in its target class as it stands, shape (m,)."""
        votes = self.jury.votes(rows, slice(self.raising, None))
        agree: Ints = (votes == target).sum(axis=0)
        return agree

    def count(self, task: Task, before: Floats, rows: Floats, target: Ints) -> tuple[Ints, Ints]:
        """Of how many jurors of half B each row (m, d) is in its target class, shape (m,): as it stands, and where
        the person lands a little off it. `before` (m, d): the factuals."""
        if not len(rows):
            return np.empty(0, np.intp), np.empty(0, np.intp)
        stands = landing = np.zeros(len(rows), dtype=np.intp)
        for number, juror in enumerate(self.jury.judges[self.raising :]):
            off = landed(task, before, rows, number)
            votes = juror(np.concatenate([rows, off]))
            stands = stands + (votes[: len(rows)] == target)
            landing = landing + (votes[len(rows) :] == target)
        return stands, landing

    def facts(self) -> JuryFacts:
        """What a reader is told, as data."""
        c = self.calibration
        return {
            "change": self.jury.change,
            "jurors": len(self.jury),
            "counting": self.counting,
            "seed": self.jury.seed,
            "hold": c.hold,
            "margin": c.margin,
            "people": c.people,
            "held": c.held,
            "low": c.low,
            "confidence": c.confidence,
            "certified": c.certified,
            "tried": [list(one) for one in c.tried],
            "says": self.says(),
        }

    def says(self) -> str:
        """The same in words."""
        c = self.calibration
        whose = "rows" if self.jury.task.schema.person is None else "people"
        what = CHANGES[self.jury.change].replace("people", whose)
        if not c.tried:
            return (
                f"Nobody is left to calibrate a margin on, so {c.margin:g} is taken; {self.counting} refits "
                f"({what}) count of each plan whether it holds."
            )
        seen = f"{c.held} of {c.people} plans for {whose} the classifier did not learn from held when it was {what}"
        if c.certified:
            return f"Margin {c.margin:g}, certified: {seen}; with 95 % confidence at least {c.low:.1%} do."
        few = f" ({COUNTING} {whose} are the least)" if c.people < COUNTING else ""
        return (
            f"Margin {c.margin:g}: {seen}; that is {c.confidence:.0%} confidence in a share of {c.hold:.0%}, too "
            f"little to vouch for it{few}."
        )


def landed(task: Task, before: Floats, rows: Floats, draw: int) -> Floats:
    """Where people land who carry out plans a little off, shape (m, d).

    Each changed number is carried out to a share of 1 with a spread of `ADHERENCE`, and misses by `ERROR` training
    standard deviations or half a step, whichever is more; it is rounded to its step and kept within its range. A
    level is reached as it is. Rows alone and in company land alike.
    """
    codec: Codec = task.codec
    width = rows.shape[1]
    noise = np.random.default_rng([7, draw]).standard_normal((2, width))
    spread_ = np.fmax(ERROR * task.once(Scale).std, np.where(codec.numeric, codec.step / 2, 0.0))
    with np.errstate(invalid="ignore"):
        off = before + (rows - before) * (1 + ADHERENCE * noise[0]) + spread_ * noise[1]
        moved = codec.changed(before, rows) & codec.numeric
    return np.where(moved, codec.snap(np.where(moved, off, rows)), rows)


class Holding:
    """The jury of a task and its calibrated margins, each made at its first use; get it with `task.once(Holding)`.

    `settings` may be changed before the first use: the change, the number of jurors, the seed, and a folder in which
    what was made is found again.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._jury: Jury | None = None
        self._found: dict[str, Calibration] = {}
        self._lock = threading.RLock()
        self.change, self.seed = "bootstrap", 0
        self.jurors: int | None = None
        self.folder: Path | None = None
        self.trust: bool = False
        self.problem = ""

    def __getstate__(self) -> dict[str, object]:
        """What goes to another process: all but the lock, of which each process has one of its own."""
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state)
        self._lock = threading.RLock()

    def settle(
        self, jurors: int | None, seed: int | None = None, folder: Path | None = None, cache: Path | None = None
    ) -> None:
        """Change the settings; a jury of another size is fitted anew. `cache`: a folder of folders, one per task."""
        with self._lock:
            if jurors is not None and jurors != self.jurors:
                self.jurors, self._jury = jurors, None
            if seed is not None and seed != self.seed:
                self.seed, self._jury, self._found = seed, None, {}
            if folder is not None:
                self.folder = Path(folder)
            if cache is not None:
                self.folder = Path(cache) / f"jury-{PROCEDURE}-{self.mark()}"

    def attach(self, folder: Path, trust: bool = False) -> bool:
        """Take the jury and the margins that are kept in a folder, with their seed; whether there are any."""
        kept = seed_of(folder)
        if kept is None:
            return False
        self.settle(None, kept, folder)
        self.trust = trust
        return True

    def mark(self) -> str:
        """A name for all that jury and margins depend on, but the number of jurors."""
        return fingerprint(self._task, self.change, self.seed)

    def refusal(self) -> str:
        """Why no jury can be, in words; "" where there is one or may be one. Fits nothing."""
        if self.problem or self._jury is not None or (self.folder is not None and seed_of(self.folder) is not None):
            return self.problem
        try:
            unfitted(self._task.classifier)
        except InputError as error:
            return str(error)
        return ""

    def of(self, target: int, limits: Limits, say: Say = lambda share: None) -> Held | None:
        """What is needed for plans that hold as `limits` asks; None, and `problem` in words, where no jury can be."""
        if limits.hold <= 0 or self.problem:
            return None
        with self._lock:
            try:
                jury = self._fit(lambda share: say(0.5 * share))
                calibration = self._calibrated(target, limits, lambda share: say(0.5 + 0.5 * share))
            except InputError as error:
                self.problem = str(error)
                return None
            say(1.0)
            return Held(limits.hold, jury, calibration)

    def asked(self, target: int, limits: Limits, say: Say = lambda share: None) -> Limits:
        """The limits under which a generator is asked first, where plans are to hold: with the calibrated margin."""
        held = self.of(target, limits, say)
        return limits if held is None else replace(limits, margin=max(limits.margin, held.calibration.margin))

    def _fit(self, say: Say) -> Jury:
        if self._jury is None:
            mark = self.mark()
            if self.folder is not None:
                kept = Jury.load(self.folder, self._task, mark, trust=self.trust)
                self._jury = kept if kept is not None and self.jurors in (None, len(kept)) else None
            if self._jury is None:
                self._jury = Jury.fit(self._task, self.change, self.jurors, self.seed, say)
                self._kept_if_it_can_be(lambda folder: self._jury.save(folder, mark) if self._jury else None)
        return self._jury

    def _calibrated(self, target: int, limits: Limits, say: Say) -> Calibration:
        edit = limits.resolved(self._task.schema).edit
        key = f"{self._task.classes[target]}|{edit}|{limits.hold}"
        key += "" if limits.prefer == "effort" else f"|{limits.prefer}"
        if key not in self._found and self.folder is not None:
            kept = read_sealed(self._kept, self.mark())
            for name, one in ({} if kept is None else json.loads(kept)).items():
                tried = [(float(m), int(of), int(held)) for m, of, held in one["tried"]]
                self._found[name] = Calibration(**{**one, "tried": tried})
        if key not in self._found:
            asked = Limits(edit=edit, hold=0.0, consequences="still", prefer=limits.prefer)
            self._found[key] = calibrate(self._task, target, asked, limits.hold, self.change, self.seed, say)
            self._kept_if_it_can_be(lambda folder: write_sealed(folder / "hold.json", self.content(), self.mark()))
        return self._found[key]

    def _kept_if_it_can_be(self, keep: Callable[[Path], object]) -> None:
        """Keep something in `folder`. Where that cannot be written, nothing is kept there from now on: it would spare
        the next run the work, and is no reason to end this one."""
        if self.folder is None:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            keep(self.folder)
        except OSError as error:
            text = f"the jury is not kept in {self.folder} ({one_line(error)}); the next run fits it again"
            warnings.warn(text, SenseCFWarning, stacklevel=2)
            self.folder = None

    @property
    def _kept(self) -> Path:
        assert self.folder is not None
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / "hold.json"

    def content(self) -> bytes:
        """The margins as JSON."""
        return json.dumps({name: asdict(one) for name, one in self._found.items()}, sort_keys=True).encode()

    def save(self, folder: Path) -> None:
        """Keep jury and margins in another folder too: beside the task that a run leaves."""
        if self._jury is not None:
            folder.mkdir(parents=True, exist_ok=True)
            mark = self.mark()
            self._jury.save(folder, mark)
            write_sealed(folder / "hold.json", self.content(), mark)


# --- calibration ----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Fold:
    """A classifier fitted without some people, one row of each of them that it does not put in the target class, and
    a refit of it for each."""

    task: Task
    query: Query
    jurors: list[Any]


def calibrate(
    task: Task,
    target: int,
    limits: Limits,
    hold: float,
    change: str = "bootstrap",
    seed: int = 0,
    say: Say = lambda share: None,
) -> Calibration:
    """The margin at which plans hold, from the training rows alone.

    People are cut into `FOLDS` parts. Whoever is in a part is answered with a classifier that was fitted to the
    others, by one row, and that answer is met by a juror of its own: a refit on a draw of the others under `change`.
    Draws are independent, so that the bounds are exact. Raises `InputError` where nothing can be fitted again.
    """
    folds = _folds(task, target, limits, change, seed, say)
    found: dict[float, tuple[int, int]] = {}

    def seen(margin: float) -> tuple[int, int]:
        if margin not in found:
            counts = [_met(fold, margin, seed) for fold in folds]
            found[margin] = sum(of for of, _ in counts), sum(held for _, held in counts)
        return found[margin]

    return choose(seen, hold)


def _folds(task: Task, target: int, limits: Limits, change: str, seed: int, say: Say) -> list[_Fold]:
    source = Source.of(task)
    people = source.people
    rng = np.random.default_rng([seed, 11])
    count = int(people.max()) + 1
    fold_of = np.empty(count, dtype=np.intp)
    fold_of[rng.permutation(count)] = np.arange(count) % min(FOLDS, count)
    goal = task.classes[target]
    parts = []
    for number in range(int(fold_of.max()) + 1):
        inside = fold_of[people] == number
        rest = np.flatnonzero(~inside)
        labels = set(task.train[task.schema.label].iloc[rest])
        if goal not in labels or len(labels) < 2:
            continue
        learned = source.on(rest)
        try:
            other = Task(task.schema, learned.train, fit_anew(source.blank, task.schema, learned.train))
        except InputError:
            continue  # a class with too few rows outside of this part
        at = np.flatnonzero(inside)
        place = other.target_position(goal)
        judged = other.judge(task.rows[at], final=True)
        at = rng.permutation(at[judged.predicted != place])
        _, first = np.unique(people[at], return_index=True)
        parts.append((number, other, learned, task.rows[at[np.sort(first)]], place))
    # The same share of each part, where there are more people than are needed.
    have = sum(len(rows) for *_, rows, _ in parts)
    share = min(1.0, PEOPLE / have) if have else 1.0
    folds, jobs, sizes = [], [], []
    for number, other, learned, rows, _ in parts:
        rows = rows[: max(1, round(share * len(rows)))]
        sizes.append(len(rows))
        jobs += [(learned, change, [seed, 1_000_000 + 10_000 * number + k]) for k in range(len(rows))]
        folds.append((other, Query.of_rows(other, rows, goal, limits)))
    made: list[Any] = [None] * len(jobs)
    workers = cores() if family(source.blank) in ("xgboost", "random-forest", "mlp", "logistic") else 1
    with one_blas_thread():
        for done, (at_, juror) in enumerate(spread(_juror, jobs, None, workers=workers, threads=True), 1):
            made[at_] = juror
            say(0.8 * done / len(jobs))
    ends = np.cumsum([0, *sizes])
    return [
        _Fold(other, query, made[a:b])
        for (other, query), a, b in zip(folds, ends[:-1].tolist(), ends[1:].tolist(), strict=True)
        if b > a
    ]


def _juror(shared: None, job: tuple[Source, str, list[int]]) -> Any:
    return refit(*job)


def _met(fold: _Fold, margin: float, seed: int) -> tuple[int, int]:
    """How many people of a fold are answered at a margin, and of how many their own juror agrees."""
    task = fold.task
    query = replace(fold.query, margin=np.full(len(fold.query), margin))
    # By five rounds alone: who needs further ones is answered where margins are stricter than the others need.
    found = Search(task, effort=Effort()).propose(query, np.random.default_rng([seed, 13]))
    judged = judge(task, query, found, final=not task.takes_codes)
    answers, rank = ranked(task, query, refine(task, query, judged, 1, 1.0), 1, 1.0)
    first = rank == 1
    owner, rows = answers.found.query[first], answers.found.rows[first]
    agree = 0
    for who, row in zip(owner.tolist(), rows, strict=True):
        agree += int(judge_of(task, fold.jurors[who])(row[None])[0] == query.target[who])
    return len(owner), agree
