"""`Counterfactuals`: the answers, one tidy table with a verdict in every row."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from pandas.api.extensions import ExtensionArray

from sensecf.core.answer_files import PEOPLE, SHARES, read_answers, read_people
from sensecf.core.cost import Cost
from sensecf.core.files import replacing
from sensecf.core.names import join_names, split_names
from sensecf.core.people import PERSON, WHEN, counted
from sensecf.core.reasons import merged
from sensecf.core.schema import RESERVED, Feature, FeatureSchema

if TYPE_CHECKING:
    from sensecf.core.rules import Bools, Floats
    from sensecf.core.task import Task

#: The columns before the features, in the order in which they are saved.
VERDICT_COLUMNS = RESERVED
#: Columns of `Counterfactuals.of` that hold a value for each feature: what is edited, what is expected to follow.
ARRAYS = ("edited", "expected", "low", "high")
#: What separates the names in column `actions`; a name that holds it stands in double quotes.
ACTIONS_MARK = ";"
#: A column on its way into a table: an array, an array that knows blanks, texts, or one text for all rows.
Column: TypeAlias = np.ndarray | ExtensionArray | list[str] | str
#: Who may have found an answer; see `Counterfactuals.found_by`.
FINDERS = ("own", "fallback", "nobody", "not needed")


@dataclass(repr=False)
class Counterfactuals:
    """Answers and abstentions.

    `frame`: the columns `VERDICT_COLUMNS`, then every feature in schema order. An abstention has
    no rank and no feature values, and its `reason` says what blocked it.
    `factuals`: index `query`, then `person`, `when` and the columns shown beside them, where the schema names them, the
    features, `predicted` and `probability` (of the target).
    `attempts`: how many candidates came to each verdict, by generator (columns generator, verdict, count).
    `cost`: see `core.cost`.
    `asked`: the generator that was asked for; answers under another name in column `generator` are a fallback's.
    `failures`: why it found nothing, with the number of distinct requests, the most frequent reason first.
    `people`: where plans are for people, one row for each plan, and for each person without one: columns `PEOPLE`.

    >>> plans
    <Counterfactuals: 3 answers to 3 of 4 requests by search>
    >>> plans.changes().columns.tolist()[:6]
    ['query', 'rank', 'feature', 'unit', 'before', 'after']
    """

    frame: pd.DataFrame
    factuals: pd.DataFrame
    schema: FeatureSchema
    attempts: pd.DataFrame = field(default_factory=pd.DataFrame)
    cost: Cost = field(default_factory=Cost)
    asked: str = ""
    failures: pd.Series[int] = field(default_factory=lambda: pd.Series(dtype=int))
    people: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(PEOPLE)))

    @classmethod
    def of(
        cls, task: Task, factuals: pd.DataFrame, columns: Mapping[str, ArrayLike], rows: Floats, **more: Any
    ) -> Counterfactuals:
        """The answers with these verdicts, one array of length m per column, and their encoded rows (m, d).

        Column `rank` is 0 where there is no answer, `predicted` a position among the task's classes (-1 for none),
        `edited` (m, d) says which features are edited: their names are column `actions`; `expected`, `low` and `high`
        (m, d), where they are known, what is expected to follow and its band: column `consequences`;
        what is no column of `VERDICT_COLUMNS` is left out. `more`: the other fields.
        """
        rank = np.asarray(columns["rank"])
        labels = np.array([*task.classes, None], dtype=object)
        found: dict[str, Column] = {}
        for name in ("rank", "n_changed"):
            whole = pd.array(np.asarray(columns[name]).astype(int), dtype="Int64")
            whole[rank == 0] = pd.NA
            found[name] = whole
        for name in SHARES:
            values = columns.get(name, np.full(len(rank), np.nan))
            found[name] = np.where(rank > 0, np.asarray(values, dtype=float).round(6), np.nan)
        for name in ("probability", "proximity"):
            found[name] = np.where(rank > 0, np.asarray(columns[name], dtype=float).round(6), np.nan)
        for name in ("valid", "feasible", "plausible"):
            found[name] = np.asarray(columns[name], dtype=bool) & (rank > 0)
        names = np.array(task.schema.names, dtype=object)
        edited = np.asarray(columns["edited"], dtype=bool) & (rank > 0)[:, None]
        told = "expected" in columns and bool((np.asarray(columns["expected"]) != rows)[~np.isnan(rows)].any())
        for name in ("expected_valid", "cautious_valid"):
            there = np.full(len(rank), None, dtype=object)
            if told:
                there[rank > 0] = np.asarray(columns[name], dtype=bool)[rank > 0]
            found[name] = pd.array(there, dtype="boolean")
        found["consequences"] = consequences_text(task, columns, rows) if told else ""
        blank = np.full(len(rank), None, dtype=object)
        found |= {
            "actions": [join_names(names[mask], ACTIONS_MARK) for mask in edited],
            **_whose(factuals, columns["query"]),
            "plan_id": np.asarray(columns.get("plan_id", np.full(len(rank), "", dtype=object)), dtype=object),
            **{n: pd.array(np.asarray(columns.get(n, blank)), dtype="Int64") for n in ("turns", "of")},
            "predicted": labels[np.asarray(columns["predicted"])],
            "seconds": np.asarray(columns["seconds"], float).round(6),
        }
        verdicts = pd.DataFrame({**columns, **found}, columns=list(VERDICT_COLUMNS))
        return cls(pd.concat([verdicts, task.codec.decode(rows, nullable=True)], axis=1), factuals, task.schema, **more)

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        """How many were asked and answered, by whom; no row of anybody."""
        asked, answered = len(self.factuals), self.answers["query"].nunique()
        by = f" by {self.asked}" if self.asked and not self.fallbacks() else ""
        return f"<Counterfactuals: {len(self.answers)} answers to {answered} of {asked} requests{by}>"

    def _repr_html_(self) -> str:
        """For notebooks: the line of `repr`, and how often each feature is changed; no row of anybody."""
        counts = self.changes()["feature"].value_counts().rename("answers that change it").to_frame()
        return f"<p>{html.escape(repr(self))}</p>{counts.to_html() if len(counts) else ''}"

    def to_frame(self) -> pd.DataFrame:
        """A copy of the table."""
        return self.frame.copy()

    @property
    def answers(self) -> pd.DataFrame:
        """The rows that are answers (a rank is given)."""
        return self.frame[self.frame["rank"].notna()]

    @property
    def abstentions(self) -> pd.DataFrame:
        """One row per query without an answer, with its reason."""
        return self.frame[self.frame["rank"].isna()]

    def found_by(self, valid: ArrayLike | None = None, edits: ArrayLike | None = None) -> pd.Series[str]:
        """Who found a valid answer to each request: one of `FINDERS`, indexed by query.

        "own" is the generator asked for, "fallback" any other, "nobody" an abstention, "not needed" a
        request that is in the target class already. `valid`, `edits`: whether each of `answers` is valid
        and how many features it changes, by default as it stands in the table.
        """
        answers = self.answers
        keep = np.asarray(answers["valid"] if valid is None else valid, dtype=bool)
        good, changed = answers[keep], np.asarray(answers["n_changed"] if edits is None else edits)[keep]
        who = np.where(good["generator"] == self.asked, "own", "fallback")
        who = np.where(changed == 0, "not needed", who)
        found = pd.Series(who, index=pd.Index(good["query"]), dtype=object)
        return found.groupby(level=0).first().reindex(self.factuals.index, fill_value="nobody").rename("found by")

    def shares(self, what: str = "plan") -> str:
        """Who found how many of the answers that were needed, in one line, with the main reason of a failure.

        `what`: what an answer is called; nothing that is not asked to hold is a plan.
        """
        counts = self.found_by().value_counts().reindex(FINDERS, fill_value=0)
        needed = int(counts.sum() - counts["not needed"])
        why = " ".join(str(self.failures.index[0]).split()) if len(self.failures) else ""
        reasons = self.abstentions["reason"].astype(str)
        # A search says nothing of itself that is not said better by what blocks an answer.
        if needed and needed == counts["nobody"] and not (why and reasons.str.contains(why, regex=False).any()):
            blocked = reasons.str.split(";").str[0].value_counts()
            parts = [f"A plan was found for none of {needed:,} {counted(self.factuals).many}"]
            parts[0] += f": {blocked.index[0]}" if len(blocked) else ""
            counts["nobody"] = 0
        elif needed and not counts["own"]:
            parts = [f"0 of {needed:,} answered by {self.asked}" + (f" ({why})" if why else "")]
            parts += [f"{counts['fallback']:,} by {self.fallbacks()}"] if counts["fallback"] else []
        else:
            rows = counted(self.factuals).many
            parts = [f"A {what} was found for {counts['own'] + counts['fallback']:,} of {needed:,} {rows}"]
            if counts["fallback"]:
                failed = f"; what kept {self.asked} from the others: {why}" if why else ""
                who = f"{counts['own']:,} by {self.asked}, {counts['fallback']:,} by {self.fallbacks()}"
                parts[0] += f" ({who}{failed})"
        if counts["nobody"]:
            parts.append(f"for {counts['nobody']:,} there is none")
        if counts["not needed"]:
            parts.append(f"{counts['not needed']:,} in the target class already")
        return "; ".join(parts)

    def fallbacks(self) -> str:
        """The generators that answered though another was asked for, "" where none did."""
        names = self.answers["generator"]
        return " and ".join(names[~names.isin([self.asked, "none"])].unique())

    @property
    def own_none(self) -> bool:
        """Whether an answer was needed and the generator asked for found none."""
        found = self.found_by()
        return bool((found != "not needed").any() and not (found == "own").any())

    @property
    def acts(self) -> Bools:
        """Which features each of `answers` edits, shape (m, d): those of column `actions`; what else differs from the
        factual follows. Without that column, as in tables made elsewhere, all that differs is edited."""
        answers = self.answers
        if "actions" not in answers:
            return self._differs()
        named = np.zeros((len(answers), len(self.schema)), dtype=bool)
        for row, text in enumerate(answers["actions"]):
            named[row, [self.schema.columns[name] for name in split_names(text, ACTIONS_MARK)]] = True
        return named

    def changes(self) -> pd.DataFrame:
        """Every change, one per row: query, rank, feature, unit, before, after (as the table's values), and whether
        it follows from the others (the stages of a longer night) or is an action of its own."""
        columns = ["query", "rank", "feature", "unit", "before", "after", "follows"]
        return pd.DataFrame(list(self._changes()), columns=columns)

    def consequences(self) -> pd.DataFrame:
        """What is expected to follow from each answer, one result per row: query, rank, feature, unit, before,
        expected, low, high (ends of a 90 % band). Empty where the schema accepts no causes."""
        answers, found = self.answers, []
        for query, rank, text in zip(answers["query"], answers["rank"], answers.get("consequences", ""), strict=False):
            for entry in split_names(text, ACTIONS_MARK):
                name, _, numbers = entry.rpartition("=")
                values = [float(v) for v in numbers.split("|")]
                found.append((query, int(rank), name, self.schema[name].unit, self.factuals.at[query, name], *values))
        columns = ["query", "rank", "feature", "unit", "before", "expected", "low", "high"]
        return pd.DataFrame(found, columns=columns)

    def _differs(self) -> Bools:
        from sensecf.core.codec import Codec

        answers, codec = self.answers, Codec(self.schema)
        before = self.factuals.loc[answers["query"], self.schema.names]
        return codec.changed(codec.encode(before), codec.encode(answers))

    def _changes(self) -> Iterator[tuple[Any, ...]]:
        answers = self.answers
        if answers.empty:
            return
        changed, acts = self._differs(), self.acts
        before = self.factuals.loc[answers["query"], self.schema.names].reset_index(drop=True)
        after = answers[self.schema.names].reset_index(drop=True)
        keys = list(zip(answers["query"], answers["rank"].astype(int), strict=True))
        for row, column in zip(*changed.nonzero(), strict=True):
            feature = self.schema.features[column]
            yield (
                *keys[row],
                feature.name,
                feature.unit,
                before.iat[row, column],
                after.iat[row, column],
                not acts[row, column],
            )

    def plans(self, called: Mapping[str, str] | None = None) -> pd.DataFrame:
        """Answers as people read them: query, rank, plan ("steps 4,100 → 6,500 steps; ..."), what follows from it by a
        rule, what is expected to follow with its 90 % band, probability.

        `called`: what features are called, where that is not their name.
        """
        called = called or {}
        texts: dict[tuple[Any, int, bool], list[str]] = {}
        for query, rank, name, _unit, before, after, follows in self._changes():
            feature = self.schema[name]
            text = f"{called.get(name, name)} {feature.format(before)} → {feature.format(after, unit=True)}"
            texts.setdefault((query, rank, follows), []).append(text)
        answers = self.answers
        keys = list(zip(answers["query"], answers["rank"].astype(int), strict=True))
        out = answers[["query", "rank", "probability", "plausible", "n_changed"]].copy()
        out.insert(2, "plan", ["; ".join(texts.get((*key, False), ["no change needed"])) for key in keys])
        out.insert(3, "follows", ["; ".join(texts.get((*key, True), [])) for key in keys])
        out.insert(4, "expected", self.expected(called=called))
        return out.reset_index(drop=True)

    def expected(self, most: int | None = None, called: Mapping[str, str] | None = None) -> list[str]:
        """What is expected to follow from each of `answers`, as people read it: "glucose 131 → 126 (124 to 129) mg/dL";
        "" where nothing is.

        The largest first, in standard deviations of the rows asked about; with `most` no more than so many, and how
        many more there are. What stays where it is once it is rounded is left out. `called`: see `plans`.
        """
        called = called or {}
        told: dict[tuple[Any, int], list[tuple[float, str]]] = {}
        spread = {f.name: self._spread(f) for f in self.schema.features if f.numeric}
        for query, rank, name, _unit, before, expected, low, high in self.consequences().itertuples(index=False):
            say = self.schema[name].format
            if say(before) == say(expected):
                continue
            text = f"{called.get(name, name)} {say(before)} → {say(expected)} ({say(low)} to {say(high, unit=True)})"
            size = abs(float(expected) - float(before)) / spread[name] if name in spread else 1.0
            told.setdefault((query, rank), []).append((size, text))
        answers = self.answers
        found = []
        for key in zip(answers["query"], answers["rank"].astype(int), strict=True):
            texts = [text for _, text in sorted(told.get(key, []), key=lambda one: -one[0])]
            more = [] if most is None or len(texts) <= most else [f"and {len(texts) - most} more"]
            found.append("; ".join(texts[:most] + more))
        return found

    def _spread(self, feature: Feature) -> float:
        """The standard deviation of a number among the rows asked about; the range where they are all alike."""
        values = pd.to_numeric(self.factuals[feature.name]).astype(float)
        spread = float(values.std(ddof=0))
        return spread if spread > 0 else float((feature.high or 0.0) - (feature.low or 0.0)) or 1.0

    def reasons(self) -> list[tuple[str, list[Any]]]:
        """Why requests have no answer, with the requests, the most frequent reason first; see `reasons.merged`."""
        silent = self.factuals.index[~self.factuals.index.isin(self.answers["query"])]
        noted = self.abstentions.drop_duplicates("query").set_index("query")["reason"].reindex(silent)
        noted = noted.fillna("").replace("", "no reason was given")
        return merged(noted)

    def record(self, query: Any, rank: int = 1) -> Mapping[str, Any]:
        """One row as a mapping. Raises `KeyError` when there is no such answer."""
        found = self.frame[(self.frame["query"] == query) & (self.frame["rank"] == rank)]
        if found.empty:
            raise KeyError(f"query {query!r} has no answer of rank {rank}")
        return dict(found.iloc[0])

    def save(self, directory: str | Path) -> None:
        """Write `counterfactuals.csv`, `factuals.csv`, `schema.toml` and, where plans are for people, `people.csv`,
        each whole or not at all."""
        directory = Path(directory)
        for name, frame, index in (
            ("counterfactuals.csv", self.frame, False),
            ("factuals.csv", self.factuals, True),
        ):
            with replacing(directory / name) as path:
                frame.to_csv(path, index=index, index_label="query" if index else None)
        if len(self.people):
            with replacing(directory / "people.csv") as path:
                self.people.to_csv(path, index=False)
        self.schema.to_toml(directory / "schema.toml")

    @classmethod
    def load(cls, directory: str | Path) -> Counterfactuals:
        """What `save` wrote, or `explain` on the command line: answers, abstentions and factuals.

        Attempts and costs are not kept there. Raises `InputError` for a folder without them, and for a
        value that the schema does not allow.
        """
        directory = Path(directory)
        schema = FeatureSchema.from_toml(directory / "schema.toml")
        frame, factuals = (read_answers(directory / name, schema) for name in ("counterfactuals.csv", "factuals.csv"))
        found = cls(frame, factuals.set_index("query"), schema)
        return (
            replace(found, people=read_people(directory / "people.csv"))
            if (directory / "people.csv").exists()
            else found
        )


def _whose(factuals: pd.DataFrame, queries: ArrayLike) -> dict[str, Column]:
    """Columns `person` and `when` of answers to queries, "" where nobody says."""
    at = factuals.index.get_indexer(pd.Index(np.asarray(queries)))
    blank = np.full(len(at), "", dtype=object)
    return {name: factuals[name].to_numpy(dtype=object)[at] if name in factuals else blank for name in (PERSON, WHEN)}


def consequences_text(task: Task, columns: Mapping[str, ArrayLike], rows: Floats) -> list[str]:
    """What is expected to follow from each row, as text: "feature=expected|low|high", joined by `ACTIONS_MARK`."""
    expected, low, high = (np.asarray(columns[name], dtype=float) for name in ("expected", "low", "high"))
    moved = task.codec.changed(rows, expected) | task.codec.changed(low, high)
    texts = []
    for i in range(len(rows)):
        entries = []
        for j in np.flatnonzero(moved[i]).tolist():
            feature = task.schema.features[j]
            numbers = (
                f"{round(v, feature.decimals) + 0.0:.{feature.decimals}f}"
                for v in (expected[i, j], low[i, j], high[i, j])
            )
            entries.append(f"{feature.name}={'|'.join(numbers)}")
        texts.append(join_names(entries, ACTIONS_MARK))
    return texts
