"""What was found of groups, in words and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sensecf.core.people import some
from sensecf.runs.fairness.measures import CLASSIFIER, MEASURES
from sensecf.runs.report.sheet import Section, Sheet
from sensecf.runs.report.tables import Table
from sensecf.runs.study.written import chance, percent, plain
from sensecf.runs.whose import People

if TYPE_CHECKING:
    from sensecf.runs.fairness.run import Fairness

CAPTION = (
    "Means with 95 % intervals over whole people, a line per group. Filled: the gap to all others is claimed "
    "(p < 0.05 after correction); orange: the group is worse off, blue: better off. Dashes: the effort of all others."
)
REMARKS = (
    "A gap is a difference in what the classifier and its plans ask of groups. It says neither why, nor that it is "
    "unjust: groups may start from elsewhere. Effort at equal starting risk compares people to whom the classifier "
    "gives the same chance before. Efforts are compared by the ratio of their geometric means. Equal effort is not the "
    "only aim: social burden is what those who belong to the target class have to do to be put there, nothing where "
    "they are already; a group that is told wrongly more often carries more of it at the same effort per plan (Milli "
    "et al. 2019)."
)


def sheet(made: Fairness, people: People, drawn: str) -> Sheet:
    """The report."""
    facts = made.facts
    lead = verdict(made)
    sections = [
        Section("At a glance", [REMARKS, *facts["notes"], *_hidden(made)], [_claims(made)], drawn, CAPTION),
        Section(
            "The classifier, before any plan",
            ["Held-out people. A gap here is there whatever plans are made."],
            [_groups(made, CLASSIFIER, "The classifier by group")],
        ),
        Section(
            "Plans: who gets one, and what it costs",
            ["“The others” are all people who are not of the group."],
            [_groups(made, [m for m in MEASURES if m not in CLASSIFIER], "Plans by group"), _gaps(made)],
        ),
        Section("What is asked of whom", [_asked_words(made)], [_asked(made)]),
        Section("Stand-ins for what is protected", [_proxy_words(made)], [_proxies(made)]),
    ]
    if len(made.mending):
        sections.append(Section("What could be done", [_mend_words(made)], [_mending(made)]))
    told = [
        ("Protected", f"{', '.join(facts['protected'])} ({facts['protected_why']})"),
        ("Requests", f"{facts['requests']:,}"),
        ("Held-out rows", f"{facts['held_out']:,}"),
        ("Towards", people.schema.meaning(people.target)),
    ]
    return Sheet("fairness", "Who gets a plan, and who pays more", lead, told, sections, bool(facts["claims"]))


def verdict(made: Fairness) -> list[str]:
    """The claims, a sentence each, the largest families first; or that none is made, and what that does not say."""
    claimed = made.claimed
    out = [sentence(row) for _, row in claimed[claimed["family"] != "asked"].iterrows()]
    asked = int((claimed["family"] == "asked").sum())
    if asked:
        out.append(f"{asked} features are asked of groups unequally; see below.")
    if not out:
        out = [
            "No gap between groups is claimed: none stands out of chance after correction. That is no proof that "
            "there is none; the intervals say how large one may be."
        ]
    edited = {name: count for name, count in made.facts["protected_edited"].items() if count}
    if edited:
        words = ", ".join(f"{name} in {count} plans" for name, count in edited.items())
        out.append(f"Protected features are edited: {words}. Write protected = true at them in the schema.")
    return out


def sentence(row: pd.Series[Any]) -> str:
    """A claimed gap in words."""
    title = MEASURES[row["measure"]].title if row["measure"] in MEASURES else row["measure"]
    ends = _ends(row)
    how = f"{plain(row['gap'], 2)} times that of the others" if row["kind"] != "difference" else _points(row)
    return f"{row['attribute']} {row['group']}: {title} {how} ({ends}), p {chance(row['p_holm'])} corrected."


def _points(row: pd.Series[Any]) -> str:
    return f"{percent(row['mean'], 1)} against {percent(row['others'], 1)}"


def _ends(row: pd.Series[Any]) -> str:
    if np.isnan(row["low"]):
        return "no interval" if np.isnan(row["gap"]) else "all alike"
    if row["kind"] != "difference":
        return f"{plain(row['low'], 2)} to {plain(row['high'], 2)}"
    return f"{100 * row['low']:+.1f} to {100 * row['high']:+.1f} points".replace("-", "−")


def _hidden(made: Fairness) -> list[str]:
    words = [f"{count} of {name}" for name, count in made.facts["hidden"].items() if count]
    return [f"Groups of fewer than ten people are not shown: {', '.join(words)}."] if words else []


def _claims(made: Fairness) -> Table:
    """The claimed gaps."""
    rows = [_gap(row) for _, row in made.claimed[made.claimed["family"] != "asked"].iterrows()]
    return Table("Claimed gaps", GAP_HEADS, rows or [("none", *["–"] * (len(GAP_HEADS) - 1))], GAP_NUMERIC)


GAP_HEADS = ("Feature", "Group", "Measure", "Group’s", "Others’", "Gap", "95 % interval", "p", "p, Holm", "People")
GAP_NUMERIC = (False, False, False, True, True, True, True, True, True, True)


def _gap(row: pd.Series[Any]) -> tuple[str, ...]:
    share = row["kind"] == "difference"
    means = [percent(row[name], 1) if share else plain(row[name], 2) for name in ("mean", "others")]
    value = f"{100 * row['gap']:+.1f} points".replace("-", "−") if share else f"× {plain(row['gap'], 2)}"
    if np.isnan(row["gap"]):
        value = "too few people"
    title = MEASURES[row["measure"]].title if row["measure"] in MEASURES else row["measure"].removeprefix("edits:")
    head = (row["attribute"], row["group"], title, *means, value)
    return (*head, _ends(row), chance(row["p"]), chance(row["p_holm"]), f"{row['people']:,}")


def _gaps(made: Fairness) -> Table:
    rows = [_gap(row) for _, row in made.gaps[made.gaps["family"] != "asked"].iterrows()]
    return Table("Every gap, a group against all others", GAP_HEADS, rows, GAP_NUMERIC)


def _groups(made: Fairness, measures: Any, caption: str) -> Table:
    """Measures by group."""
    part = made.groups[made.groups["measure"].isin(list(measures))]
    names = [m for m in measures if (part["measure"] == m).any()]
    rows = []
    for (attribute, group), own in part.groupby(["attribute", "group"], sort=False):
        found = own.set_index("measure")
        cells = [_cell(found.loc[m], MEASURES[m].share) if m in found.index else "–" for m in names]
        rows.append((str(attribute), str(group), *cells, f"{int(found['people'].max()):,}"))
    heads = ("Feature", "Group", *(MEASURES[m].title for m in names), "People")
    return Table(caption, heads, rows, (False, False, *[True] * (len(names) + 1)))


def _cell(row: pd.Series[Any], share: bool) -> str:
    if np.isnan(row["value"]):
        return "–"
    text = percent(row["value"], 1) if share else plain(row["value"], 2)
    if np.isnan(row["low"]):
        return text
    if share:
        return f"{text} ({100 * row['low']:.1f} to {100 * row['high']:.1f})"
    return f"{text} ({plain(row['low'], 2)} to {plain(row['high'], 2)})"


def _asked(made: Fairness) -> Table:
    rows = [_gap(row) for _, row in made.gaps[made.gaps["family"] == "asked"].iterrows()]
    return Table("How often a plan edits a feature, by group", GAP_HEADS, rows, GAP_NUMERIC)


def _asked_words(made: Fairness) -> str:
    claimed = made.claimed[made.claimed["family"] == "asked"]
    if claimed.empty:
        return "No feature is claimed to be asked of one group more often than of the others."
    words = [
        f"{row['measure'].removeprefix('edits:')} of {row['attribute']} {row['group']} ({_points(row)})"
        for _, row in claimed.iterrows()
    ]
    return f"Asked unequally: {'; '.join(words)}."


def _proxy_words(made: Fairness) -> str:
    named = made.proxies[made.proxies["named"]]
    if named.empty:
        return "Neither edits nor the values they start from are found to tell who is of which group."
    words = [
        f"{'edits together' if row['what'] == 'edits' else row['what']} for {row['attribute']} {row['group']} "
        f"(area {plain(row['auc'], 2)})"
        for _, row in named.iterrows()
    ]
    return (
        f"Found to tell who is of which group: {'; '.join(words)}. What the schema protects can be read off these, so "
        "a plan that never touches the one may still treat groups unequally through the others."
    )


def _proxies(made: Fairness) -> Table:
    rows = [
        (
            row["attribute"],
            row["group"],
            "all edits together" if row["what"] == "edits" else row["what"],
            row["from"],
            plain(row["auc"], 2),
            "–" if np.isnan(row["low"]) else f"{plain(row['low'], 2)} to {plain(row['high'], 2)}",
            chance(row["p_holm"]),
            "yes" if row["named"] else "no",
        )
        for _, row in made.proxies.iterrows()
    ]
    heads = ("Feature", "Group", "Told by", "From", "Area under the curve", "95 % interval", "p, Holm", "Named")
    return Table(
        "How well the group is told, people not seen",
        heads,
        rows,
        (False, False, False, False, True, True, True, False),
    )


def _mend_words(made: Fairness) -> str:
    first = made.mending.iloc[0]
    return (
        f"The largest claimed gap in effort is that of {first['attribute']} {first['group']}. Each remedy was tried on "
        f"{some(first['n'], 'requests')} of {some(first['people'], 'people')}, boundary answers under the limits of "
        "the run otherwise. "
        "None of them is applied: what is traded for what is for people to decide, and treating groups by different "
        "thresholds may be unlawful where you are. Whether a smaller gap comes from the group paying less or from the "
        "others paying more stands in the columns."
    )


def _mending(made: Fairness) -> Table:
    rows = [
        (
            row["remedy"],
            row["what"],
            f"× {plain(row['gap'], 2)}",
            "–" if np.isnan(row["low"]) else f"{plain(row['low'], 2)} to {plain(row['high'], 2)}",
            plain(row["effort_group"], 2),
            plain(row["effort_others"], 2),
            percent(row["no_plan_group"], 1),
            percent(row["no_plan_others"], 1),
            percent(row["accuracy"], 1),
        )
        for _, row in made.mending.iterrows()
    ]
    heads = (
        "Remedy",
        "What",
        "Gap in effort",
        "95 % interval",
        "Group’s effort",
        "Others’ effort",
        "Group without a plan",
        "Others without",
        "Classifier right",
    )
    return Table("Remedies, tried and measured", heads, rows, (False, False, *[True] * 7))
