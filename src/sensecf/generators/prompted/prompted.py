"""`prompted`: a language model is asked in words; what fails goes back to it in words."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, TypedDict, Unpack

import numpy as np
import pandas as pd

from sensecf.core.candidates import Candidates
from sensecf.core.errors import InputError
from sensecf.core.query import Query
from sensecf.core.rules import Floats
from sensecf.core.task import Ints, Task
from sensecf.core.verify import Verdicts, verify
from sensecf.data.card import Card
from sensecf.data.privacy_gate import permission, withheld
from sensecf.generators.prompted.shots import Choice, Shots
from sensecf.generators.traits import Traits
from sensecf.llm import LLM, Completion, JsonSchema, Message, Prompt
from sensecf.llm.language.prompts import PLAIN, PROMPT_VERSION, Asked, Prompts, Style
from sensecf.llm.language.replies import Problem, correction, infeasible_words, invalid_words, json_schema, read
from sensecf.llm.language.wording import defused

#: The temperature at which several answers to one prompt differ; one answer is asked for at 0.
SAMPLING = 0.7
#: Tokens of an answer that follows no JSON Schema, at most.
UNBOUND = 512
#: Characters of an answer that go back to the model with what is wrong with it.
MAX_RETURNED = 2_000
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
    """What is asked about one person, the conversation that asks it, and the JSON Schema of the answer."""

    asked: Asked
    prompt: Prompt
    json_schema: JsonSchema


class Options(TypedDict, total=False):
    """The fields of `Asking` as keywords of `Prompted`."""

    shots: int
    shot_choice: Choice
    rounds: int
    samples: int
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
    style: Style = PLAIN
    constrained: bool = True
    max_tokens: int | None = None

    def __post_init__(self) -> None:
        for option, value, least in (
            ("rounds", self.rounds, 0),
            ("samples", self.samples, 1),
            ("max_tokens", self.max_tokens, 1),
        ):
            if value is not None and value < least:
                raise InputError(f"{option} must be at least {least}, not {value}")


class Prompted:
    """Ask a language model for the smallest changes, verify, tell it what failed, ask again.

    `llm`: anything with `complete` and `host` (see `sensecf.llm`). `shots`: examples per prompt, chosen
    as `shot_choice` says (see `Shots`). `rounds`: how often a person without a good answer is asked
    again; `samples`: answers per round. With `rounds=0, samples=1` it is what a bare prompt gives.
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
        self.prompts = Prompts(task, how.style, seed=seed, withheld=self.withheld)
        self.shots = Shots(self.prompts, how.shots, how.shot_choice, seed=seed, plausibility=plausibility)
        self._log: list[dict[str, Any]] = []

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
        asked = self.prompts.ask(query)
        shots = self.shots.choose(query)
        return [
            Question(one, self.prompts.render(one, examples), json_schema(self.prompts, one))
            for one, examples in zip(asked, shots, strict=True)
        ]

    def propose(self, query: Query, rng: np.random.Generator) -> Candidates:
        """A candidate per answer of the model, over all rounds; a reason for a person who cannot be asked."""
        questions = self.questions(query)
        talks = [question.prompt for question in questions]
        mute = np.array([i for i, question in enumerate(questions) if not question.asked.choices], dtype=np.intp)
        nothing = np.full((len(mute), len(self.task.schema)), np.nan)
        parts = [Candidates.of(mute, nothing, self.name, ["nothing may change"] * len(mute))]
        waiting = np.setdiff1d(np.arange(len(query)), mute)
        for turn in range(self.how.rounds + 1):
            if not len(waiting):
                break
            completions = self.llm.complete(
                [talks[i] for i in waiting],
                self.how.samples,
                json_schemas=[questions[i].json_schema for i in waiting] if self.how.constrained else None,
                **self.sampling,
            )
            owner = np.repeat(waiting, self.how.samples)
            answers = [answer for several in completions for answer in several]
            rows, problems = self._read([questions[i].asked for i in owner], answers)
            reasons = ["; ".join(problem.words for problem in found) for found in problems]
            found = Candidates.of(owner, rows, self.name, reasons)
            verdicts = verify(self.task, query, found)
            self._note(turn, query, found, verdicts, answers, problems)
            parts.append(found)
            waiting = np.setdiff1d(waiting, owner[verdicts.good])
            if turn < self.how.rounds:
                waiting = self._send_back(waiting, talks, questions, found, verdicts, answers)
        return Candidates.concat(parts)

    def _read(self, asked: list[Asked], answers: list[Completion]) -> tuple[Floats, list[list[Problem]]]:
        """The row of each answer (all NaN where there is none), and what is wrong where there is none."""
        rows = np.full((len(answers), len(self.task.schema)), np.nan)
        problems: list[list[Problem]] = []
        for k, (one, answer) in enumerate(zip(asked, answers, strict=True)):
            if answer.reason:
                problems.append([Problem("no answer", answer.reason)])
                continue
            row, wrong = read(self.prompts, one, answer.text)
            if row is not None:
                rows[k] = row
            problems.append(wrong)
        return rows, problems

    def _send_back(
        self,
        waiting: Ints,
        talks: list[Prompt],
        questions: list[Question],
        found: Candidates,
        verdicts: Verdicts,
        answers: list[Completion],
    ) -> Ints:
        """Add the best failed answer, and what is wrong with it, to each conversation; who can be asked again.

        The best is a feasible row with the highest lead, else an infeasible row, else a text that is no
        answer. Where there is no text at all (a server that failed), there is nothing to correct.
        """
        again = []
        grade = np.where(found.reason != "", -3.0, np.where(verdicts.feasible, verdicts.lead, -2.0))
        for i in waiting.tolist():
            own = [k for k in np.flatnonzero(found.query == i) if answers[k].text.strip()]
            if not own:
                continue
            best = max(own, key=lambda k: grade[k])
            asked = questions[i].asked
            if found.reason[best]:
                wrong = [found.reason[best]]
            elif not verdicts.feasible[best]:
                wrong = infeasible_words(self.prompts, asked, found.rows[best])
            else:
                verdict = int(verdicts.predicted[best]), float(verdicts.probability[best]), float(verdicts.lead[best])
                wrong = [invalid_words(self.prompts, asked, *verdict)]
            # Led on by a cell, a model may repeat it without the escapes that keep it data.
            told = Message("assistant", defused(answers[best].text[:MAX_RETURNED]))
            talks[i] = (*talks[i], told, Message("user", correction(wrong)))
            again.append(i)
        return np.array(again, dtype=np.intp)

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
        names = np.select(
            [found.reason != "", ~verdicts.feasible, ~verdicts.valid], ["refused", "infeasible", "not valid"], "good"
        )
        for k, answer in enumerate(answers):
            self._log.append(
                {
                    "row": _key(query.rows[found.query[k]]),
                    "round": turn,
                    "sample": k % self.how.samples + 1,
                    "verdict": str(names[k]),
                    "problem": problems[k][0].kind if problems[k] else "",
                    "reason": found.reason[k] or verdicts.reason[k],
                    "probability": round(float(verdicts.probability[k]), 6),
                    "tokens_in": answer.tokens_in,
                    "tokens_out": answer.tokens_out,
                    "seconds": round(answer.seconds, 6),
                    "cached": answer.cached,
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

    def facts(self) -> dict[str, Any]:
        """What the model was asked and what it cost, for `run.json`; counts are of answers, by round."""
        table = pd.DataFrame(self._log, columns=["row", *COLUMNS[1:]])
        rounds = []
        for turn in range(int(table["round"].max()) + 1 if len(table) else 0):
            part = table[table["round"] == turn]
            verdicts = part["verdict"].value_counts()
            problems = part["problem"][part["problem"] != ""].value_counts()
            rounds.append(
                {
                    "round": turn,
                    "people": int(part["row"].nunique()),
                    "answers": len(part),
                    **{name: int(verdicts.get(name, 0)) for name in ("good", "not valid", "infeasible", "refused")},
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
            "samples": self.how.samples,
            "constrained": self.how.constrained,
            "withheld": self.withheld,
            "tokens_in": int(table["tokens_in"].sum()),
            "tokens_out": int(table["tokens_out"].sum()),
            "cached_answers": int(table["cached"].sum()),
            "rounds": rounds,
        }


def _key(row: Floats) -> bytes:
    """An encoded row as a key: one zero and one blank, which have several bit patterns each."""
    return np.where(np.isnan(row), np.nan, row + 0.0).tobytes()
