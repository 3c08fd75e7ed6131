"""A run on the terminal: the first plans, the measures, why some have no answer; and its exit status."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sensecf.cli.plain import plain
from sensecf.cli.say import say
from sensecf.cli.shared import CAUTION

if TYPE_CHECKING:
    import pandas as pd

    from sensecf.core.counterfactuals import Counterfactuals
    from sensecf.runs.facts import RunFacts

#: Measures of the terminal's summary, and what they are called there; docs/metrics.md has them by name.
SHOWN = {
    "model_readable": "model: first answer readable",
    "model_valid_first": "model: first answer valid",
    "model_valid": "model: some answer valid",
    "model_distinct": "model: different first answers",
    "model_added_up": "no model: its offers added up",
    "own_share": "answered as asked",
    "fallback_share": "answered by the fallback",
    "unanswered_share": "no valid answer",
    "not_needed_share": "in the class already",
    "validity": "valid as saved",
    "coverage": "any answer",
    "feasible": "breaks no rule",
    "plausible": "like the data",
    "n_changed": "changes",
    "mad_l1": "distance (L1 / MAD)",
    "margin": "lead of the target",
    "seconds": "seconds",
}
#: Of these, what is shown only where it is not 0.
UNLESS_ZERO = ("fallback_share", "unanswered_share", "not_needed_share")
#: Plans in the terminal's table, and results that are listed of what follows from each.
PLANS, RESULTS = 10, 2
#: Reasons of abstentions in the terminal.
REASONS = 4


def show(answers: Counterfactuals, summary: pd.DataFrame, facts: RunFacts, out: Path) -> int:
    """The first plans and the summary, as tables; returns the exit status: see `status`."""
    from rich.console import Console
    from rich.table import Table

    from sensecf.cli.people import asked_words, plans_for_people
    from sensecf.metrics import sentence
    from sensecf.metrics.model import own_sentence
    from sensecf.runs.report.names import called

    target = answers.schema.meaning(facts["target"])
    console = Console(width=None if sys.stdout.isatty() else 80)
    say(sentence(summary, facts["classifier"], target, facts.get("rows_are", "rows")))
    say(asked_words(answers, facts))
    for line in hold_words(facts):
        say(line)
    for part in plans_for_people(answers, facts, target):
        console.print(part)
    if facts.get("per") != "person":
        console.print(_plans(answers, target, called(facts)))

    if facts.get("generator_why"):
        say(f"Plans by {facts['generator']}: {facts['generator_why']}.")
    own, shares = own_sentence(summary, answers.asked), answers.shares(called(facts))
    say(f"{own}; {shares}." if own else f"{shares}.")
    if facts.get("everybody"):
        say(facts["everybody"]["says"])
    fallback = answers.fallbacks()
    table = Table(title="Summary" + (f", with {fallback} as fallback" if fallback else ""), title_justify="left")
    for column in ("measure", "value", "95 % interval", "of", "better"):
        table.add_column(column)
    for cells in _survival(answers, facts):
        table.add_row(*cells)
    for name, words in SHOWN.items():
        if name in summary.index and (summary.loc[name, "value"] or name not in UNLESS_ZERO):
            m = summary.loc[name]
            interval = f"{m['low']:.3f} to {m['high']:.3f}" if m["low"] == m["low"] else "–"
            value = f"{m['value']:.3f}" if m["defined"] else "not defined"
            table.add_row(words, value, interval, f"{m['n']:,} {m['over']}", str(m["direction"]))
    for name, share in facts.get("model_alone", {}).items():
        if share["n"]:
            # Fewer than five people give no interval.
            interval = "–" if share["low"] is None else f"{share['low']:.3f} to {share['high']:.3f}"
            requests = f"{share['n']:,} requests"
            table.add_row(f"model alone: {name}", f"{share['value']:.3f}", interval, requests, "higher")
    asked = max(facts["queries_asked"], 1)
    rows = facts["classifier_rows"]["answers"] / asked
    table.add_row("classifier rows", f"{rows:,.0f}", "–", f"{asked:,} requests", "lower")
    console.print(table)
    _closing(console, answers, out)
    return status(answers)


def _plans(answers: Counterfactuals, target: str, what: str) -> Any:
    """The table of the first plans: what to do on a line of its own, then the largest of what follows."""
    from rich.table import Table
    from rich.text import Text

    from sensecf.cli.people import TITLE, whose_words
    from sensecf.runs.report.names import labels

    names = dict(zip(answers.schema.names, labels(answers.schema), strict=True))
    plans = answers.plans(names).assign(expected=answers.expected(RESULTS, names))
    title = f"{what[:1].upper()}{what[1:]}s towards {target!r} (the first {min(len(plans), PLANS)} of {len(plans)})"
    called, whose = whose_words(answers, plans.head(PLANS)["query"])
    asked = bool(answers.answers["holds"].notna().any())
    shown = Table(
        title=plain(title),
        title_justify="left",
        min_width=min(len(title), TITLE),
        show_lines=bool((plans.head(PLANS)["expected"] != "").any()),
    )
    shown.add_column(called, overflow="fold")
    shown.add_column(what, overflow="fold", ratio=1)
    shown.add_column("prob.", justify="right")
    if asked:
        shown.add_column("holds", justify="right")
    for name, row, holds in zip(whose, plans.head(PLANS).itertuples(), answers.answers["holds"], strict=False):
        first, *others = str(row.follows).split("; ")
        along = f"{first}; and {len(others)} more" if others else first
        lines = [plain(row.plan)]
        for word, told in (("with it", along), ("then", row.expected)):
            if told:
                lines.append(plain(f"{word}: {told!s}"))
                lines[-1].stylize("dim")
        share = [f"{holds:.0%}" if holds == holds else "–"] if asked else []
        shown.add_row(plain(name), Text("\n").join(lines), f"{row.probability:.2f}", *share)
    return shown


def _survival(answers: Counterfactuals, facts: RunFacts) -> list[tuple[str, str, str, str, str]]:
    """Rows of the summary: how many plans hold, and of how many refits; none where no plan was asked to hold."""
    if "jury" not in facts:
        return []
    jury = facts["jury"]
    found = jury["plans"] + jury["left_out"]
    moved = answers.answers[answers.answers["n_changed"] > 0]["holds"]
    mean = f"{moved.mean():.3f}" if len(moved) else "not defined"
    return [
        ("plans that hold", f"{jury['plans']:,}", "–", f"{found:,} plans found", "higher"),
        ("refits that agree", mean, "–", f"{len(moved):,} plans that hold", "higher"),
    ]


def _closing(console: Any, answers: Counterfactuals, out: Path) -> None:
    """Why some have no answer, and where to read on."""
    reasons = answers.reasons()
    for reason, queries in reasons[:REASONS]:
        say(f"No answer for {len(queries)}: {reason}")
    if left := sum(len(queries) for _, queries in reasons[REASONS:]):
        console.print(f"No answer for {left} more: see the report", highlight=False)
    say(f"Report: {out / 'report.html'}")
    console.print(CAUTION, style="italic", highlight=False)


def hold_words(facts: RunFacts) -> list[str]:
    """How many plans of a run hold and what that rests on, in words; nothing where nobody asked."""
    if "no_jury" in facts:
        return [f"No plan was asked to hold: {facts['no_jury']}."]
    told = facts.get("jury")
    return [] if told is None else [told["headline"], told["says"]]


def status(answers: Counterfactuals) -> int:
    """The exit status of a run: 3, with a line that says so, where the generator asked for answered nobody."""
    if not answers.own_none:
        return 0
    say(f"sensecf: {answers.shares()}", err=True)
    return 3
