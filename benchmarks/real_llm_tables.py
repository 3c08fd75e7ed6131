"""The tables of real_llm.py in docs/finetuning.md, made of benchmarks/real_llm.json and of nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from sensecf.metrics.statistics import interval, paired

#: Rows of the main table: how a method is called, the part that holds it, and where it stands in a cell.
METHODS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("one plan for everybody", "controls", ("constant",)),
    ("nearest example copied", "controls", ("nearest example copied",)),
    ("what is offered, added up (no model)", "controls", ("what is offered, added up",)),
    ("as it comes, free", "prompted", ("zero-shot, free",)),
    ("as it comes, held to the schema", "prompted", ("zero-shot",)),
    ("three examples, the same", "prompted", ("three examples, the same",)),
    ("three examples, the nearest", "prompted", ("three examples, the nearest",)),
    ("short wording, not tuned", "offered", ("pretrained", "lead 0.2")),
    ("offers, not tuned", "offered", ("offers, 0 examples",)),
    ("offers, three examples", "offered", ("offers, 3 examples",)),
    ("offers, six examples", "offered", ("offers, 6 examples",)),
    ("tuned on few pairs of offers", "few-offers", ("pairs", "lead 0.2")),
    ("the same, no lead asked for", "few-offers", ("pairs", "no lead")),
    ("tuned on few pairs in the short wording", "few", ("pairs", "lead 0.2")),
    ("`finetune`, pairs of offers", "tuned", ("pairs", "lead 0.2")),
    ("`finetune`, and verdicts", "tuned", ("verdicts", "lead 0.2")),
    ("`finetune`, short wording", "short", ("pairs", "lead 0.2")),
    ("embedded model, one greedy answer", "controls", ("tiny, greedy",)),
    ("search", "controls", ("search",)),
)
HEADS = (
    "table", "method", "readable", "valid", "95 %", "less constant", "p", "changes", "distance", "nearer", "plausible",
    "distinct",
)  # fmt: skip


def sections(cells: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The Markdown of each section of the page, by its marker."""
    return {
        "real-main": _main(cells),
        "real-curve": _curve(cells),
        "real-rewards": _rewards(cells),
        "real-small": _small(cells),
    }


def rounded(value: Any) -> Any:
    """A value for JSON: NaN as null, numbers to six digits."""
    if isinstance(value, dict):
        return {str(key): rounded(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(entry) for entry in value]
    if isinstance(value, float | np.floating):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


def everybody(splits: Sequence[dict[str, Any]], caps: Sequence[float] = (2, 3, 4, 6, 8)) -> str:
    """What one plan for everybody does, of benchmarks/finetune_constant.json: mean over splits, lowest and highest."""
    rows = []
    for table in dict.fromkeys(split["table"] for split in splits):
        own = [split for split in splits if split["table"] == table]
        for plan in ("constant", *(f"constant up to {cap:g}" for cap in caps)):
            several = [one for split in own for one in split["plans"] if one["plan"] == plan]
            if len(several) < len(own):
                continue
            values = {key: [one[key] for one in several] for key in ("valid", "changes", "distance", "plausible")}
            label = "as far as it likes" if plan == "constant" else f"up to {plan.split()[-1]}"
            row = {key: f"{np.mean(of):.3f}{_spread(of, 3)}" for key, of in values.items() if key == "valid"}
            row |= {key: f"{np.mean(of):.2f}" for key, of in values.items() if key != "valid"}
            rows.append({"table": f"{table} ({len(own)})", "one plan for everybody": label, **row})
    return _markdown(("table", "one plan for everybody", "valid", "changes", "distance", "plausible"), rows)


def found(
    cells: Sequence[dict[str, Any]], part: str, table: str, path: Sequence[str], **more: Any
) -> list[dict[str, Any]]:
    """What a method answered in each split of a table: its own entry, and `people` and `constant` of that split."""
    out = []
    for cell in cells:
        if cell["part"] != part or cell["table"] != table or any(cell.get(k) != v for k, v in more.items()):
            continue
        entry: Any = cell["found"]
        for name in path:
            entry = entry.get(name) if isinstance(entry, dict) else None
        controls = [one for one in cells if one["part"] == "controls" and one["table"] == table]
        same = [one for one in controls if one["seed"] == cell["seed"]]
        if entry is not None and same:
            out.append({**entry, "people": cell["people"], "seed": cell["seed"], "controls": same[0]["found"]})
    return sorted(out, key=lambda one: one["seed"])


def tables(cells: Sequence[dict[str, Any]]) -> list[str]:
    """The tables that cells are there of, in the order of the page."""
    return [name for name in ("heart", "t1d", "simulated") if any(cell["table"] == name for cell in cells)]


def pooled(several: Sequence[dict[str, Any]], key: str) -> np.ndarray:
    """A list of every split as one array, NaN for none."""
    return np.array([np.nan if value is None else float(value) for one in several for value in one[key]])


def people(several: Sequence[dict[str, Any]]) -> np.ndarray:
    """Who each row belongs to, over all splits: a person who is unseen in two splits is one."""
    return np.array([f"{one['seed']}-{who}" for one in several for who in one["people"]])


def line(several: Sequence[dict[str, Any]]) -> dict[str, str]:
    """One method on one table, over its splits: shares with intervals by person, compared with the constant plan."""
    valid, who = pooled(several, "valid"), people(several)
    constant = [one["controls"]["constant"] for one in several]
    other = pooled(constant, "valid")
    low, high = interval(valid, who, share=True)
    against = paired(valid, other, who)
    distance = pooled(several, "distance")
    rival = nearest_rival(several, float(np.nanmean(distance)) if np.isfinite(distance).any() else np.inf)
    beside = paired(valid, rival, who)
    plausible = pooled(several, "plausible")[valid > 0]
    return {
        "readable": f"{pooled(several, 'readable').mean():.2f}",
        "valid": f"{valid.mean():.2f}" + _spread([np.mean(one["valid"]) for one in several]),
        "95 %": _range(low, high),
        "less constant": f"{against.difference:+.2f}",
        "p": _p(against.p),
        "changes": _mean(pooled(several, "changes")),
        "distance": _mean(distance),
        "nearer": "–" if (valid == other).all() else f"{beside.difference:+.2f} (p {_p(beside.p)})",
        "plausible": _mean(plausible),
        "distinct": f"{sum(one['distinct'] for one in several)} of {len(valid)}",
    }


def nearest_rival(several: Sequence[dict[str, Any]], far: float) -> np.ndarray:
    """Whether the best constant plan is valid that was not farther than `far` from training people, for each row."""
    out = []
    for one in several:
        caps = {float(name.split()[-1]): entry for name, entry in one["controls"].items() if "up to" in name}
        fitting = [cap for cap in caps if cap <= far]
        out.append(caps[max(fitting)]["valid"] if fitting else [False] * len(one["valid"]))
    return np.array([float(value) for values in out for value in values])


def _main(cells: Sequence[dict[str, Any]]) -> str:
    rows = []
    for table in tables(cells):
        for name, part, path in METHODS:
            counts = [cell["count"] for cell in cells if cell["part"] == part and cell["table"] == table]
            # The number of pairs that most splits were tuned on; of several such, the largest.
            most = max(counts, key=lambda count: (counts.count(count), count), default=0)
            if several := found(cells, part, table, path, **({"count": most} if most else {})):
                said = name.replace("few", str(most))
                rows.append({"table": table, "method": f"{said} ({len(several)})", **line(several)})
    return _markdown(HEADS, rows)


def _curve(cells: Sequence[dict[str, Any]]) -> str:
    """Pairs against what they bring, one split."""
    rows = []
    for table in tables(cells):
        for count in sorted({cell["count"] for cell in cells if cell["part"] == "curve"}):
            if several := found(cells, "curve", table, ("pairs", "lead 0.2"), count=count):
                rows.append({"table": table, "pairs": str(count), **line(several)})
        few = sorted({cell["count"] for cell in cells if cell["part"] == "few-offers" and cell["table"] == table})
        if few and (several := found(cells, "offered", table, ("pretrained, offers", "lead 0.2"))):
            rows.append({"table": table, "pairs": "none", **line(several[:1])})
        for count in few:
            several = found(cells, "few-offers", table, ("pairs", "lead 0.2"), count=count)[:1]
            rows.append({"table": table, "pairs": str(count), **line(several)})
        for cell in cells:
            if cell["part"] == "tuned" and cell["table"] == table and cell["seed"] == 0:
                several = found([cell, *cells], "tuned", table, ("pairs", "lead 0.2"), seed=0)[:1]
                rows.append({"table": table, "pairs": str(cell["count"]), **line(several)})
    return _markdown(("table", "pairs", "valid", "95 %", "less constant", "distance", "distinct"), rows)


def _rewards(cells: Sequence[dict[str, Any]]) -> str:
    """Ways to learn from verdicts, one split."""
    rows = []
    for table in tables(cells):
        for part, reward in (("tuned", "group"), ("rewards", "grpo"), ("rewards", "dpo")):
            for stage in ("pairs", "verdicts"):
                several = found(cells, part, table, (stage, "lead 0.2"), reward=reward, seed=0)
                if several and (stage == "verdicts" or part == "tuned"):
                    label = reward if stage == "verdicts" else "none"
                    rows.append({"table": table, "reward": label, **line(several)})
    return _markdown(("table", "reward", "valid", "less constant", "distance", "plausible", "distinct"), rows)


def _small(cells: Sequence[dict[str, Any]]) -> str:
    """The small model, its splits and their spread."""
    rows = []
    for table in tables(cells):
        if several := found(cells, "stages", table, ("pretrained", "lead 0.2")):
            rivals = [
                {**one["controls"]["constant"], **{k: one[k] for k in ("people", "seed", "controls")}}
                for one in several
            ]
            rows.append({"table": table, "stage": "one plan for everybody", **line(rivals)})
        for stage in ("pretrained", "pairs", "verdicts"):
            if several := found(cells, "stages", table, (stage, "lead 0.2")):
                rows.append({"table": table, "stage": f"{stage} ({len(several)})", **line(several)})
    heads = (
        "table",
        "stage",
        "valid",
        "95 %",
        "less constant",
        "p",
        "changes",
        "distance",
        "nearer",
        "plausible",
        "distinct",
    )
    return _markdown(heads, rows)


def _markdown(heads: Sequence[str], rows: Sequence[dict[str, str]]) -> str:
    if not rows:
        return "Not measured."
    return "\n".join(_lines(heads, rows))


def _lines(heads: Sequence[str], rows: Sequence[dict[str, str]]) -> Iterator[str]:
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "---|" * len(heads)
    for row in rows:
        yield "| " + " | ".join(row[head] for head in heads) + " |"


def _spread(values: Sequence[Any], digits: int = 2) -> str:
    """The lowest and the highest of several splits."""
    return f" ({min(values):.{digits}f} to {max(values):.{digits}f})" if len(values) > 1 else ""


def _mean(values: np.ndarray) -> str:
    return f"{np.nanmean(values):.2f}" if np.isfinite(values).any() else "–"


def _range(low: float, high: float) -> str:
    return "–" if np.isnan(low) else f"{low:.2f} to {high:.2f}"


def _p(value: float) -> str:
    return "–" if np.isnan(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"
