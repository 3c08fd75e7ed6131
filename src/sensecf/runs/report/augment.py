"""The report of added rows: what they are worth on held-out people beside doing nothing, and with which caution."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sensecf.augmentation.run import sentences
from sensecf.core.people import Counted
from sensecf.metrics import from_json, sentence
from sensecf.runs.report.drawn import Drawn, save_all, svg
from sensecf.runs.report.figures import RULE, SOFT, UP, _axes, _cut
from sensecf.runs.report.sheet import Section, Sheet
from sensecf.runs.report.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: The measures of the picture and the table, and how each reads; of all but the Brier score more is better.
MEASURES = {
    "f1": "F1",
    "average_precision": "Average precision",
    "auc": "AUC",
    "balanced_accuracy": "Balanced accuracy",
    "brier": "Brier score",
}


def write(folder: Path, scores: pd.DataFrame, facts: Mapping[str, Any]) -> None:
    """Write `report.html`, `report.md` and `figures/` for a run of `sensecf augment`.

    `scores`: a row per method and classifier, as in scores.csv; `facts`: of run.json.
    """
    said = sentences(dict(facts))
    drawn = picture(scores)
    people = facts["test_people"]
    how_good = [sentence(from_json(found), name, facts["positive"]) for name, found in facts["quality"].items()]
    sheet = Sheet(
        "rows to learn from",
        "What are the added rows worth?",
        said,
        [
            ("Rows added", f"{facts['added_rows']:,}"),
            ("Rows to learn from", f"{facts['train_rows']:,}"),
            ("Held out", str(Counted(facts["test_rows"], None if people == facts["test_rows"] else people))),
            ("Generator", str(facts["generator"])),
            ("Seed", str(facts["seed"])),
        ],
        [
            Section(
                "Beside doing nothing",
                ["Each dot is a classifier, the bar the mean over them, on the same held-out rows."],
                [table(scores)],
                drawn,
                "Ours stands last; Brier score: lower is better, all others: higher.",
            ),
            Section("How good the classifiers are without added rows", how_good),
            Section(
                "What this does not say",
                [
                    "A row is an opinion of classifiers about a made-up day, not a measurement. What helps a "
                    "classifier says nothing of anybody’s health."
                ],
            ),
        ],
    )
    sheet.write(folder)
    save_all({"methods": drawn}, folder)


def table(scores: pd.DataFrame) -> Table:
    """Means over the classifiers, by method, with the range of the classifiers behind them."""
    shown = [name for name in MEASURES if name in scores]
    rows = []
    for method, part in scores.groupby("method", sort=False):
        cells = [f"{part[m].mean():.3f} ({part[m].min():.3f} to {part[m].max():.3f})" for m in shown]
        rows.append((str(method), *cells))
    heads = ("Method", *(MEASURES[name] for name in shown))
    caption = "Mean of the classifiers, and the lowest and highest of them; Brier score: lower is better"
    return Table(caption, heads, rows, (False, *(True,) * len(shown)))


def picture(scores: pd.DataFrame) -> Drawn:
    """A panel per measure, a line per method: the classifiers as dots, their mean as a bar."""
    names = list(dict.fromkeys(scores["method"]))
    shown = [name for name in MEASURES if name in scores]

    def draw(figure: Figure) -> None:
        figure.set_size_inches(9.6, 1.0 + 0.36 * len(names))
        grid = figure.add_gridspec(1, len(shown))
        for number, measure in enumerate(shown):
            axes = _axes(figure, grid[number])
            for place, name in enumerate(reversed(names)):
                values = scores.loc[scores["method"] == name, measure].to_numpy(dtype=float)
                ours = name == names[-1]
                at = np.full(len(values), place)
                axes.scatter(values, at, s=14, facecolors="none", edgecolors=SOFT, linewidths=0.8)
                axes.plot([values.mean()] * 2, [place - 0.3, place + 0.3], color=UP if ours else SOFT, linewidth=2.4)
            axes.set_yticks(range(len(names)), [_cut(name) for name in reversed(names)] if number == 0 else [])
            axes.set_ylim(-0.6, len(names) - 0.4)
            axes.locator_params(axis="x", nbins=3)
            axes.grid(axis="x", color=RULE, linewidth=0.6)
            axes.set_axisbelow(True)
            axes.set_title(MEASURES[measure], fontsize="medium", loc="left")

    return svg(draw, 2.4, "augment")
