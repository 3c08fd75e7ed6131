"""A run's figures counted again from its files, with arithmetic of its own.

    python benchmarks/recount.py RUN [RUN ...] [--table TABLE]
    python benchmarks/recount.py --make DIR [--tables cohort,wine]

Reads counterfactuals.csv, factuals.csv, schema.toml, metrics.json and task/train.csv with the standard library
alone: nothing of SenseCF is imported for it, so that a fault in its codec, scales, rules, tables or statistics
cannot hide in both. `TABLE`: what was explained; with it the people behind the requests and the classifier's
quality on held-out rows are counted too, for which the saved classifier, and nothing else, is asked. `--make` makes
six tables, explains each with `sensecf explain` (logistic, search, two answers) and recounts. Prints every figure
beside the product's. The status is 1 where one differs by more than 1e-6, and where one that can be counted is missing.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import operator
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations, pairwise
from pathlib import Path
from statistics import NormalDist, fmean, pstdev
from typing import Any, NamedTuple

TOLERANCE = 1e-6
#: Slack of a rule and of a range: decimals are not exact in binary.
SLACK = 1e-6
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "in": lambda value, listed: value in listed,
}

Row = dict[str, Any]


class Found(NamedTuple):
    """An answer: its line of counterfactuals.csv, and the values before and after."""

    line: dict[str, str]
    before: Row
    after: Row


class Figure(NamedTuple):
    """One figure: value per request or answer, with the person behind each; `low` and `high` for shares."""

    value: float
    n: int
    low: float = math.nan
    high: float = math.nan


def lines_of(path: Path) -> list[dict[str, str]]:
    """A CSV as text."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


class Run:
    """The files of a run. `table`: what was explained, where it is at hand."""

    def __init__(self, folder: Path, table: Path | None = None) -> None:
        self.folder = folder
        self.schema = tomllib.loads((folder / "schema.toml").read_text(encoding="utf-8"))
        self.features: dict[str, dict[str, Any]] = {f["name"]: f for f in self.schema["features"]}
        self.trained = lines_of(folder / "task" / "train.csv")
        self.train = [self.read(row) for row in self.trained]
        self.factuals = {row["query"]: self.read(row) for row in lines_of(folder / "factuals.csv")}
        self.lines = lines_of(folder / "counterfactuals.csv")
        self.answers = [Found(x, self.factuals[x["query"]], self.read(x)) for x in self.lines if x["rank"] != ""]
        self.valid = [found for found in self.answers if found.line["predicted"] == found.line["target"]]
        self.said = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        self.facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        self.table = None if table is None else lines_of(table)
        self.units, self.spreads, self.spans = self._scales()

    def numeric(self, name: str) -> bool:
        """Whether a feature is a number."""
        return self.features[name]["kind"] in ("continuous", "integer")

    def read(self, row: dict[str, str]) -> Row:
        """A row's features: numbers as floats, levels as text, None where blank."""
        return {n: None if row[n] == "" else float(row[n]) if self.numeric(n) else row[n] for n in self.features}

    def edits(self, before: Row, after: Row) -> list[str]:
        """What differs: numbers by more than half a step, levels, a blank against a value."""
        return [name for name in self.features if self._changed(name, before[name], after[name])]

    def _changed(self, name: str, before: Any, after: Any) -> bool:
        if before is None or after is None or not self.numeric(name):
            return bool(before != after)
        return bool(abs(after - before) > self.features[name].get("step", 1) / 2 + 1e-12)

    def measured(self, name: str, rows: Iterable[Row] | None = None) -> list[Any]:
        """The training values of a feature, blanks left out."""
        return [row[name] for row in (self.train if rows is None else rows) if row[name] is not None]

    def _scales(self) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
        """Of each number: the unit of `mad_l1`, the range in the schema, and that of the training rows.

        The unit is the MAD of what was measured, at least 5 % of the span of the middle 90 %; where the MAD is 0 the
        standard deviation, else the schema's range, else 1.
        """
        units, spreads, spans = {}, {}, {}
        for name in filter(self.numeric, self.features):
            values = sorted(self.measured(name)) or [0.0]
            middle = quantile(values, 0.5)
            mad = quantile(sorted(abs(v - middle) for v in values), 0.5)
            width = float(self.features[name]["high"]) - float(self.features[name]["low"])
            floor = 0.05 * (quantile(values, 0.95) - quantile(values, 0.05))
            units[name] = max(mad, floor) if mad > 0 else pstdev(values) or width or 1.0
            spreads[name], spans[name] = width or 1.0, values[-1] - values[0] or 1.0
        return units, spreads, spans

    def apart(self, a: Row, b: Row, unit: dict[str, float]) -> list[float]:
        """How far two rows are apart in each feature, numbers in `unit`; levels and a blank against a value: 1."""
        return [
            float(a[n] != b[n]) if a[n] is None or b[n] is None or n not in unit else abs(a[n] - b[n]) / unit[n]
            for n in self.features
        ]

    def distance(self, a: Row, b: Row) -> float:
        """`mad_l1`."""
        return sum(self.apart(a, b, self.units))

    def person(self, query: str) -> str:
        """Who stands behind a request."""
        group = self.schema.get("person")
        return query if group is None or self.table is None else self.table[int(query)][group]

    def knows_people(self) -> bool:
        """Whether `person` is the one whom the product takes."""
        return self.schema.get("person") is None or self.table is not None


def quantile(values: Sequence[float], share: float) -> float:
    """The quantile of sorted values, linear between two of them."""
    at = share * (len(values) - 1)
    low = math.floor(at)
    high = min(low + 1, len(values) - 1)
    return values[low] + (at - low) * (values[high] - values[low])


def keeps(run: Run, row: Row, rule: dict[str, Any]) -> bool:
    """Whether a row keeps a rule; a rule with a blank member does not apply, an order is asked pair by pair."""
    match rule["type"]:
        case "implication":
            when, then = rule["if"], rule["then"]
            if row[when["feature"]] is None or row[then["feature"]] is None:
                return True
            return not holds(run, row, when) or holds(run, row, then)
        case "order":
            values = [row[name] for name in rule["features"]]
            return all(a is None or b is None or a <= b + SLACK for a, b in pairwise(values))
        case "ratio":
            over, under = row[rule["numerator"]], row[rule["denominator"]]
            if over is None or under is None:
                return True
            return bool(rule["low"] * under - SLACK <= over <= rule["high"] * under + SLACK)
        case "total":
            weights = dict.fromkeys(rule["parts"], 1.0)
            if isinstance(rule["whole"], str):
                weights[rule["whole"]] = weights.get(rule["whole"], 0.0) - 1.0
            bound, op = 0.0 if isinstance(rule["whole"], str) else rule["whole"], "=="
        case "linear":
            weights, bound, op = rule["weights"], rule["bound"], rule["op"]
        case kind:
            raise SystemExit(f"rule type {kind!r} is not known here")
    if any(row[name] is None for name in weights):
        return True
    off, room = sum(w * row[n] for n, w in weights.items()) - bound, rule.get("tolerance", 0.0) + SLACK
    return bool({"<=": off <= room, ">=": off >= -room, "==": abs(off) <= room}[op])


def holds(run: Run, row: Row, test: dict[str, Any]) -> bool:
    """Whether a value that is not blank passes a test."""
    wanted = test["value"]
    if not run.numeric(test["feature"]):
        wanted = [str(w) for w in wanted] if isinstance(wanted, list) else str(wanted)
    return bool(OPERATORS[test["op"]](row[test["feature"]], wanted))


def wilson(values: Sequence[float], people: Sequence[str]) -> tuple[float, float]:
    """95 % of a share of 0s and 1s whose rows come from people (docs/metrics.md, "Intervals and tests")."""
    by_person: dict[str, list[float]] = defaultdict(list)
    for value, person in zip(values, people, strict=True):
        by_person[person].append(value)
    n, k, share = len(values), len(by_person), fmean(values)
    if k < 5:
        return math.nan, math.nan
    size = float(n)
    if min(sum(any(v == x for v in vs) for vs in by_person.values()) for x in (0.0, 1.0)) < 5:
        size = float(k)
    if 0 < share < 1:
        between = k / (k - 1) * sum((sum(v) - share * len(v)) ** 2 for v in by_person.values()) / n**2
        size = min(size, n / max(1.0, between / (share * (1 - share) / (n - 1))))
    z = NormalDist().inv_cdf(0.975)
    centre, shrink = share + z * z / (2 * size), 1 + z * z / size
    half = z * math.sqrt(share * (1 - share) / size + z * z / (4 * size * size))
    return max(0.0, (centre - half) / shrink), min(1.0, (centre + half) / shrink)


def figure(run: Run, values: Sequence[float], queries: Iterable[str]) -> Figure:
    """The mean of some values, its denominator, and an interval where all are 0 or 1 and people are known."""
    if not values:
        return Figure(math.nan, 0)
    ends = (math.nan, math.nan)
    if run.knows_people() and set(values) <= {0.0, 1.0}:
        ends = wilson(values, [run.person(query) for query in queries])
    return Figure(fmean(values), len(values), *ends)


def recount(run: Run) -> dict[str, Figure]:
    """Each figure that the files alone can tell."""
    return {**_requests(run), **_answers(run), **_jury(run), **_effort(run), **_likeness(run), **_menus(run)}


def _requests(run: Run) -> dict[str, Figure]:
    answers: dict[str, list[Found]] = {query: [] for query in run.factuals}
    for found in run.answers:
        answers[found.line["query"]].append(found)
    good = {q: [x for x in some if x.line["predicted"] == x.line["target"]] for q, some in answers.items()}
    asked = run.facts.get("generator")

    def who(query: str) -> str:
        if any(not run.edits(x.before, x.after) for x in good[query]):
            return "not_needed_share"
        names = {x.line["generator"] for x in good[query]}
        return "unanswered_share" if not names else "own_share" if asked in names else "fallback_share"

    def success(query: str) -> float:
        first = next((x.line for x in answers[query] if x.line["rank"] == "1"), None)
        if first is None or first["predicted"] != first["target"]:
            return 0.0
        return float(first["feasible"] == "True" and first["plausible"] == "True" and int(first["n_changed"]) <= 3)

    found: dict[str, Callable[[str], float]] = {
        "validity": lambda q: len(good[q]) / len(answers[q]) if answers[q] else 0.0,
        "coverage": lambda q: float(bool(answers[q])),
        "success_at_3_without_reference": success,
        "seconds": lambda q: max(float(x["seconds"]) for x in run.lines if x["query"] == q),
    }
    for share in ("own_share", "fallback_share", "unanswered_share", "not_needed_share") if asked else ():
        found[share] = lambda q, share=share: float(who(q) == share)  # type: ignore[misc]
    return {name: figure(run, [value(q) for q in answers], answers) for name, value in found.items()}


def _answers(run: Run) -> dict[str, Figure]:
    rules = run.schema.get("rules", [])

    def inside(x: Found) -> float:
        for name in filter(run.numeric, run.features):
            feature, value = run.features[name], x.after[name]
            slack = 1e-9 if name in run.edits(x.before, x.after) else feature.get("step", 1) / 2 + 1e-9
            if value is not None and not feature["low"] - slack <= value <= feature["high"] + slack:
                return 0.0
        return 1.0

    def locked(x: Found) -> float:
        still = [n for n, f in run.features.items() if f.get("role") == "immutable" or f.get("protected")]
        still += [n for n in run.features if x.before[n] is None]
        return float(all(x.before[n] == x.after[n] for n in still))

    queries = [x.line["query"] for x in run.answers]
    kept = [fmean(keeps(run, x.after, rule) for rule in rules) for x in run.answers if rules]
    return {
        "rules_kept": figure(run, kept, queries),
        "in_range": figure(run, [inside(x) for x in run.answers], queries),
        "locks_kept": figure(run, [locked(x) for x in run.answers], queries),
    }


def _jury(run: Run) -> dict[str, Figure]:
    """What the jury said of plans that change something; nothing where no plan was asked to hold."""
    asked = [x for x in run.valid if run.edits(x.before, x.after) and x.line.get("holds")]
    if not asked:
        return {}
    told = run.facts["jury"]
    agreed = {name: [float(x.line[name]) for x in asked] for name in ("holds", "holds_low", "lands")}
    shares = {name: Figure(fmean(values), len(values)) for name, values in agreed.items()}
    margin = {"hold_margin": Figure(told["margin"], told["people"])}
    return shares | margin | {"hold_calibration": Figure(told["held"] / told["people"], told["people"], told["low"])}


def _effort(run: Run) -> dict[str, Figure]:
    edits = [run.edits(x.before, x.after) for x in run.valid]
    queries = [x.line["query"] for x in run.valid]
    levers = {name for name, feature in run.features.items() if feature.get("role", "actionable") == "actionable"}
    edited = [(len(levers & set(e)) / len(e), q) for e, q in zip(edits, queries, strict=True) if e]
    times = Counter(name for e in edits for name in e)
    shares = [count / times.total() for count in times.values()]
    wide = len(run.features)
    entropy = -sum(s * math.log(s) for s in shares) / math.log(wide) if shares and wide > 1 else math.nan
    return {
        "n_changed": figure(run, [float(len(e)) for e in edits], queries)._replace(low=math.nan, high=math.nan),
        "actionable_share": figure(run, [share for share, _ in edited], [query for _, query in edited]),
        "mad_l1": Figure(mean([run.distance(x.before, x.after) for x in run.valid]), len(run.valid)),
        "gower": Figure(mean([fmean(run.apart(x.before, x.after, run.spreads)) for x in run.valid]), len(run.valid)),
        "heom": Figure(mean([heom(run, x) for x in run.valid]), len(run.valid)),
        "change_entropy": Figure(entropy, len(run.valid)),
    }


def heom(run: Run, x: Found) -> float:
    """`heom`: a blank is 1 from everything, from a blank too."""
    blank = (x.before[name] is None or x.after[name] is None for name in run.features)
    apart = run.apart(x.before, x.after, run.spans)
    return math.hypot(*(1.0 if gone else far for gone, far in zip(blank, apart, strict=True)))


def _likeness(run: Run) -> dict[str, Figure]:
    label = run.schema["label"]
    classes = {row[label] for row in run.trained}
    rows = {goal: [r for r, t in zip(run.train, run.trained, strict=True) if t[label] == goal] for goal in classes}
    values = {goal: {n: run.measured(n, some) for n in run.features} for goal, some in {**rows, "": run.train}.items()}

    def inside(x: Found, goal: str) -> float:
        for name, there in values[goal].items():
            value = x.after[name]
            if value is None:
                continue
            if not there or not (
                min(there) - 1e-9 <= value <= max(there) + 1e-9 if run.numeric(name) else value in there
            ):
                return 0.0
        return 1.0

    queries = [x.line["query"] for x in run.valid]
    return {
        "in_training_range": figure(run, [inside(x, "") for x in run.valid], queries),
        "in_class_range": figure(run, [inside(x, x.line["target"]) for x in run.valid], queries),
        "probability": Figure(mean([float(x.line["probability"]) for x in run.valid]), len(run.valid)),
    }


def _menus(run: Run) -> dict[str, Figure]:
    by_query: dict[str, list[Found]] = defaultdict(list)
    for found in run.valid:
        by_query[found.line["query"]].append(found)
    menus = {query: some for query, some in by_query.items() if len(some) > 1}

    def kernel(menu: list[Found]) -> float:
        rows = [[1 / (1 + run.distance(x.after, y.after)) for y in menu] for x in menu]
        return min(1.0, max(0.0, determinant(rows)))

    apart = [fmean(run.distance(x.after, y.after) for x, y in combinations(menu, 2)) for menu in menus.values()]
    kinds = [len({tuple(run.edits(x.before, x.after)) for x in menu}) / len(menu) for menu in menus.values()]
    return {
        "pairwise_distance": Figure(mean(apart), len(apart)),
        "distinct_actions": figure(run, kinds, menus),
        "dpp": Figure(mean([kernel(menu) for menu in menus.values()]), len(menus)),
    }


def mean(values: Sequence[float]) -> float:
    """The mean, NaN of nothing."""
    return fmean(values) if values else math.nan


def determinant(rows: list[list[float]]) -> float:
    """Of a small matrix, along its first row."""
    if not rows:
        return 1.0
    minors = ([row[:j] + row[j + 1 :] for row in rows[1:]] for j in range(len(rows)))
    return sum((-1) ** j * rows[0][j] * determinant(minor) for j, minor in enumerate(minors))


def quality(run: Run) -> dict[str, Figure]:
    """The classifier on the rows of the table that it was not trained on; it is asked, and no more."""
    import pandas as pd

    from sensecf import load_task

    assert run.table is not None
    label, group = run.schema["label"], run.schema.get("person")
    spent = Counter(as_key(run, row) for row in run.trained)
    held: list[dict[str, str]] = []
    for row in run.table:
        key = as_key(run, row)
        if spent[key] > 0:
            spent[key] -= 1
        elif row[label] != "":
            held.append(row)
    goal = str(run.facts["target"])
    task = load_task(run.folder)
    frame = pd.DataFrame([run.read(row) for row in held], columns=list(run.features))
    place = [str(c) for c in task.classifier.classes_].index(goal)
    said = task.classifier.predict_proba(task.codec.decode(task.codec.encode(frame)))[:, place].tolist()
    there = [str(c) == goal for c in task.classifier.predict(task.codec.decode(task.codec.encode(frame)))]
    truth = [row[label] == goal for row in held]
    yes = [p for p, t in zip(said, truth, strict=True) if t]
    no = [p for p, t in zip(said, truth, strict=True) if not t]
    wins = sum((a > b) + (a == b) / 2 for a in yes for b in no)
    hit = mean([float(w) for w, t in zip(there, truth, strict=True) if t])
    passed = mean([float(not w) for w, t in zip(there, truth, strict=True) if not t])
    bins: dict[int, float] = defaultdict(float)
    for p, t in zip(said, truth, strict=True):
        bins[min(9, int(p * 10))] += p - t
    alarms = [(float(t), row) for w, t, row in zip(there, truth, held, strict=True) if not w]
    people = [row[group] if group else str(i) for i, (_, row) in enumerate(alarms)]
    n = len(held)
    return {
        "classifier_auc": Figure(wins / (len(yes) * len(no)), n),
        "classifier_balanced_accuracy": Figure((hit + passed) / 2, n),
        "classifier_brier": Figure(mean([(p - t) ** 2 for p, t in zip(said, truth, strict=True)]), n),
        "classifier_ece": Figure(sum(map(abs, bins.values())) / n, n),
        "false_alarms": Figure(mean([a for a, _ in alarms]), len(alarms), *wilson([a for a, _ in alarms], people)),
    }


def as_key(run: Run, row: dict[str, str]) -> tuple[Any, ...]:
    """What tells rows apart: the features as values, and the label."""
    return (*run.read(row).values(), row[run.schema["label"]], row.get(run.schema.get("person") or ""))


def differs(a: float, b: float | None) -> bool:
    """Whether two figures are not the same; None and NaN are both "not defined"."""
    other = math.nan if b is None else b
    return math.isnan(a) != math.isnan(other) or abs(a - other) > TOLERANCE * max(1.0, abs(a))


def compare(folder: Path, table: Path | None = None) -> int:
    """Print each figure beside the product's; returns how many differ or are missing."""
    run = Run(folder, table)
    found = recount(run) | (quality(run) if run.table is not None else {})
    wrong = 0
    print(
        f"{folder}: {len(run.factuals)} requests, {len(run.answers)} answers, {len(run.train)} training rows",
        flush=True,
    )
    for name, mine in found.items():
        said = run.said.get(name)
        if said is None:
            print(f"  {name:31} {mine.value:12.6f}  is missing in metrics.json")
            wrong += 1
            continue
        other = differs(mine.value, said["value"]) or mine.n != said["n"]
        if not math.isnan(mine.low):
            other |= differs(mine.low, said["low"]) or differs(mine.high, said["high"])
        ends = "" if math.isnan(mine.low) else f"[{mine.low:.6f}, {mine.high:.6f}]"
        theirs = f"{said['value']} of {said['n']} [{said['low']}, {said['high']}]"
        print(f"  {name:31} {mine.value:12.6f} of {mine.n:5} {ends:22} {'DIFFERS from ' + theirs if other else 'same'}")
        wrong += other
    return wrong


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", nargs="*", type=Path)
    parser.add_argument("--table", type=Path, help="the table that the one run explains")
    parser.add_argument("--make", type=Path, help="make tables here, explain and recount them")
    parser.add_argument("--tables", default="", help="of those made, only these (names, commas between)")
    options = parser.parse_args()
    if not options.runs and options.make is None:
        parser.error("give the folder of a run, or --make DIR")
    wrong = sum(compare(folder, options.table) for folder in options.runs)
    if options.make is not None:
        from recount_tables import NAMES, explained

        for name in options.tables.split(",") if options.tables else NAMES:
            wrong += compare(*explained(options.make, name))
    print("every figure is recounted" if not wrong else f"{wrong} figures differ")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
