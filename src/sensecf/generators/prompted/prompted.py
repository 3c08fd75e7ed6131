"""`prompted`: a language model is asked in words; what fails goes back to it in words."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, TypedDict, Unpack

import numpy as np
import pandas as pd

from sensecf.core.candidates import Candidates
from sensecf.core.errors import InputError
from sensecf.core.query import Query
from sensecf.core.rules import Bools, Floats
from sensecf.core.task import Task
from sensecf.core.verify import Verdicts, verify
from sensecf.data.card import Card
from sensecf.data.privacy_gate import permission, withheld
from sensecf.generators.own import Own, note_added_up
from sensecf.generators.prompted.course import Course, Tried
from sensecf.generators.prompted.shots import Choice, Shots
from sensecf.generators.traits import Traits
from sensecf.llm import LLM, Completion, JsonSchema, Prompt
from sensecf.llm.ask import firmer
from sensecf.llm.language.offered import Offered
from sensecf.llm.language.prompts import PLAIN, PROMPT_VERSION, Asked, Prompts, Style
from sensecf.llm.language.replies import (
    Problem,
    infeasible_words,
    invalid_words,
    json_schema,
    named_features,
    read_edits,
    row_of,
)

#: The temperature at which several answers to one prompt differ; one answer is asked for at 0.
SAMPLING = 0.7
#: So much the temperature rises from round to round, and no further than this.
WARMER, HOTTEST = 0.35, 1.0
#: Tokens of an answer that follows no JSON Schema, at most.
UNBOUND = 512
#: What becomes of an answer.
VERDICTS = ("good", "not valid", "infeasible", "refused")
#: What is kept of every answer; see `Prompted.answers`.
COLUMNS = (
    "query",
    "round",
    "sample",
    "verdict",
    "problem",
    "reason",
    "probability",
    "tokens_in",
    "tokens_out",
    "seconds",
    "cached",
)


class Question(NamedTuple):
    """What is asked about one person, the conversation that asks it, the JSON Schema of the answer, the examples."""

    asked: Asked
    prompt: Prompt
    json_schema: JsonSchema
    shots: list[tuple[Asked, Floats]]


class Person(NamedTuple):
    """Somebody who is being asked, and the first question."""

    course: Course
    question: Question


class Options(TypedDict, total=False):
    """The fields of `Asking` as keywords of `Prompted`."""

    shots: int
    shot_choice: Choice
    rounds: int
    samples: int
    calls: int | None
    style: Style
    constrained: bool
    max_tokens: int | None


@dataclass(frozen=True)
class Asking:
    """How a model is asked; see `Prompted`."""

    shots: int = 0
    shot_choice: Choice = "nearest"
    rounds: int = 2
    samples: int = 1
    calls: int | None = None
    style: Style = PLAIN
    constrained: bool = True
    max_tokens: int | None = None

    def __post_init__(self) -> None:
        for option, value, least in (
            ("rounds", self.rounds, 0),
            ("samples", self.samples, 1),
            ("calls", self.calls, 2),
            ("max_tokens", self.max_tokens, 1),
        ):
            if value is not None and value < least:
                raise InputError(f"{option} must be at least {least}, not {value}")


class Prompted:
    """Ask a language model for the smallest changes, verify, tell it what failed, ask again.

    `llm`: anything with `complete` and `host` (see `sensecf.llm`). `shots`: examples per prompt, chosen
    as `shot_choice` says (see `Shots`). `rounds`: how often a person without a good answer is asked
    again (see `Course`), at a temperature that rises with the round; `samples`: answers per round. With
    `rounds=0, samples=1` it is what a bare prompt gives. `calls`: instead of rounds and samples, so many calls per
    person: the first asks which features (not where the style tells offers), each further one for values, to other
    answers once there is a good one.
    `style`: see `Style`. `constrained`: hand the model the JSON Schema of each answer; without it
    answers are read all the same. `max_tokens`: longest answer; None for what the longest answer to the schema of
    the table takes, and `UNBOUND` without a JSON Schema. Models that reason before they answer need more.
    `card`, `allow_hosts`: whether rows may leave this machine, see `privacy_gate.permission`.

    Every answer of every round becomes a candidate: a row, or the reason why it is none.
    Raises `InputError` when rows may not go to the model's host.

    >>> model = sensecf.llm.connect("http://127.0.0.1:8000/v1#small")  # doctest: +SKIP
    >>> sensecf.explain(task, sensecf.generators.Prompted(task, llm=model), people)  # doctest: +SKIP
    """

    name = "prompted"
    traits = Traits(
        asks_model=True,
        takes=(*Options.__annotations__, "plausibility", "card", "allow_hosts"),
        needs=("llm",),
    )

    def __init__(
        self,
        task: Task,
        seed: int = 0,
        *,
        llm: LLM,
        plausibility: float = 1.0,
        card: Card | None = None,
        allow_hosts: Collection[str] = (),
        **options: Unpack[Options],
    ) -> None:
        how = Asking(**options)
        if not hasattr(llm, "host"):
            raise InputError(f"{type(llm).__name__} has no attribute host; give it None where the model runs in here")
        self.permission = permission(llm.host, card, allow_hosts)
        self.task = task
        self.llm = llm
        self.how, self.seed = how, seed
        self.withheld = withheld(task.schema)
        self.prompts = (Offered if how.style.offers else Prompts)(task, how.style, seed=seed, withheld=self.withheld)
        self.shots = Shots(self.prompts, how.shots, how.shot_choice, seed=seed, plausibility=plausibility)
        self._log: list[dict[str, Any]] = []
        self._own = Own()
        self._good: set[tuple[bytes, bytes]] = set()  # person and row

    @property
    def sampling(self) -> dict[str, Any]:
        """How the model is asked to write: `temperature`, `seed`, `max_tokens`."""
        temperature = 0.0 if self.how.samples == 1 else SAMPLING
        most = self.how.max_tokens or (self.prompts.longest if self.how.constrained else UNBOUND)
        return {"temperature": temperature, "seed": self.seed, "max_tokens": most}

    @property
    def tokens(self) -> int:
        """Tokens in and out of all answers so far, those from a ledger included."""
        return sum(entry["tokens_in"] + entry["tokens_out"] for entry in self._log)

    def questions(self, query: Query) -> list[Question]:
        """What the first round asks about each person; see also `sensecf prompt`."""
        # Points add up nearly, not quite, so a sum that is just enough would often fall short.
        query = firmer(query) if self.how.style.offers else query
        asked = self.prompts.ask(query)
        shots = self.shots.choose(query)
        return [
            Question(one, self.prompts.render(one, examples), json_schema(self.prompts, one), examples)
            for one, examples in zip(asked, shots, strict=True)
        ]

    def propose(self, query: Query, rng: np.random.Generator) -> Candidates:
        """A candidate per answer of the model, over all rounds; a reason for a person who cannot be asked."""
        questions = self.questions(query)
        people = {i: Person(Course.of(self.prompts, q.asked), q) for i, q in enumerate(questions) if q.asked.choices}
        if isinstance(self.prompts, Offered) and people:
            at = np.array(list(people), dtype=np.intp)
            note_added_up(self._own, self.prompts, query.take(at), [questions[i].asked for i in people])
        mute = np.setdiff1d(np.arange(len(query)), list(people)).astype(np.intp)
        nothing = np.full((len(mute), len(self.task.schema)), np.nan)
        parts = [Candidates.of(mute, nothing, self.name, ["nothing may change"] * len(mute))]
        if self._naming and people:
            self._name_features(query, people)
        turns = self.how.rounds + 1 if self.how.calls is None else self.how.calls - self._naming
        for turn in range(turns):
            if not people:
                break
            found, verdicts, tried = self._ask(query, people, turn)
            parts.append(found)
            for i in list(people):
                own = np.flatnonzero(found.query == i)
                if not self._goes_on(people[i].course, [tried[k] for k in own], verdicts.good[own]):
                    del people[i]
            self._inform(people)
        return Candidates.concat(parts)

    def _ask(
        self, query: Query, people: Mapping[int, Person], turn: int
    ) -> tuple[Candidates, Verdicts, list[Tried | None]]:
        """One round: a candidate per answer, the verdicts, and what a course is told of each; None without a text."""
        completions = self._complete(people, turn, self._samples)
        owner = np.repeat(np.array(list(people), dtype=np.intp), self._samples)
        answers = [answer for several in completions for answer in several]
        rows = np.full((len(answers), len(self.task.schema)), np.nan)
        edits: list[dict[int, float] | None] = []
        problems: list[list[Problem]] = []
        made: dict[int, float] | None
        for k, (i, answer) in enumerate(zip(owner.tolist(), answers, strict=True)):
            asked = people[i].course.asked
            if answer.reason:
                made, wrong = None, [Problem("no answer", answer.reason)]
            else:
                made, wrong = read_edits(self.prompts, asked, answer.text)
            if made is not None:
                rows[k] = row_of(self.prompts, asked, made)
            edits.append(made)
            problems.append(wrong)
        found = Candidates.of(owner, rows, self.name, ["; ".join(one.words for one in several) for several in problems])
        verdicts = verify(self.task, query, found)
        for k, i in enumerate(owner.tolist()):
            made = edits[k]
            said = None if made is None else tuple(sorted(made.items()))
            self._own.note(_key(query.rows[i]), said, bool(verdicts.good[k]))
        self._note(turn + self._naming, query, found, verdicts, answers, problems)
        proba = self._proba(found, verdicts)
        tried = [
            self._tried(people[i].course.asked, edits[k], found, verdicts, proba, k)
            if answers[k].text.strip()
            else None
            for k, i in enumerate(owner.tolist())
        ]
        return found, verdicts, tried

    def _tried(
        self,
        asked: Asked,
        edits: dict[int, float] | None,
        found: Candidates,
        verdicts: Verdicts,
        proba: Floats,
        k: int,
    ) -> Tried:
        """What a course is told of answer `k`."""
        if found.reason[k]:
            return Tried(edits, found.rows[k], found.reason[k], -np.inf)
        if not verdicts.feasible[k]:
            return Tried(edits, found.rows[k], "; ".join(infeasible_words(self.prompts, asked, found.rows[k])), -np.inf)
        predicted, lead = int(verdicts.predicted[k]), float(verdicts.lead[k])
        words = invalid_words(self.prompts, asked, predicted, float(verdicts.probability[k]), lead)
        return Tried(edits, found.rows[k], words, lead, predicted, proba[k])

    def _proba(self, found: Candidates, verdicts: Verdicts) -> Floats:
        """The classifier's probabilities for rows that may be where the next question starts, shape (m, classes)."""
        proba = np.full((len(found), len(self.task.classes)), np.nan)
        if (at := np.flatnonzero(verdicts.feasible & ~verdicts.good)).size:
            proba[at] = self.task.judge(found.rows[at]).proba
        return proba

    def _goes_on(self, course: Course, tried: list[Tried | None], good: Bools) -> bool:
        """Take a round's answers into account; whether the person is asked again."""
        told = [one for one in tried if one is not None]
        best = next((one for one, fine in zip(tried, good, strict=True) if fine and one is not None), None)
        if best is not None:
            if self.how.calls is None:
                return False
            course.found(best)
        elif told:
            course.failed(told)
        else:  # there is no text at all, as of a server that failed: nothing to correct
            return False
        return bool(course.asked.choices)

    def _name_features(self, query: Query, people: dict[int, Person]) -> None:
        """The first call of a budget: which features; the calls after it ask for values of these."""
        for person in people.values():
            person.course.asked = person.course.asked._replace(which=True)
        self._inform(people)
        answered = self._complete(people, 0, 1)
        for (i, person), [answer] in zip(people.items(), answered, strict=True):
            asked = person.course.asked
            named: frozenset[int] = frozenset() if answer.reason else named_features(self.prompts, asked, answer.text)
            self._log.append(
                {
                    **dict.fromkeys(COLUMNS, ""), "row": _key(query.rows[i]), "round": 0, "sample": 1,
                    "verdict": "named" if named else "refused", "problem": "" if named else "no feature",
                    "reason": answer.reason, "probability": np.nan, **_spent(answer),
                }
            )  # fmt: skip
            person.course.asked = asked._replace(which=False)
            person.course.narrow(named)
        self._inform(people)

    def _complete(self, people: Mapping[int, Person], turn: int, samples: int) -> list[list[Completion]]:
        prompts = [self.prompts.render(person.course.asked, person.question.shots) for person in people.values()]
        schemas = [json_schema(self.prompts, person.course.asked) for person in people.values()]
        warmer = min(self.sampling["temperature"] + WARMER * turn, HOTTEST)
        return self.llm.complete(
            prompts,
            samples,
            json_schemas=schemas if self.how.constrained else None,
            **{**self.sampling, "temperature": warmer},
        )

    def _inform(self, people: Mapping[int, Person]) -> None:
        """Tell the next questions what is known of the classifier where they start."""
        asked = self.prompts.informed([person.course.asked for person in people.values()])
        for person, one in zip(people.values(), asked, strict=True):
            person.course.asked = one

    @property
    def _naming(self) -> bool:
        """Whether a budget of calls begins with one that names features: not where offers are told, which name them."""
        return self.how.calls is not None and not self.how.style.offers

    @property
    def _samples(self) -> int:
        return self.how.samples if self.how.calls is None else 1

    # --- the record -----------------------------------------------------------------------

    def _note(
        self,
        turn: int,
        query: Query,
        found: Candidates,
        verdicts: Verdicts,
        answers: list[Completion],
        problems: list[list[Problem]],
    ) -> None:
        """Keep what became of every answer of one round."""
        names = np.select([found.reason != "", ~verdicts.feasible, ~verdicts.valid], VERDICTS[:0:-1], VERDICTS[0])
        for k, answer in enumerate(answers):
            if verdicts.good[k]:
                self._good.add((_key(query.rows[found.query[k]]), _key(found.rows[k])))
            self._log.append(
                {
                    "row": _key(query.rows[found.query[k]]),
                    "round": turn,
                    "sample": k % self._samples + 1,
                    "verdict": str(names[k]),
                    "problem": problems[k][0].kind if problems[k] else "",
                    "reason": found.reason[k] or verdicts.reason[k],
                    "probability": round(float(verdicts.probability[k]), 6),
                    **_spent(answer),
                }
            )

    def answers(self, factuals: pd.DataFrame) -> pd.DataFrame:
        """Every answer of the model so far, one per row, in the order in which it was asked.

        Columns: `query` (of the first of `factuals` with that row), `round` (0 is the first), `sample`,
        `verdict` (good, not valid, infeasible, refused), `problem` (the kind of refusal), `reason`,
        `probability` (of the target), `tokens_in`, `tokens_out`, `seconds`, `cached` (from a ledger).
        """
        rows = self.task.codec.encode(factuals)
        names: dict[bytes, Any] = {}
        for name, row in zip(factuals.index, rows, strict=True):
            names.setdefault(_key(row), name)
        table = pd.DataFrame(self._log, columns=["row", *COLUMNS[1:]])
        return table.assign(row=table["row"].map(names)).rename(columns={"row": "query"})

    def own(self) -> dict[str, int]:
        """What the model answered itself, in people: see `Own.counts`."""
        return self._own.counts()

    def facts(self) -> dict[str, Any]:
        """What the model was asked and what it cost, for `run.json`; counts are of answers, by round."""
        table = pd.DataFrame(self._log, columns=["row", *COLUMNS[1:]])
        rounds = []
        for turn in range(int(table["round"].max()) + 1 if len(table) else 0):
            part = table[table["round"] == turn]
            verdicts = part["verdict"].value_counts()
            problems = part["problem"][part["problem"] != ""].value_counts()
            extra = ("named",) if "named" in verdicts else ()  # of a budget of calls, the one that names features
            rounds.append(
                {
                    "round": turn,
                    "people": int(part["row"].nunique()),
                    "answers": len(part),
                    **{name: int(verdicts.get(name, 0)) for name in (*VERDICTS, *extra)},
                    "refused by": {str(kind): int(count) for kind, count in problems.items()},
                }
            )
        return {
            "name": self.llm.name,
            "host": self.llm.host or "this process",
            "permission": self.permission,
            "prompt_version": PROMPT_VERSION,
            "style": asdict(self.prompts.style),
            "shots": self.shots.count,
            "shot_choice": self.shots.choice,
            "samples": self._samples,
            "calls": self.how.calls,
            "unique_valid": len(self._good),
            "unique_valid_per_call": round(len(self._good) / len(table), 4) if len(table) else None,
            "constrained": self.how.constrained,
            "withheld": self.withheld,
            "tokens_in": int(table["tokens_in"].sum()),
            "tokens_out": int(table["tokens_out"].sum()),
            "cached_answers": int(table["cached"].sum()),
            "rounds": rounds,
        }


def _spent(answer: Completion) -> dict[str, float]:
    return {
        "tokens_in": answer.tokens_in,
        "tokens_out": answer.tokens_out,
        "seconds": round(answer.seconds, 6),
        "cached": answer.cached,
    }


def _key(row: Floats) -> bytes:
    """An encoded row as a key: one zero and one blank, which have several bit patterns each."""
    return np.where(np.isnan(row), np.nan, row + 0.0).tobytes()
