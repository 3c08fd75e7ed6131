"""What is expected to follow from plans, beside what does: `python benchmarks/consequences.py` (about ten minutes).

    nodes     error of each result of the easy world beside leaving it still, and how often its band has the truth
    plans     ten thousand plans: edits of what nobody does, rules broken after following
    time      processor time of an answer with causes, beside the same without
    dowhy     a thousand counterfactuals of a linear graph, ours beside DoWhy's, where that is installed

What was found is kept in `benchmarks/consequences.json`; the table of docs/truth.md is written from there.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from sections import replace_section

import sensecf
from sensecf.core.files import write_json
from sensecf.core.limits import Limits
from sensecf.core.schema import Feature, FeatureSchema
from sensecf.core.task import Task
from sensecf.data.world.presets import preset
from sensecf.pipeline.consequences import Mechanisms
from sensecf.runs.experiment import Setup, experiment, prepared

ROOT = Path(__file__).resolve().parents[1]
STORED = ROOT / "benchmarks" / "consequences.json"
SEEDS = range(5)
#: The lead of the plans that are carried out: those that hold are asked for about as much.
LEAD = 0.6
#: Plans that are counted.
MANY = 10_000
#: A value is off where ours differs from DoWhy's by more than this share of what the action moved.
SHARE = 0.01


def lived(seed: int, people: int = 60, causes: bool = True) -> tuple[Task, pd.DataFrame, object]:
    """A task of the easy world, its causes accepted, and days of people whom its classifier has not seen and
    does not put in the wanted class, with what chance decided of them."""
    world = preset("easy")
    table, _ = world.simulate(140, 10, seed)
    others, noises = world.simulate(people, 10, seed + 2**20)
    group = world.schema().group
    assert group is not None
    others = others.assign(**{group: "X-" + others[group].astype(str)})
    schema = world.schema()
    if not causes:
        schema = replace(schema, features=tuple(replace(f, causes=(), sign=()) for f in schema.features))
    made = experiment(prepared(table, schema, Setup("xgboost", seed=seed), others), lambda *_: None)
    at = np.flatnonzero(made.inside & ~made.there(made.target))
    return made.task, others.iloc[at].reset_index(drop=True), noises.take(at)


def nodes() -> list[dict[str, object]]:
    """Each result of the easy world: the error of its expected value, of leaving it still, and what its band covers."""
    world = preset("easy")
    found = []
    for seed in SEEDS:
        task, others, noises = lived(seed)
        schema, codec = task.schema, task.codec
        frame = answered(task, others)
        at = frame["query"].to_numpy(dtype=int)
        base, rows = codec.encode(others.iloc[at][schema.names]), codec.encode(frame[schema.names])
        done = [set(str(said).split(";")) for said in frame["actions"]]
        actions = {}
        for name in world.levers:
            acted = np.array([name in said for said in done])
            actions[name] = np.where(acted, rows[:, schema.columns[name]], np.nan)
        true = codec.encode(world.do(noises.take(at), actions).frame[schema.names])  # type: ignore[attr-defined]
        followed = task.once(Mechanisms).follow(base, rows)
        for j in task.once(Mechanisms).columns:
            # Those for whom something above the result was moved, and who have it measured.
            moved = (np.abs(followed.expected[:, j] - base[:, j]) > 1e-9) | (np.abs(true[:, j] - base[:, j]) > 1e-9)
            asked = moved & ~np.isnan(base[:, j]) & ~np.isnan(true[:, j]) & ~codec.changed(base, rows)[:, j]
            inside = (true >= followed.low - 1e-9) & (true <= followed.high + 1e-9)
            for i in np.flatnonzero(asked):
                found.append(
                    {
                        "seed": seed,
                        "result": schema.features[j].name,
                        "error": abs(followed.expected[i, j] - true[i, j]),
                        "still": abs(base[i, j] - true[i, j]),
                        "inside": bool(inside[i, j]),
                    }
                )
    table = pd.DataFrame(found)
    out = []
    for name, part in table.groupby("result", sort=False):
        ratios = part.groupby("seed")[["error", "still"]].mean()
        out.append(
            {
                "result": str(name),
                "n": len(part),
                "error": float(part["error"].mean()),
                "still": float(part["still"].mean()),
                "ratio": float(part["error"].mean() / part["still"].mean()),
                "ratio_worst_seed": float((ratios["error"] / ratios["still"]).max()),
                "covered": float(part["inside"].mean()),
                "covered_worst_seed": float(part.groupby("seed")["inside"].mean().min()),
            }
        )
    return out


def answered(task: Task, rows: pd.DataFrame) -> pd.DataFrame:
    """The first plan for each row that has one, with a lead and by actions alone."""
    made = sensecf.explain(task, "search", rows, limits=Limits(margin=LEAD, hold=0.0))
    return made.frame[made.frame["rank"] == 1].drop_duplicates("query")


def many() -> dict[str, object]:
    """Ten thousand plans: what they edit, and what breaks after following."""
    plans = undoable = broken = asked = seed = 0
    while plans < MANY:
        task, others, _ = lived(seed, people=200)
        seed += 1
        schema, codec = task.schema, task.codec
        frame = answered(task, others)
        at = frame["query"].to_numpy(dtype=int)
        base, rows = codec.encode(others.iloc[at][schema.names]), codec.encode(frame[schema.names])
        levers = {f.name for f in schema.features if f.role == "actionable"}
        parts = {p for rule in schema.rules for p in getattr(rule, "parts", ())}
        for i, said in enumerate(frame["actions"]):
            edited = {schema.names[j] for j in np.flatnonzero(codec.changed(base[[i]], rows[[i]])[0])}
            undoable += bool(set(str(said).split(";")) - levers or edited - levers - parts)
        followed = task.once(Mechanisms).follow(base, rows)
        before = codec.rules.violated(base)
        for part in (rows, followed.expected):
            broken += int((codec.rules.violated(part) & ~before).any(axis=1).sum())
        asked, plans = asked + len(others), plans + len(frame)
    return {"asked": asked, "plans": plans, "edit_what_nobody_does": undoable, "break_a_rule_after_following": broken}


def costs() -> dict[str, object]:
    """Processor time of answers where causes are accepted, beside the same requests without any; fitting apart."""
    ratios = []
    for seed in range(3):
        seconds = []
        for causes in (False, True):
            task, others, _ = lived(seed, 60, causes)
            task.once(Mechanisms)
            answered(task, others.head(10))
            began = time.process_time()
            answered(task, others)
            seconds.append(time.process_time() - began)
        ratios.append(seconds[1] / seconds[0])
    return {"ratios": ratios, "median": float(np.median(ratios))}


#: A chain and a fork, all straight lines: what is done to `x`, and to `x` and `z`.
SLOPES = {"z": {"x": 0.8}, "w": {"x": -0.5, "z": 1.2}, "v": {"w": 0.7}}
LINEAR = FeatureSchema(
    (
        Feature("x", "continuous", low=-1000, high=1000, step=0.001, role="actionable"),
        *(
            Feature(name, "continuous", low=-1000, high=1000, step=0.001, role="mutable", causes=tuple(of))
            for name, of in SLOPES.items()
        ),
    ),
    label="y",
    classes=("no", "yes"),
    target="yes",
)


class Straight:
    """A classifier for a task that nobody asks."""

    classes_ = np.array(["no", "yes"])

    def predict(self, rows: pd.DataFrame) -> np.ndarray:
        """The class of each row."""
        return np.where(rows["x"] > 0, "yes", "no")

    def predict_proba(self, rows: pd.DataFrame) -> np.ndarray:
        """The probability of both classes."""
        yes = 1 / (1 + np.exp(-rows["x"].to_numpy(dtype=float)))
        return np.column_stack([1 - yes, yes])


def linear_table(n: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Rows of the linear graph."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"x": rng.normal(size=n)})
    for name, of in SLOPES.items():
        table[name] = sum(slope * table[cause] for cause, slope in of.items()) + 0.5 * rng.normal(size=n)
    table = table.round(3)
    return table.assign(y=np.where(table["x"] > rng.normal(size=n), "yes", "no"))


def dowhy(n: int = 1000) -> dict[str, object] | None:
    """Ours beside DoWhy's on the same rows under the same actions; None where DoWhy is not installed."""
    if find_spec("dowhy") is None:
        print("dowhy is not installed: pip install dowhy, in this environment or another one")
        return None
    import networkx as nx
    from dowhy import gcm

    table = linear_table()
    task = Task(LINEAR, table, Straight())
    graph = nx.DiGraph([(cause, name) for name, of in SLOPES.items() for cause in of])
    model = gcm.InvertibleStructuralCausalModel(graph)
    model.set_causal_mechanism("x", gcm.EmpiricalDistribution())
    for name in SLOPES:
        model.set_causal_mechanism(name, gcm.AdditiveNoiseModel(gcm.ml.create_linear_regressor()))
    gcm.fit(model, table[list(LINEAR.names)])
    rng = np.random.default_rng(1)
    at = rng.choice(len(table), n, replace=False)
    base = task.codec.encode(table.iloc[at][LINEAR.names])
    rows = base.copy()
    rows[:, 0] = np.round(rows[:, 0] + rng.choice([-1, 1], n) * rng.uniform(0.5, 1.5, n), 3)
    ours = task.once(Mechanisms).follow(base, rows).expected
    wanted = iter(rows[:, 0].tolist())
    theirs = []
    for i, value in enumerate(wanted):
        observed = table.iloc[[at[i]]][list(LINEAR.names)]
        theirs.append(gcm.counterfactual_samples(model, {"x": lambda _, v=value: v}, observed_data=observed))
    other = pd.concat(theirs)[LINEAR.names].to_numpy()
    off = np.abs(ours - other)[:, 1:] / np.maximum(np.abs(other - base)[:, 1:], 0.05)
    # Ours ends where the training rows end.
    beyond = ((other < task.reach[0] - 1e-9) | (other > task.reach[1] + 1e-9)).any(axis=1)
    return {
        "n": n,
        "beyond_the_table": int(beyond.sum()),
        "largest": float(off[~beyond].max()),
        "mean": float(off[~beyond].mean()),
        "within": float((off[~beyond] <= SHARE).mean()),
    }


def _kept() -> dict[str, object]:
    """What was found before."""
    return dict(json.loads(STORED.read_text(encoding="utf-8"))) if STORED.exists() else {}


def page(found: dict[str, object]) -> str:
    """The table of the page."""
    lines = [
        "| result | plans | error of what is expected | of leaving it still | ratio (worst of the seeds) "
        "| band has the truth (worst of the seeds) |",
        "|---|---|---|---|---|---|",
    ]
    for row in found["nodes"]:  # type: ignore[attr-defined]
        error = f"{row['error']:.2f} | {row['still']:.2f} | {row['ratio']:.2f} ({row['ratio_worst_seed']:.2f})"
        covered = f"{100 * row['covered']:.0f} % ({100 * row['covered_worst_seed']:.0f} %)"
        lines.append(f"| `{row['result']}` | {row['n']} | {error} | {covered} |")
    return "\n".join(lines)


PARTS = {"nodes": nodes, "plans": many, "time": costs, "dowhy": dowhy}


def main() -> None:
    """See the module."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--part", choices=[*PARTS], action="append")
    options.add_argument("--write", action="store_true", help="only write the page from what is stored")
    given = options.parse_args()
    found = _kept()
    if not given.write:
        for part, measure in PARTS.items():
            if part in (given.part or PARTS):
                made = measure()
                if made is not None:
                    print(part, json.dumps(made, indent=1))
                    found = _kept() | {part: made}
                    write_json(STORED, found)
    if "nodes" in found:
        replace_section(ROOT / "docs" / "truth.md", "consequences", page(found))


if __name__ == "__main__":
    main()
