"""The command line, called in this process (fast) or as the installed script (true to life)."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from checker import differs, problems, value_of
from sensecf import cli
from sensecf.core.schema import RESERVED, FeatureSchema
from sensecf.runs.run import load_task

#: The installed entry point.
SCRIPT = Path(sys.executable).with_name("sensecf")

#: A classifier and a generator that cost next to nothing.
QUICK = ("--classifier", "logistic", "--generator", "nearest")

#: What `sensecf schema` makes of `people()`, without its comments.
SCHEMA = """
name = "table"
label = "stress"
classes = ["high", "low"]
target = "low"

[[features]]
name = "steps"
kind = "integer"
role = "actionable"
unit = "steps"
low = 1000
high = 15000
step = 1

[[features]]
name = "deep_sleep_min"
kind = "continuous"
role = "actionable"
unit = "min"
low = 5
high = 150
step = 0.1

[[features]]
name = "age"
kind = "integer"
role = "immutable"
low = 18
high = 80
step = 1
protected = true

[[features]]
name = "device"
kind = "categorical"
role = "actionable"
levels = ["band", "ring", "watch"]
"""

#: A module with a classifier of the user's own, and the line that tests replace in it.
CLASS = """
import numpy as np

class Own:
    classes_ = np.array(["high", "low"])

    def predict(self, rows):
        return self.classes_[self.predict_proba(rows).argmax(axis=1)]

    def predict_proba(self, rows):
        low = np.clip(rows["steps"].to_numpy() / 16_000, 0, 1)
        return np.column_stack([1 - low, low])

own = Own()
"""
PROBA = "return np.column_stack([1 - low, low])"


class Outcome(NamedTuple):
    """How a command ended: exit status and what it printed."""

    status: int
    out: str
    err: str


def call(*arguments: Any) -> Outcome:
    """Call `sensecf.cli.app.main` as the shell would; an exception that it lets through fails the test.

    `explain` and `prompt` are asked for boundary answers where the arguments do not say what is to hold.
    """
    if arguments[:1] in (("explain",), ("prompt",)) and "--hold" not in arguments and "--help" not in arguments:
        arguments = (*arguments, "--hold", "0")
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setattr(sys, "argv", ["sensecf", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    return Outcome(int(ended.value.code or 0), out.getvalue(), err.getvalue())


def make_schema(table: Path, path: Path, label: str = "stress", *options: Any) -> Path:
    """The file that `sensecf schema TABLE > path` leaves."""
    found = call("schema", table, "--label", label, *options)
    assert found.status == 0, found.err
    path.write_text(found.out, encoding="utf-8")
    return path


def explain(table: Path, schema: Path, out: Path, *options: Any) -> Outcome:
    """`sensecf explain` with a quick classifier and generator, unless the options name others."""
    return call("explain", table, "--schema", schema, "--out", out, *QUICK, *options)


def people(n: int = 120, seed: int = 0) -> pd.DataFrame:
    """A made table whose label depends on steps, deep sleep and the device."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "steps": rng.integers(1_000, 15_000, n),
            "deep_sleep_min": rng.normal(60, 20, n).clip(5, 150).round(1),
            "age": rng.integers(18, 80, n),
            "device": rng.choice(["watch", "ring", "band"], n),
        }
    )
    calm = (frame["steps"] - 8_000) / 3_000 + (frame["deep_sleep_min"] - 60) / 20 + 0.5 * (frame["device"] == "ring")
    frame["stress"] = np.where(calm + rng.normal(0, 0.5, n) > 0, "low", "high")
    return frame


def outcome(ended: subprocess.CompletedProcess[str]) -> Outcome:
    """How the installed script ended."""
    return Outcome(ended.returncode, ended.stdout, ended.stderr)


def refused(ended: Outcome, *says: str, left: Path = Path("out")) -> None:
    """The command ended as wrong input must end, and its one line holds all of `says`."""
    assert ended.status == 2, ended
    assert len(ended.err.splitlines()) == 1, ended.err
    assert ended.err.startswith("sensecf: ")
    for text in says:
        assert text in ended.err
    assert not left.exists(), "something was left behind"


def judge(
    folder: Path,
    classifier: Any = None,
    *,
    lock: Collection[str] = (),
    max_changes: int | None = None,
) -> pd.DataFrame:
    """Hold every line of a run's CSV against the schema, the factual and the classifier; returns the answers."""
    schema = FeatureSchema.from_toml(folder / "schema.toml")
    task = load_task(folder, classifier=classifier)
    table = pd.read_csv(folder / "counterfactuals.csv")
    facts = pd.read_csv(folder / "factuals.csv")
    assert list(table.columns) == [*RESERVED, *schema.names]
    whose = [name for name, column in (("person", schema.person), ("when", schema.when)) if column is not None]
    assert list(facts.columns) == ["query", *whose, *schema.shown, *schema.names, "predicted", "probability"]

    answered = table["rank"].notna()
    answers, abstained = table[answered], table[~answered]
    assert sorted(table["query"].unique()) == sorted(facts["query"]), "a query is neither answered nor abstained from"
    assert not set(answers["query"]) & set(abstained["query"])
    assert answers[["valid", "feasible"]].all(axis=None)
    if len(answers):
        predicted = [str(label) for label in task.classifier.predict(answers[schema.names])]
        assert predicted == [str(label) for label in answers["target"]], "not valid by predict on the CSV read back"

    # As text from here on, so that what is judged is what is written.
    factuals = as_text(folder / "factuals.csv").set_index("query")
    texts = as_text(folder / "counterfactuals.csv")
    assert texts.loc[~answered, "reason"].notna().all(), "an abstention without a reason"
    assert texts.loc[~answered, [*schema.names, "n_changed"]].isna().all(axis=None), "an abstention with values"
    for feature in schema.features:
        if feature.kind == "integer":
            whole = texts[feature.name].dropna().map(lambda text: re.fullmatch(r"-?\d+", text) is not None)
            assert whole.all(), f"{feature.name} is not saved as whole numbers"
    for answer in texts[answered].to_dict(orient="records"):
        factual = factuals.loc[answer["query"]].to_dict()
        wrong = problems(schema, factual, answer, seen=task.train, lock=lock, max_changes=max_changes)
        assert not wrong, f"query {answer['query']}: {wrong}"
        values = ((f, value_of(f, factual[f.name]), value_of(f, answer[f.name])) for f in schema.features)
        assert sum(differs(*value) for value in values) == int(answer["n_changed"])
    return answers


def as_text(path: Path) -> pd.DataFrame:
    """A CSV as it is written: text, and blank where nothing is."""
    return pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])
