"""The first screen of a report: how good the classifier is, one person's days, how many plans hold, who has none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import pandas as pd
from markupsafe import Markup

from sensecf.core.people import PERSON, WHEN, Counted, counted, some
from sensecf.metrics import Scored
from sensecf.runs.report.names import Labels, called, clean, from_left, inside

#: Days of one person that a picture shows; the newest ones.
MOST_DAYS = 31
#: Reasons that stand on the first screen.
REASONS = 3


@dataclass(frozen=True)
class Day:
    """One day of a person: `before`, the probability of the target; `after`, with the plan, None where there is none;
    `there`: the classifier puts it in the target class already."""

    when: str
    before: float
    after: float | None
    there: bool


def front(
    scored: Scored, summary: pd.DataFrame, run: Mapping[str, Any], days: pd.DataFrame | None
) -> Mapping[str, Any]:
    """What the first screen shows. `days`: every held-out row with person, date and what the classifier says of it,
    None where they are not known: a person's days are those that were asked about then."""
    count = counted(scored.cfs.factuals, run.get("rows_are"))
    return {
        "asked": str(count),
        "called": _called(scored),
        "rows": count.many,
        "people": count.people,
        "right": _right(summary),
        "auc": _auc(summary),
        "person": _person(scored, days, count),
        "alone": _alone(scored, count),
        "plans": _shares(scored, run, count),
        "everybody": clean(run.get("everybody", {}).get("says", "")),
        "what": called(run),
        "holding": "jury" in run,
        "acts": run.get("edit", "actionable") == "actionable",
        "reasons": [
            {"count": len(queries), "share": some(len(queries), count.many), "text": reason_words(scored, text)}
            for text, queries in scored.cfs.reasons()[:REASONS]
        ],
    }


def _called(scored: Scored) -> str:
    """What the classifier calls those who are asked about, where that is one class; "" otherwise."""
    schema, said = scored.task.schema, set(scored.cfs.factuals["predicted"])
    return f"{schema.meaning(schema.label)}: {schema.meaning(said.pop())}" if len(said) == 1 else ""


def reason_words(scored: Scored, reason: str) -> str:
    """A reason with labels instead of column names, and without what only a command line can do."""
    text = re.sub(r" \(--[^()]*\)", "", reason)
    label = scored.task.once(Labels).of
    for name in sorted(label, key=len, reverse=True):
        said = inside(label[name]).replace("\\", r"\\")
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", said, text)
    return clean(text)


def _auc(summary: pd.DataFrame) -> str:
    if "classifier_auc" not in summary.index or not summary.loc["classifier_auc", "defined"]:
        return ""
    row = summary.loc["classifier_auc"].to_dict()
    ends = f" ({row['low']:.2f} to {row['high']:.2f})" if row["low"] == row["low"] else ""
    return f"{row['value']:.2f}{ends}"


def _right(summary: pd.DataFrame) -> str:
    """Of those whom the classifier does not put in the target class, how many are not in it by their own label."""
    if "false_alarms" not in summary.index or not summary.loc["false_alarms", "defined"]:
        return ""
    row = summary.loc["false_alarms"].to_dict()
    ends = f" ({100 - 100 * row['high']:.0f} to {100 - 100 * row['low']:.0f} %)" if row["low"] == row["low"] else ""
    return f"{100 - 100 * row['value']:.0f} %{ends}"


def _shares(scored: Scored, run: Mapping[str, Any], count: Counted) -> Mapping[str, Any]:
    """How many of what was asked have a plan, how many have one that would not hold, and how many none; by people."""
    found = scored.cfs.found_by()
    needed = found[found != "not needed"]
    good = needed.isin(("own", "fallback"))
    left_out = int(run.get("jury", {}).get("left_out", 0))
    none = int((~good).sum())
    parts = [
        ("plan", int(good.sum()), f"a {called(run)}"),
        ("fell", min(left_out, none), "a plan that too few refits agree with"),
        ("none", max(none - left_out, 0), "none"),
    ]
    people = ""
    if count.people is not None and count.people < count.rows:
        theirs = scored.cfs.factuals[PERSON].reindex(needed.index)
        helped = int(good.groupby(theirs.to_numpy()).any().sum())
        people = f"{helped:,} of {theirs.nunique():,} people have one for at least one of their {count.many}"
    total = max(len(needed), 1)
    return {
        "found": int(good.sum()),
        "of": len(needed),
        "people": people,
        "parts": [
            {"kind": kind, "count": number, "text": text, "width": f"{100 * number / total:.1f}"}
            for kind, number, text in parts
            if number
        ],
    }


def _person(scored: Scored, days: pd.DataFrame | None, count: Counted) -> Mapping[str, Any] | None:
    """The person of whom most days are turned, with their plan and the picture of their days."""
    if count.people is None or count.people == count.rows or not len(scored):
        return None
    first = np.flatnonzero(~scored.queries.duplicated() & (scored.edits > 0) & scored.reached)
    if not len(first):
        return None
    whose = scored.cfs.factuals[PERSON].reindex(scored.queries[first]).to_numpy()
    name = pd.Series(whose).value_counts(sort=False).sort_values(ascending=False, kind="stable").index[0]
    mine = first[whose == name]
    strip = days_of(scored, name, days)
    turned = sum(day.after is not None for day in strip)
    called = sum(not day.there for day in strip)
    # The day in the middle of those that are turned, by how much is asked for.
    shown = mine[np.argsort(scored.distance[mine], kind="stable")[(len(mine) - 1) // 2]]
    query = scored.queries[shown]
    row = scored.cfs.answers.iloc[shown]
    one_plan = pd.notna(row.get("turns")) and pd.notna(row.get("of"))
    return {
        "name": clean(name),
        "called": f"{called} of {len(strip)} {count.noun}",
        "turned": f"{int(row['turns'])} of {int(row['of'])}" if one_plan else f"{turned} of {called}",
        "one_plan": bool(one_plan),
        "when": clean(scored.cfs.factuals[WHEN].get(query, "")) if WHEN in scored.cfs.factuals and not one_plan else "",
        "does": _does(scored, int(shown)),
        "picture": picture(strip, f"{clean(name)}: probability of the target, before and after", "front-days"),
    }


def _alone(scored: Scored, count: Counted) -> Mapping[str, Any] | None:
    """Where nobody has several rows: the plan in the middle of all, by how much is asked for."""
    first = np.flatnonzero(~scored.queries.duplicated() & (scored.edits > 0) & scored.reached)
    if not len(first) or (count.people is not None and count.people != count.rows):
        return None
    shown = int(first[np.argsort(scored.distance[first], kind="stable")[(len(first) - 1) // 2]])
    query, row = scored.queries[shown], scored.cfs.answers.iloc[shown]
    after = float(scored.judged.proba[shown, scored.target[shown]])
    before = float(scored.cfs.factuals["probability"].get(query, np.nan))
    holds = row.get("holds")
    return {
        "name": clean(scored.cfs.factuals[PERSON].get(query, "")) if PERSON in scored.cfs.factuals else "",
        "one": count.one.capitalize(),
        "number": query,
        "does": _does(scored, shown),
        "before": f"{before:.0%}" if np.isfinite(before) else "",
        "after": f"{after:.0%}",
        "holds": f"{holds:.0%}" if pd.notna(holds) else "",
    }


def _does(scored: Scored, row: int) -> list[str]:
    """What is done on one day, in words."""
    label, schema = scored.task.once(Labels).of, scored.task.schema
    found = []
    for j in np.flatnonzero(scored.edited[row]).tolist():
        feature = schema.features[j]
        codes = (scored.before[row, j], scored.after[row, j])
        values = [v if feature.numeric or np.isnan(v) else feature.levels[int(v)] for v in codes]
        name = inside(label[feature.name])
        found.append(from_left(name, f" {feature.format(values[1], unit=True)} instead of {feature.format(values[0])}"))
    return [clean(text) for text in found]


def days_of(scored: Scored, person: Any, days: pd.DataFrame | None) -> list[Day]:
    """A person's days in order, the newest `MOST_DAYS`."""
    factuals = scored.cfs.factuals
    table = factuals if days is None or PERSON not in days else days
    mine = table[table[PERSON] == person]
    first = np.flatnonzero(~scored.queries.duplicated() & scored.reached & (scored.edits > 0))
    after = dict(zip(scored.queries[first], scored.judged.proba[first, scored.target[first]], strict=True))
    target = scored.task.classes[int(scored.target[0])] if len(scored) else scored.task.schema.target
    when = mine[WHEN] if WHEN in mine else pd.Series("", index=mine.index)
    found = [
        Day(str(time), float(chance), float(after[query]) if query in after else None, said == target)
        for query, time, chance, said in zip(mine.index, when, mine["probability"], mine["predicted"], strict=True)
    ]
    return sorted(found, key=lambda day: day.when)[-MOST_DAYS:]


def picture(days: list[Day], title: str, name: str) -> Markup:
    """A person's days as SVG: a ring where the classifier stands, a line up to the dot where the plan leads; a cross
    where there is no plan, a small dot where none is needed."""
    step, height, left = 26, 118, 42
    width = left + step * max(len(days), 1) + 6

    def y(chance: float) -> float:
        return round(12 + (1 - chance) * (height - 40), 1)

    parts = [
        f'<line x1="{left}" x2="{width}" y1="{y(share)}" y2="{y(share)}" class="{"half" if share == 0.5 else "grid"}"/>'
        f'<text x="{left - 6}" y="{y(share) + 4}" text-anchor="end">{share:.0%}</text>'
        for share in (0.0, 0.5, 1.0)
    ]
    for number, day in enumerate(days):
        x = left + step * (number + 0.5)
        if day.after is not None:
            parts.append(f'<line x1="{x}" x2="{x}" y1="{y(day.before)}" y2="{y(day.after)}" class="way"/>')
            parts.append(f'<circle cx="{x}" cy="{y(day.after)}" r="5" class="after"/>')
        kind = "there" if day.there else "before"
        parts.append(f'<circle cx="{x}" cy="{y(day.before)}" r="{3 if day.there else 4.5}" class="{kind}"/>')
        if day.after is None and not day.there:
            parts.append(f'<path d="M{x - 3} {y(day.before) - 3}l6 6m0 -6l-6 6" class="cross"/>')
        if len(days) <= 12 or not number % 3:
            parts.append(f'<text x="{x}" y="{height - 4}" text-anchor="middle">{escape(_short(day.when))}</text>')
    body = "".join(parts)
    return Markup(
        f'<svg class="days" viewBox="0 0 {width} {height}" role="img" aria-labelledby="{name}" '
        f'style="max-width: {width * 1.5:.0f}px"><title id="{name}">{escape(title)}</title>{body}</svg>'
    )


def _short(when: str) -> str:
    """The day of a month of an ISO date; nothing for another time."""
    return when[8:10].lstrip("0") if len(when) >= 10 and when[4:5] == "-" else ""
