"""What the attacks found, in words, tables and a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sensecf.metrics.membership import BOUND
from sensecf.runs.report.drawn import svg as _svg
from sensecf.runs.report.figures import DOWN, INK, RULE, SOFT, _axes, _cut
from sensecf.runs.report.sheet import Section, Sheet
from sensecf.runs.report.tables import Table
from sensecf.runs.study.written import chance, percent, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sensecf.runs.attack.run import Attack

REMARKS = (
    "Each attack gives every person a score, and the area under the curve is how often somebody who was learned from "
    "scores higher than somebody who was not: 0.5 is chance, 1 tells everybody. What counts is the upper end of the "
    "interval: with few people it is far from 0.5 whatever is true. An attack that finds nothing proves nothing about "
    "the attacks that nobody has thought of, about other people, or about what else a reader knows.",
    "“Blind” means that ten people whose rows were put in on purpose were not seen: the numbers of that surface say "
    "nothing then.",
)


def sheet(made: Attack) -> Sheet:
    """The report."""
    facts = made.facts
    sections = [
        Section(
            "What the attacks see",
            [*REMARKS, *facts["notes"]],
            [_areas(made)],
            figure(made),
            "Areas with 95 % intervals over whole people. The dashed line is chance, the dotted one the largest upper "
            f"bound ({BOUND:g}) that is no obstacle to sharing; orange intervals reach beyond it.",
        ),
        Section("Labels", [_label_words()], [_labels(made)]),
        Section("Values that few people hold", [_copy_words(made)], [_copies(made)] if len(made.copies) else []),
    ]
    if facts["linked"] is not None and facts["linked"]["plans"]:
        sections.append(Section("Whose plan is it?", [_linked_words(facts["linked"])]))
    sections.append(Section("Names of people", [_names_words(made)], [_names(made)] if len(made.identifiers) else []))
    told = [("Members", f"{facts['members']:,} people"), ("Others", f"{facts['others']:,} people")]
    alarm = any(part["label"] != "shareable" for part in made.labels.values())
    return Sheet("attack", "Who was learned from? What an attacker can tell", verdict(made), told, sections, alarm)


def verdict(made: Attack) -> list[str]:
    """What comes first: a sentence per surface."""
    out = []
    for name, part in made.labels.items():
        tests = made.facts["tests"][name]
        own = made.areas[made.areas["surface"] == name]
        worst = own.iloc[int(own["high"].fillna(1.0).argmax())]
        if not tests["seen"]:
            said = "the attacks are blind: ten people put in on purpose were not seen, so nothing is known"
        else:
            said = (
                f"strongest attack “{worst['attack']}”, area {plain(worst['auc'], 2)} "
                f"({plain(worst['low'], 2)} to {plain(worst['high'], 2)})"
            )
            if tests["flagged"]:
                said = f"members are told from others; {said}"
        out.append(f"{part['title'][0].upper()}{part['title'][1:]}: {said}. {part['label'].capitalize()}.")
    if len(made.identifiers):
        files = ", ".join(sorted(set(made.identifiers["file"])))
        out.append(f"Names of people stand in {files}.")
    return out


def figure(made: Attack) -> str:
    """The areas of every attack on every surface, as SVG text."""
    lines: list[tuple[str, pd.Series[Any] | None]] = []
    for name, part in made.labels.items():
        lines.append((part["title"], None))
        for _, row in made.areas[made.areas["surface"] == name].iterrows():
            lines.append((str(row["attack"]), row))

    def draw(figure: Figure) -> None:
        figure.set_size_inches(7.2, 0.7 + 0.3 * max(len(lines), 1))
        axes = _axes(figure)
        for place, (_, row) in enumerate(reversed(lines)):
            if row is None or np.isnan(row["auc"]):
                continue
            colour = DOWN if not row["high"] <= BOUND else SOFT
            if not np.isnan(row["low"]):
                axes.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=1.6, solid_capstyle="butt")
            axes.scatter([row["auc"]], [place], s=26, facecolors="white", edgecolors=colour, zorder=3)
        axes.axvline(0.5, color=SOFT, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.axvline(BOUND, color=SOFT, linewidth=0.8, linestyle=(0, (1, 2)))
        axes.set_yticks(range(len(lines)), [_cut(name, 40) for name, _ in reversed(lines)])
        for tick, (_, row) in zip(axes.get_yticklabels(), reversed(lines), strict=True):
            tick.set_fontweight("bold" if row is None else "normal")
        axes.set_xlim(min(0.3, float(made.areas["low"].min(skipna=True)) - 0.02), 1.02)
        axes.set_ylim(-0.6, len(lines) - 0.4)
        axes.grid(axis="x", color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.set_title("area under the curve", fontsize=9, color=INK, loc="left")

    return _svg(draw, 1.0, "attack")


def _areas(made: Attack) -> Table:
    rows = []
    for _, row in made.areas.iterrows():
        tests = made.facts["tests"][row["surface"]]
        ends = "–" if np.isnan(row["low"]) else f"{plain(row['low'], 3)} to {plain(row['high'], 3)}"
        seen = "yes" if tests["seen"] else "no: blind"
        head = (made.labels[row["surface"]]["title"], row["attack"], plain(row["auc"], 3), ends)
        rows.append((*head, percent(row["tpr"], 1), f"{row['members']} / {row['others']}", seen))
    heads = (
        "Surface",
        "Attack",
        "Area",
        "95 % interval",
        "Told at 1 % false",
        "Members / others",
        "Sees a planted leak",
    )
    return Table("Attacks, by person", heads, rows, (False, False, True, True, True, True, False))


def _labels(made: Attack) -> Table:
    rows = []
    for name, part in made.labels.items():
        tests = made.facts["tests"][name]
        words = "; ".join(part["why"]) or "no attack stands in the way"
        told = f"{int(tests['first'])} (p {chance(tests['tail'])}), p {chance(tests['area'])}"
        rows.append((part["title"], part["label"], words, told))
    heads = ("Surface", "Label", "Because", "Members before all others; areas")
    return Table("What may be said of each", heads, rows, (False, False, False, False))


def _label_words() -> str:
    return (
        f"“Shareable” is said only where the planted people were seen, no attack's interval reaches beyond {BOUND:g}, "
        "no value is held by fewer than five people, and the terms of the table allow it. A leak is flagged where more "
        "members stand before everybody else than chance allows (p < 0.03), or the largest area is beyond chance "
        "(p < 0.01): 4 % of clean ones at most."
    )


def _copy_words(made: Attack) -> str:
    if made.copies.empty:
        return "There is nothing to count."
    few, every = int(made.copies["held_by_few"].sum()), int(made.copies["made"].sum())
    none = int(made.copies["held_by_none"].sum())
    return (
        f"Of {every:,} values that were made, {few:,} are held by fewer than five of the people learned from, as "
        f"exactly as they are written, and {none:,} by nobody."
    )


def _copies(made: Attack) -> Table:
    rows = [
        (made.labels[row["surface"]]["title"], row["feature"], *(f"{row[c]:,}" for c in made.copies.columns[1:4]))
        for _, row in made.copies.iterrows()
    ]
    heads = ("Surface", "Feature", "Values made", "Held by 1 to 4 people", "Held by nobody")
    return Table("Values, by feature", heads, rows, (False, False, True, True, True))


def _linked_words(told: Mapping[str, float]) -> str:
    return (
        f"{int(told['linked']):,} of {int(told['plans']):,} plans ({percent(told['linked'] / told['plans'], 0)}; 95 % "
        f"interval {percent(told['low'], 0)} to {percent(told['high'], 0)}) share most of their values with a row of "
        "the person they were made for: a plan keeps what it does not change. Whoever knows somebody's row "
        "finds their plan. A plan belongs to its person; it is not a table to hand on."
    )


def _names_words(made: Attack) -> str:
    if made.identifiers.empty:
        return "No identifier, date or shown value of the table stands in a file of the run, or in the files named."
    return (
        "Files in which values stand that name people. Keep these where the table is kept; a FHIR file and the page's "
        "exports name their person on purpose."
    )


def _names(made: Attack) -> Table:
    rows = [
        (str(h["file"]), str(h["column"]), f"{h['values']:,}", f"{h['of']:,}") for _, h in made.identifiers.iterrows()
    ]
    return Table("Identifiers in files", ("File", "Column", "Values", "Of"), rows, (False, False, True, True))
