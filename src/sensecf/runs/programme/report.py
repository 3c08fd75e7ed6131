"""The programmes as a page with a way to every person, and as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sensecf.core.version import __version__
from sensecf.pipeline.programme.find import Found
from sensecf.pipeline.weeks import MISSED
from sensecf.runs.programme.cohort import Opened
from sensecf.runs.programme.tables import WAYS, Tables, signed
from sensecf.runs.report.drawn import svg as _svg
from sensecf.runs.report.figures import DOWN, INK, RULE, SOFT, UP, _axes
from sensecf.runs.report.names import Labels, in_labels
from sensecf.runs.report.page import from_template, inline

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: People whose days can be unfolded on the page; all are in the tables.
PEOPLE = 300
#: Width of the picture in inches.
WIDE = 9.6


def figure(made: Tables, run: Opened) -> str:
    """How much each number of programmes reaches, and what reach costs, as SVG text."""
    sets, points = made.sets, made.budget
    own = len(np.unique(run.cohort.owner)) / max(len(run.cohort.query), 1)

    def draw(drawn: Figure) -> None:
        drawn.set_size_inches(WIDE, 3.0)
        grid = drawn.add_gridspec(1, 2, width_ratios=[1, 1.2], wspace=0.28)
        axes = _axes(drawn, grid[0])
        place, share = np.arange(len(sets)), 100 * sets["reached"].to_numpy(dtype=float)
        axes.bar(place, share, width=0.55, color=UP)
        low, high = (100 * sets[end].to_numpy(dtype=float) for end in ("low", "high"))
        if not np.isnan(low).any():
            axes.errorbar(place, share, yerr=[share - low, high - share], fmt="none", ecolor=INK, elinewidth=1)
        axes.axhline(100 * own, color=DOWN, linewidth=1.2, linestyle=(0, (4, 3)))
        axes.text(
            len(sets) - 0.45,
            100 * own + 1.5,
            f"plans of their own, all {run.called.days}",
            color=DOWN,
            fontsize=7.5,
            ha="right",
        )
        axes.set_xticks(place, [str(k) for k in sets["programmes"]])
        axes.set_ylim(0, 112)  # room for the words above the line of plans of one's own
        axes.set_yticks([0, 50, 100], ["0", "50 %", "100 %"])
        axes.set_xlabel("programmes")
        axes.set_title(
            f"{run.called.days.capitalize()} turned, of the {run.called.many} counted",
            fontsize=9,
            color=INK,
            loc="left",
        )
        axes = _axes(drawn, grid[1])
        axes.step(points["cost"], points["days"], where="post", color=UP, linewidth=1.6)
        if made.spent is not None:
            axes.scatter([made.spent.cost], [made.spent.value], s=28, color=DOWN, zorder=3)
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.grid(color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.set_xlabel(f"cost over all {run.called.many}", color=SOFT)
        axes.set_title(
            f"{run.called.days.capitalize()} expected to turn, over what is spent", fontsize=9, color=INK, loc="left"
        )

    return _svg(draw, 1.0, "programme")


def page(run: Opened, found: Found, made: Tables, facts: Mapping[str, Any], picture: str) -> str:
    """The page as text; it loads nothing."""
    return from_template("programme.html.j2", {**context(run, found, made, facts), "picture": inline(picture, "reach")})


def context(run: Opened, found: Found, made: Tables, facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the page shows."""
    return {
        "title": f"Programmes: {run.target}",
        "called": run.called,
        "headline": facts["headline"],
        "how": facts["how"],
        "expected": facts["expected"],
        "quality": facts["quality"],
        "notice": facts["notice"],
        "target": run.target,
        "cards": [_labelled(run, card(found, made, k)) for k in range(len(found.programmes))],
        "sets": set_rows(made),
        "groups": _groups(run, made.groups),
        "people": labelled(run, people_rows(made)),
        "more_people": max(0, len(made.people) - PEOPLE),
        "reasons": reasons(made),
        "budget": _budget(made, facts),
        "missed": MISSED,
        "closing": f"Made by SenseCF {__version__}. The page holds all it shows; it loads and sends nothing.",
    }


def card(found: Found, made: Tables, k: int) -> Mapping[str, Any]:
    """One programme: what it asks, of whom, what is expected to follow."""
    asks = made.programmes[made.programmes["programme"] == k + 1]
    mine = made.people[made.people["programme"] == k + 1]
    first = asks.iloc[0]
    follows = made.consequences[made.consequences["programme"] == k + 1]
    return {
        "number": k + 1,
        "asks": asks["asks"].tolist(),
        "people": int(first["people"]),
        "days": int(first["days"]),
        "reached": int(first["reached"]),
        "most": int(mine["most_days"].sum()),
        "weeks": "" if pd.isna(first["weeks"]) else int(first["weeks"]),
        "effort": "–" if pd.isna(first["effort"]) else f"{first['effort']:.1f}",
        "cost": f"{mine['cost'].sum():,.0f}",
        "follows": [
            f"{row['feature']} {row['expected']:+g} ({row['low']:+g} to {row['high']:+g}) {row['unit']}".strip()
            .replace(" -", " −")
            .replace("(-", "(−")
            for row in follows.to_dict("records")
        ],
    }


def _labelled(run: Opened, one: Mapping[str, Any]) -> Mapping[str, Any]:
    """A card with labels in place of names of columns."""
    of = run.task.once(Labels).of
    return {**one, **{key: [in_labels(text, of) for text in one[key]] for key in ("asks", "follows")}}


def labelled(run: Opened, people: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """People with labels in place of names of columns in what they do."""
    of = run.task.once(Labels).of
    return [
        {**person, "rows": [{**day, "does": in_labels(day["does"], of)} for day in person["rows"]]} for person in people
    ]


def set_rows(made: Tables) -> list[Mapping[str, str]]:
    """The sets of one, two, three as they are shown."""
    return [_set(row) for row in made.sets.to_dict("records")]


def _percent(value: float) -> str:
    return "–" if np.isnan(value) else f"{100 * value:.0f} %"


def _set(row: dict[Any, Any]) -> dict[str, str]:
    span = "" if np.isnan(row["low"]) else f"{100 * row['low']:.0f} to {100 * row['high']:.0f} %"
    return {
        "programmes": str(row["programmes"]),
        "reached": _percent(row["reached"]),
        "span": span,
        "buys": f"{signed(row['one_more_buys'])} points",
        "own": _percent(row["of_days_with_a_plan"]),
        "effort": f"{row['effort_to_own_plans']:.2f} ×",
        "gap": f"{100 * row['gap']:.1f} %",
        "why": row["why_fewer"],
    }


def _groups(run: Opened, groups: pd.DataFrame) -> list[dict[str, str]]:
    return [
        {
            "feature": run.task.once(Labels).of[str(row["feature"])],
            "group": str(row["group"]),
            "people": f"{row['people']:,}",
            "days": f"{row['days']:,}",
            "reached": _percent(row["reached"]),
            "span": "" if np.isnan(row["low"]) else f"{100 * row['low']:.0f} to {100 * row['high']:.0f} %",
        }
        for row in groups.to_dict("records")
    ]


def people_rows(made: Tables) -> list[Mapping[str, Any]]:
    """The people with their days, those of whom most days are turned first."""
    people = made.people.assign(share=made.people["reached"] / made.people["days"])
    people = people.sort_values(["share", "days"], ascending=False, kind="stable").head(PEOPLE)
    days = dict(list(made.days.groupby("person", sort=False)))
    found: list[Mapping[str, Any]] = []
    for number, row in enumerate(people.to_dict("records")):
        found.append(
            {
                "id": f"person-{number + 1}",
                "name": str(row["person"]),
                "programme": "none" if pd.isna(row["programme"]) else str(row["programme"]),
                "part": row["part"],
                "days": row["days"],
                "reached": row["reached"],
                "weeks": "–" if pd.isna(row["weeks"]) else str(row["weeks"]),
                "cost": f"{row['cost']:,.0f}",
                "own": row["own_plans"],
                "why": WAYS.get(str(row["in_the_way"]), ""),
                "rows": [
                    {
                        "query": str(day["query"]),
                        "does": str(day["does"]) or "nothing",
                        "reached": bool(day["reached"]),
                        "holds": "–" if np.isnan(day["holds"]) else f"{100 * day['holds']:.0f} %",
                        "why": str(day["why"]),
                        "own": bool(day["own_plan"]),
                    }
                    for day in days[row["person"]].to_dict("records")
                ],
            }
        )
    return found


def reasons(made: Tables) -> list[Mapping[str, Any]]:
    """What stands in the way of the days that are not turned, most frequent first, with one example each."""
    away = made.days[~made.days["reached"]]
    return [
        {
            "words": WAYS[str(kind)],
            "days": len(part),
            "people": int(part["person"].nunique()),
            "own": int(part["own_plan"].sum()),
            "most": ", ".join(f"{text} ({count})" for text, count in part["why"].value_counts().head(3).items()),
        }
        for kind, part in sorted(away.groupby("in_the_way"), key=lambda pair: -len(pair[1]))
    ]


def _budget(made: Tables, facts: Mapping[str, Any]) -> Mapping[str, Any]:
    last = made.budget.iloc[-1]
    spent = facts["budget_spent"]
    half = made.budget[made.budget["days"] >= last["days"] / 2].iloc[0]
    return {
        "all": f"{last['cost']:,.0f}",
        "days": f"{last['days']:,.0f}",
        "half": f"{half['cost']:,.0f}",
        "half_days": f"{half['days']:,.0f}",
        "asked": "" if facts["budget"] is None else f"{facts['budget']:,.0f}",
        "spent": "" if spent is None else f"{spent['cost']:,.0f}",
        "spent_days": "" if spent is None else f"{spent['days']:,.0f}",
        "spent_people": "" if spent is None else f"{spent['people']:,}",
    }
