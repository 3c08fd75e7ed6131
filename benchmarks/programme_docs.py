"""What benchmarks/programme.json, weeks.json and ask.json hold, as the tables of docs/programme.md.

python benchmarks/programme_docs.py
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sections import replace_section

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "programme.md"


def main() -> None:
    """Write the tables into the page."""
    for name, table in tables().items():
        replace_section(PAGE, name, table)


def tables() -> dict[str, str]:
    """Every table by the name of its section, from what is measured so far."""
    programme, weeks, ask = (_read(name) for name in ("programme", "weeks", "ask"))
    each = {key.partition("|")[2]: cell for key, cell in programme.items() if key.startswith("tables|")}
    worlds = {key.partition("|")[2]: cell for key, cell in programme.items() if key.startswith("world|")}
    return {
        "reach": _table(REACH, [_reach(name, cell) for name, cell in each.items()]),
        "peers": _table(PEERS, [row for name, cell in each.items() for row in _peers(name, cell)]),
        "worlds": _table(WORLDS, [_world(name, cell) for name, cell in worlds.items()]),
        "weeks": _table(WEEKS, [_week(name, cell) for name, cell in weeks.items()]),
        "ask": _table(ASK, [_asked(name, parts) for name, parts in ask.items() if parts]),
    }


REACH = ("table", "days", "people", "with a plan of their own", "1 / 2 / 3 programmes turn, of people counted",
         "of days with a plan of their own", "effort, own plans = 1", "gap to the best")  # fmt: skip
PEERS = ("table", "programmes", "ours", "GLANCE", "GLOBE-CE")
WORLDS = (
    "world",
    "days",
    "classifier",
    "claimed",
    "true probability",
    "good days of 30",
    "before",
    "truly well",
    "worse",
)
WEEKS = ("plans of", "plans", "rules", "ends of weeks that break one", "probability falls on the way",
         "outliers on the way", "last week holds", "done at once holds", "weeks, median", "over twelve")  # fmt: skip
ASK = ("choosers", "asked", "first plan within 5 %", "by the mean taste", "held-out choices foretold",
       "by the mean taste ", "ms to rank again")  # fmt: skip


def _read(name: str) -> Mapping[str, Any]:
    path = HERE / f"{name}.json"
    found: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head.strip() for head in heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def _reach(name: str, cell: Mapping[str, Any]) -> list[str]:
    sets = cell["sets"]
    last = sets[-1] if sets else {}
    span = "" if not sets or last["low"] is None else f" ({100 * last['low']:.0f} to {100 * last['high']:.0f})"
    ratio = last.get("effort_to_own")
    return [
        name + ("" if cell["holds"] else ", boundary answers"),
        f"{cell['days']:,}",
        f"{cell['people']:,}",
        f"{cell['own_plans']:,}",
        (" / ".join(_percent(one["counted_share"]) for one in sets) + span) or "none turns a day",
        _percent(last.get("of_days_with_own_plan")),
        "–" if ratio is None else f"{ratio:.2f}",
        f"{100 * max((one['gap'] for one in sets), default=0):.2f} %",
    ]


def _peers(name: str, cell: Mapping[str, Any]) -> list[list[str]]:
    """One line per number of programmes; ours at the prices at which it is not dominated by itself."""
    rows = []
    for count in ("1", "2", "3"):
        ours = front(cell["frontier"][count])
        rows.append(
            [
                name,
                count,
                ", ".join(map(_point, ours)) or "–",
                *(_point(cell[peer][count]) + _verdict(ours, cell[peer][count]) for peer in ("glance", "globe-ce")),
            ]
        )
    return rows


def front(points: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The points that no other one beats in reach and effort, those of most reach first."""
    known = sorted((p for p in points if p["effort"] is not None), key=lambda p: (-p["reached"], p["effort"]))
    found: list[Mapping[str, Any]] = []
    for point in known:
        if not found or point["effort"] < found[-1]["effort"]:
            found.append(point)
    return found


def _point(point: Mapping[str, Any]) -> str:
    return "0 %" if point["effort"] is None else f"{_percent(point['reached'])} at {point['effort']:.1f}"


def _verdict(ours: Sequence[Mapping[str, Any]], theirs: Mapping[str, Any]) -> str:
    """Whether a point of ours beats theirs in reach and effort, or theirs one of ours that reaches no more."""
    if theirs["effort"] is None:
        return " (beaten)" if ours else ""
    if any(p["reached"] >= theirs["reached"] and p["effort"] <= theirs["effort"] for p in ours):
        return " (beaten)"
    beats = any(theirs["reached"] >= p["reached"] and theirs["effort"] <= p["effort"] for p in ours)
    return " (beats one of ours)" if beats else " (neither)"


def _world(name: str, cell: Mapping[str, Any]) -> list[str]:
    return [
        name,
        f"{cell['days']:,}",
        _percent(cell["classifier_says"]),
        _claimed(cell),
        _percent(cell["true_probability"]),
        f"{_percent(cell['good_days_of_30'])} ({100 * cell['low']:.0f} to {100 * cell['high']:.0f})",
        _percent(cell["good_days_before"]),
        _percent(cell["truly_well"]),
        _percent(cell["worse"]),
    ]


def _claimed(cell: Mapping[str, Any]) -> str:
    ends = cell["claimed_low"], cell["claimed_high"]
    said = _percent(cell["claimed"])
    return said if ends[0] == ends[1] else f"{said} ({100 * ends[0]:.0f} to {100 * ends[1]:.0f})"


def _week(name: str, cell: Mapping[str, Any]) -> list[str]:
    shares = [_percent(cell.get(key)) for key in ("last_week_holds", "at_once_holds")]
    weeks = "–" if "weeks" not in cell else f"{cell['weeks']:.0f}"
    counts = [f"{cell[key]:,}" for key in ("plans", "rules", "broken", "falls", "outliers")]
    return [name, *counts, *shares, weeks, _percent(cell.get("over_twelve_weeks"))]


def _asked(name: str, parts: Sequence[Mapping[str, Any]]) -> list[str]:
    people = sum(part["choosers"] for part in parts)

    def mean(key: str) -> float:
        return float(sum(part[key] * part["choosers"] for part in parts) / people)

    return [
        name,
        f"{people:,}",
        f"{100 * sum(part['within_5'] for part in parts) / people:.1f} %",
        f"{100 * sum(part['mean_taste_within_5'] for part in parts) / people:.1f} %",
        f"{mean('predicted'):.3f}",
        f"{mean('mean_taste_predicted'):.3f}",
        f"{mean('milliseconds'):.0f}",
    ]


if __name__ == "__main__":
    main()
