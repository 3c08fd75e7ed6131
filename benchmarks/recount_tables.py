"""Six tables that `benchmarks/recount.py --make` explains: people, blanks, rules, a column that hardly varies."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

#: Rules that are added to a table's schema, as text.
RULES = """
[[rules]]
type = "implication"
if = { feature = "pain", op = "==", value = "none" }
then = { feature = "vessels", op = "<=", value = 3 }

[[rules]]
type = "linear"
weights = { pressure = 1, cholesterol = 0.5 }
op = "<="
bound = 900

[[rules]]
type = "ratio"
numerator = "pressure"
denominator = "peak_rate"
low = 0.1
high = 4
"""


def heart(rng: np.random.Generator) -> pd.DataFrame:
    """Levels and numbers as in a clinical record, two columns half blank."""
    n = 260
    frame = pd.DataFrame({
        "age": rng.integers(29, 78, n),
        "sex": rng.choice(["f", "m"], n),
        "pain": rng.choice(["typical", "atypical", "none"], n, p=[0.2, 0.3, 0.5]),
        "pressure": rng.normal(131, 17, n).round(),
        "cholesterol": rng.normal(246, 50, n).round(),
        "peak_rate": rng.normal(149, 22, n).round(),
        "depression": rng.exponential(1.0, n).round(1),
        "vessels": rng.choice([0, 1, 2, 3], n, p=[0.6, 0.2, 0.13, 0.07]),
    })  # fmt: skip
    score = frame["vessels"] + frame["depression"] - (frame["peak_rate"] - 149) / 20 + rng.normal(0, 1, n)
    frame["disease"] = np.where(score > score.median(), "yes", "no")
    for name in ("cholesterol", "depression"):
        frame[name] = frame[name].mask(rng.random(n) < 0.5)
    return frame


def scanty(rng: np.random.Generator) -> pd.DataFrame:
    """Numbers of which every other one was not measured, and totals of what was."""
    n = 240
    frame = pd.DataFrame(rng.normal(0, 1, (n, 5)).round(2), columns=[f"marker_{letter}" for letter in "abcde"])
    label = np.where(frame.sum(axis=1) + rng.normal(0, 1, n) > 0, 1, 0)
    frame = frame.mask(rng.random((n, 5)) < 0.5)
    return frame.assign(outcome=label)


def still(rng: np.random.Generator) -> pd.DataFrame:
    """A column that is one value but for a few rows, one with a far outlier, people with several days each."""
    n, days = 40, 6
    person = np.repeat(np.arange(n), days)
    frame = pd.DataFrame({
        "person": [f"p{number:02}" for number in person],
        "alcohol_units": np.where(rng.random(n * days) < 0.03, rng.integers(1, 6, n * days), 0),
        "near_constant": np.where(rng.random(n * days) < 0.02, 7.5, 7.0),
        "walked": rng.gamma(4, 2000, n * days).round(),
        "slept": rng.normal(420, 60, n * days).round(),
    })  # fmt: skip
    frame.loc[0, "walked"] = 90_000
    score = frame["slept"] / 60 + frame["walked"] / 4000 - frame["alcohol_units"] + rng.normal(0, 1, n)[person]
    return frame.assign(rested=np.where(score > score.median(), "rested", "tired"))


def _learned(name: str) -> Callable[[np.random.Generator], pd.DataFrame]:
    def load(rng: np.random.Generator) -> pd.DataFrame:
        from sklearn import datasets

        frame = getattr(datasets, f"load_{name}")(as_frame=True).frame
        return frame.rename(columns=lambda text: str(text).replace(" ", "_").replace("/", "_"))

    return load


def _cohort(rng: np.random.Generator) -> pd.DataFrame:
    from sensecf.data.builtin.simulated import simulate_cohort

    return simulate_cohort(people=60, days=6)


#: Each table: how it is made, its label, who its rows belong to, the target, rules that are added.
TABLES: dict[str, tuple[Callable[[np.random.Generator], pd.DataFrame], str, str, str, str]] = {
    "cohort": (_cohort, "stress", "participant_id", "low", ""),
    "heart": (heart, "disease", "", "no", RULES),
    "scanty": (scanty, "outcome", "", "1", ""),
    "still": (still, "rested", "person", "rested", ""),
    "wine": (_learned("wine"), "target", "", "1", ""),
    "breast_cancer": (_learned("breast_cancer"), "target", "", "1", ""),
}
NAMES = list(TABLES)


def _installed(*words: str) -> str:
    command = [sys.executable, "-m", "sensecf.cli", *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def explained(folder: Path, name: str, *options: str, sensecf: Callable[..., str] = _installed) -> tuple[Path, Path]:
    """Make a table, let `sensecf` guess its schema and explain it; returns the run and the table.

    `sensecf`: calls the command line with these words and returns what it prints.
    """
    make, label, group, target, rules = TABLES[name]
    folder.mkdir(parents=True, exist_ok=True)
    table, schema, out = folder / f"{name}.csv", folder / f"{name}.toml", folder / name
    make(np.random.default_rng(7)).to_csv(table, index=False)
    text = sensecf("schema", str(table), "--label", label, *(["--group", group] if group else []))
    parts = text.split('role = "mutable"')  # every other one is a lever, so that both roles occur
    text = (
        "".join(part + f'role = "{("actionable", "mutable")[i % 2]}"' for i, part in enumerate(parts[:-1])) + parts[-1]
    )
    schema.write_text(text + rules, encoding="utf-8")
    asked = [
        "--classifier",
        "logistic",
        "--generator",
        "search",
        "-n",
        "2",
        "--target",
        target,
        "--edit",
        "mutable",
        *options,
    ]
    sensecf("explain", str(table), "--schema", str(schema), *asked, "--out", str(out), "--overwrite")
    return out, table
