"""Tables to take along, as CSV that no spreadsheet takes for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from sensecf.runs.record.plans import KeptPlan

#: Characters with which a spreadsheet begins a formula; the wide forms are read alike by some of them.
_FORMULA = tuple("=+-@\t\r\n|%＝＋－＠")
#: The columns of a table of plans; one line per action, in the feature's unit.
HEADS = (
    "person",
    "day",
    "plan",
    "target",
    "feature",
    "label",
    "unit",
    "before",
    "after",
    "change",
    "probability_before",
    "probability",
    "turns",
    "of",
    "holds",
    "holds_low",
    "status",
    "since",
    "signed",
    "second_signature",
)


def safe_cell(value: Any) -> Any:
    """A cell that a spreadsheet shows and does not run: text that could begin a formula gets an apostrophe.

    One sign alone, such as the unit %, is no formula.
    """
    if not isinstance(value, str) or len(value.strip()) == 1:
        return value
    begun = value.lstrip(" '\"\u00a0\u200b\ufeff").startswith(_FORMULA) or value.startswith(_FORMULA)
    return f"'{value}" if begun else value


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as CSV; text is quoted, numbers are not."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerows([safe_cell(cell) for cell in row] for row in rows)
    return text.getvalue()


def plans_text(plans: Iterable[KeptPlan]) -> str:
    """Plans as CSV, one line per action."""
    rows: list[Sequence[Any]] = [HEADS]
    for plan in plans:
        survived = (plan.turns, plan.of, plan.holds, plan.holds_low)
        standing = plan.standing
        for change in plan.actions:
            cells = (
                *(plan.person, plan.when, plan.id, plan.target),
                *(change.feature, change.label, change.unit, change.before, change.after, change.delta),
                *(round(plan.probability_before, 6), round(plan.probability, 6), *survived),
                *(standing.status, standing.since, standing.signed, standing.countersigned),
            )
            rows.append(["" if cell is None else cell for cell in cells])
    return csv_text(rows)


def decisions_text(entries: Iterable[Any]) -> str:
    """The decisions of a journal as CSV, oldest first, with what each is tied to."""
    tied = ("sensecf", "model", "schema", "data", "limits", "holds", "holds_low")
    rows: list[Sequence[Any]] = [("time", "who", "action", "person", "plan", "note", *tied)]
    for entry in entries:
        bound = entry.get("bound") or {}
        cells = (entry["time"], entry["who"], entry["action"], entry["plan"].get("person"), entry["plan"]["plan"])
        cells += (entry["note"], *(bound.get(name) for name in tied))
        rows.append(["" if cell is None else cell for cell in cells])
    return csv_text(rows)
