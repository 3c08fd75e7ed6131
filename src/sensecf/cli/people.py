"""Plans for people on the terminal: what to do, which of their days it turns, and what the controls turn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from sensecf.cli.plain import plain
from sensecf.core.names import split_names
from sensecf.core.people import PERSON, WHEN, Counted, counted, days_of, some

if TYPE_CHECKING:
    from sensecf.core.counterfactuals import Counterfactuals

#: A table is as wide as its title, so that this is one line, up to so many columns.
TITLE = 80
#: People in the terminal's table, beside plans for rows and where all plans are for people, and days that a plan does
#: not turn which are listed of each.
FIRST, ALL, DAYS = 3, 10, 4


def asked_words(answers: Counterfactuals, facts: Mapping[str, Any]) -> str:
    """How many rows of how many people were asked about: "Asked about 258 days of 52 people."."""
    return f"Asked about {counted(answers.factuals, facts.get('rows_are'))}."


def whose_words(answers: Counterfactuals, queries: pd.Series[Any]) -> tuple[str, list[str]]:
    """What the rows asked about are called in a table, and each of `queries` by it: person and date where they are
    known, else its number."""
    known = answers.factuals
    if PERSON not in known:
        return "row", [str(query) for query in queries]
    names = known.loc[queries, PERSON].astype(str).tolist()
    if WHEN not in known:
        return "person", names
    return "person", [f"{a} {b}".strip() for a, b in zip(names, known.loc[queries, WHEN].astype(str), strict=True)]


def plans_for_people(answers: Counterfactuals, facts: Mapping[str, Any], target: str) -> list[Any]:
    """The first plans for people as a table, and what is said of all of them; nothing where there are none."""
    from rich.table import Table
    from rich.text import Text

    from sensecf.pipeline.person import in_words
    from sensecf.runs.report.names import called, labels

    told = facts.get("people")
    if not told or not len(answers.people):
        return []
    noun = days_of(answers.factuals)
    plans = answers.people[answers.people["rank"] == 1]
    # Whoever has several days first: one day is a plan as any.
    plans = plans.assign(several=plans["of"] > 1).sort_values("several", ascending=False, kind="stable")
    names = dict(zip(answers.schema.names, labels(answers.schema), strict=True))
    first = plans.head(ALL if facts.get("per") == "person" else FIRST)
    what = called(facts)
    kind = f"{what[:1].upper()}{what[1:]}s for people towards {target!r}"
    title = f"{kind}, one for all of their {noun} (the first {len(first)} of {len(plans)})"
    shown = Table(title=Text(title), title_justify="left", show_lines=True, min_width=min(len(title), TITLE))
    shown.add_column("person", overflow="fold")
    shown.add_column(what, overflow="fold", ratio=1)
    shown.add_column("turns", justify="right")
    for plan in first.to_dict("records"):
        lines = [plain("; ".join(in_words(answers.schema, str(plan["plan"]), names)))]
        others = _days(answers, str(plan["others"]))
        if others:
            lines.append(plain(f"does not turn: {others}"))
            lines[-1].stylize("dim")
        turns = f"{plan['turns']} of {some(int(plan['of']), noun)}"
        shown.add_row(plain(plan["person"]), Text("\n").join(lines), turns)
    singly = told["singly"]["turned"]
    control = (
        f"With each {Counted(1, None, noun).one} planned singly {singly:,} of {some(told['days'], noun)} have one."
    )
    return [*([shown] if len(plans) else []), plain(f"{told['says']} {control}")]


def _days(answers: Counterfactuals, queries: str) -> str:
    """Some days by their dates, or by their numbers."""
    names = split_names(queries, ";")
    if WHEN in answers.factuals:
        by_text = dict(zip(answers.factuals.index.astype(str), answers.factuals[WHEN], strict=True))
        names = tuple(str(by_text.get(name, name)) for name in names)
    more = f" and {len(names) - DAYS} more" if len(names) > DAYS else ""
    return ", ".join(names[:DAYS]) + more
