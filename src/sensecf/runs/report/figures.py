"""Figures as SVG text: vector, safe for colour-blind readers, the same bytes for the same answers.

Every function takes answers as `metrics.read` gives them and returns one self-contained SVG with its
text as text. What they show is judged anew from the saved rows, as in `metrics`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sensecf import metrics
from sensecf.core.schema import Feature
from sensecf.metrics import Scored
from sensecf.runs.report.drawn import WIDTH, Drawn
from sensecf.runs.report.drawn import svg as _svg
from sensecf.runs.report.names import Labels, clean, whose

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Okabe & Ito's colours, told apart by all common kinds of colour vision and, by lightness, in grey print.
UP, DOWN, OTHER = "#0072b2", "#d55e00", "#cc79a7"
#: Text, secondary text, lines and fills of neutral parts.
INK, SOFT, RULE, FILL = "#1f2328", "#59636e", "#d1d9e0", "#eaeef2"
#: One colour per method in the radar, in order.
SERIES = (UP, "#e69f00", "#009e73", DOWN, "#56b4e9", OTHER, "#f0e442", "#000000")
#: At most so many features, points or lines are drawn; the report's captions say so.
MAX_FEATURES, MAX_POINTS, MAX_LINES = 15, 1000, 150
#: Names longer than this are cut.
MAX_NAME = 26
#: Values of one line that lie closer than this share of it are written this far apart.
CLOSEST = 0.04
#: The width of a letter beside such a line, as a share of it.
LETTER = 0.045


def change_rates(scored: Scored) -> Drawn:
    """How often each feature is changed: raised to the right, lowered to the left, levels on the right."""
    profile = metrics.change_profile(scored)
    shown = profile[profile["rate"] > 0].sort_values("rate", kind="stable").tail(MAX_FEATURES)
    acted = dict(zip(scored.task.schema.names, np.asarray(scored.edited.any(axis=0)), strict=True))
    names = [_name(scored, name) + ("" if acted[name] else "\n(follows)") for name in shown.index]

    def draw(figure: Figure) -> None:
        axes = _axes(figure)
        rows = np.arange(len(shown))
        up, down = 100 * shown["up"].to_numpy(), 100 * shown["down"].to_numpy()
        level = 100 * shown["rate"].to_numpy() - up - down
        bars = ((up, 0.0 * up, UP, "raised"), (-down, 0.0 * up, DOWN, "lowered"), (level, up, OTHER, "another level"))
        for width, left, colour, label in bars:
            some = width != 0
            if some.any():
                axes.barh(rows[some], width[some], left=left[some], color=colour, height=0.62, label=label)
        widest = max(float((up + level).max(initial=0)), float(down.max(initial=0)), 1.0)
        for row in range(len(rows)):
            if up[row] + level[row] > 0:
                _note(axes, up[row] + level[row] + widest * 0.02, row, _percent(up[row] + level[row]), "left")
            if down[row] > 0:
                _note(axes, -down[row] - widest * 0.02, row, _percent(down[row]), "right")
        # Room for the figures on both sides, which the names of the features stand beside.
        axes.set_xlim(-1.4 * float(down.max()) - 0.1 * widest if down.any() else 0, widest * 1.3)
        axes.set_yticks(rows, names)
        axes.set_xticks([])
        axes.axvline(0, color=SOFT, linewidth=0.8)
        axes.spines["bottom"].set_visible(False)
        axes.set_ylim(-0.6, max(len(shown), 1) - 0.4)
        if len(shown):
            figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=3)

    return _svg(draw, 0.75 + _line(names) * max(len(shown), 1), "rates")


def change_counts(scored: Scored) -> Drawn:
    """How many features an answer changes: a histogram over the answers."""
    counts = scored.edits.astype(int)
    numbers = np.bincount(counts, minlength=2) if len(counts) else np.zeros(2, dtype=int)

    def draw(figure: Figure) -> None:
        axes = _axes(figure)
        axes.bar(np.arange(len(numbers)), numbers, color=UP, width=0.55)
        for k, number in enumerate(numbers):
            if number:
                axes.annotate(str(number), (k, number), (0, 2), textcoords="offset points", ha="center", color=SOFT)
        axes.set_xticks(range(0, len(numbers), max(1, len(numbers) // 12)))
        axes.set_xlim(-0.5 if numbers[0] else 0.5, len(numbers) - 0.5)
        axes.set_yticks([])
        axes.set_ylim(0, max(float(numbers.max()), 1.0) * 1.12)
        axes.set_xlabel("features changed")
        axes.set_ylabel("answers")

    return _svg(draw, 2.2, "counts")


def distance_and_changes(scored: Scored) -> Drawn:
    """Distance against number of changes, one mark per answer, plausible or not (by `metrics.plausible`)."""
    count, distance = scored.edits, scored.distance
    plausible = metrics.plausible(scored).to_numpy() > 0
    kept = _evenly(len(count), MAX_POINTS)
    # Marks of one column are spread a little, always in the same way.
    sideways = np.random.default_rng(0).uniform(-0.22, 0.22, len(count))

    def draw(figure: Figure) -> None:
        axes = _axes(figure)
        for mask, marker, face, edge, label in (
            (plausible, "o", UP, "none", "plausible"),
            (~plausible, "^", "none", DOWN, "not plausible"),
        ):
            chosen = kept[mask[kept]]
            if len(chosen):
                axes.scatter(
                    (count + sideways)[chosen],
                    distance[chosen],
                    s=20,
                    marker=marker,
                    facecolors=face,
                    edgecolors=edge,
                    linewidths=1.0,
                    alpha=0.75,
                    label=label,
                )
        most = int(count.max(initial=1))
        axes.set_xticks(range(0, most + 1, max(1, most // 12)))
        axes.set_xlim(min(0.4, count.min(initial=1) - 0.6), most + 0.6)
        axes.set_ylim(0, max(float(distance.max(initial=0)) * 1.08, 1.0))
        axes.grid(axis="y", color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.set_xlabel("features changed")
        axes.set_ylabel("distance (L1 / MAD)")
        if len(count):
            figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=2)

    return _svg(draw, 2.9, "distance")


def probabilities(scored: Scored) -> Drawn:
    """Probability of the target class before and after, one line per first answer, sorted by before."""
    first = np.flatnonzero(~scored.queries.duplicated())
    before, after = (judged.proba[first, scored.target[first]] for judged in (scored.judged_before, scored.judged))
    order = np.lexsort((after, before))
    order = order[_evenly(len(order), MAX_LINES)]
    before, after = before[order], after[order]

    def draw(figure: Figure) -> None:
        axes = _axes(figure)
        place = np.arange(len(before))
        axes.vlines(place, before, after, color=RULE, linewidth=1.2)
        axes.scatter(place, before, s=14, facecolors="none", edgecolors=SOFT, linewidths=1.0, label="before")
        axes.scatter(place, after, s=16, color=UP, linewidths=0, label="after")
        if len(scored.task.classes) == 2:
            axes.axhline(0.5, color=SOFT, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlim(-1, max(len(before), 1))
        axes.set_xticks([])
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.50", "0.75", "1"])
        axes.set_xlabel("by probability before")
        axes.set_ylabel("probability of the target")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=2)

    return _svg(draw, 2.9, "probabilities")


def plans(scored: Scored, people: int = 3) -> Drawn:
    """The first answers of the first `people`, feature by feature: before (ring) to after (dot).

    Each line spans the training range of its feature, the thick part the middle four fifths of the
    training rows of the target class; the values are written in the feature's unit.
    """
    task = scored.task
    first = np.flatnonzero(~scored.queries.duplicated() & (scored.edits > 0))[:people]
    # What a person does; all that changes where nothing is an action.
    acts = scored.changed & scored.edited
    lines = [(row, np.flatnonzero((acts if acts.any() else scored.changed)[row])[:MAX_FEATURES]) for row in first]
    said = whose(scored.cfs)
    heights = [0.3 + 0.4 * len(columns) for _, columns in lines]

    def draw(figure: Figure) -> None:
        if not lines:
            _axes(figure).set_axis_off()
            return
        grid = figure.add_gridspec(len(lines), 1, height_ratios=heights)
        for number, (row, columns) in enumerate(lines):
            axes = _axes(figure, grid[number])
            for place, column in enumerate(columns):
                _dumbbell(axes, len(columns) - 1 - place, scored, row, int(column))
            names = [_name(scored, task.schema.names[column]) for column in columns]
            title = _cut(said[scored.queries[row]])
            axes.set_yticks([len(columns) - 0.1, *range(len(columns) - 1, -1, -1)], [title, *names])
            axes.get_yticklabels()[0].set_fontweight("bold")
            axes.set_xticks([])
            axes.spines[:].set_visible(False)
            axes.set_xlim(-0.2, 1.2)
            axes.set_ylim(-0.5, len(columns) + 0.3)

    return _svg(draw, max(sum(heights), 0.8), "plans")


def change_radar(runs: Mapping[str, Scored]) -> Drawn:
    """Which features each method changes: a radar of change rates, one line per method.

    `runs`: name of the method -> its answers; all tasks share their features.
    """
    profiles = {name: metrics.change_profile(scored)["rate"] for name, scored in runs.items()}
    total = np.sum([profile.fillna(0.0) for profile in profiles.values()], axis=0)
    one = next(iter(runs.values()))
    schema = one.task.schema
    shown = [schema.names[j] for j in np.sort(np.argsort(-total, kind="stable")[:MAX_FEATURES])]
    ticks = np.array([0.25, 0.5, 0.75, 1.0])
    highest = max(float(profile[shown].fillna(0.0).max()) for profile in profiles.values())
    top = ticks[np.searchsorted(ticks, min(highest, 1.0))]

    def draw(figure: Figure) -> None:
        figure.set_size_inches(1.5 * WIDTH, 4.8)
        axes: Any = figure.add_subplot(projection="polar")
        angle = np.linspace(0, 2 * np.pi, len(shown), endpoint=False)
        styles = ("-", "--", "-.", ":")
        for k, (name, profile) in enumerate(profiles.items()):
            rate = profile[shown].fillna(0.0).to_numpy()
            colour = SERIES[k % len(SERIES)]
            around, closed = np.append(angle, angle[:1]), np.append(rate, rate[:1])
            axes.plot(around, closed, color=colour, linewidth=1.6, linestyle=styles[k % 4], label=_cut(name))
            axes.fill(around, closed, color=colour, alpha=0.07, linewidth=0)
        axes.set_theta_offset(np.pi / 2)
        axes.set_theta_direction(-1)
        axes.set_xticks(angle, [_name(one, name) for name in shown])
        for label, turn in zip(axes.get_xticklabels(), angle, strict=True):
            across = np.sin(turn)  # names stand outside of the circle, on their own side
            label.set_horizontalalignment("center" if abs(across) < 0.1 else "left" if across > 0 else "right")
        axes.set_ylim(0, top)
        axes.set_yticks(
            ticks[ticks <= top], [f"{tick:.0%}" for tick in ticks[ticks <= top]], color=SOFT, fontsize="x-small"
        )
        axes.set_rlabel_position(180 / len(shown))
        axes.grid(color=RULE, linewidth=0.6)
        axes.spines["polar"].set_color(RULE)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3)

    return _svg(draw, 4.8, "radar")


def _dumbbell(axes: Axes, place: int, scored: Scored, row: int, column: int) -> None:
    """One edit of one answer on its own line, at height `place`."""
    task = scored.task
    feature = task.schema.features[column]
    before, after = scored.before[row, column], scored.after[row, column]
    texts = [_value(feature, before), _value(feature, after, unit=True)]
    low, high = task.observed_low[column], task.observed_high[column]
    if not feature.numeric or not high > low or np.isnan(before) or np.isnan(after):
        _note(axes, 0.5, place, _cut(f"{texts[0]} → {texts[1]}", 34), "center", INK)
        return
    wanted = task.rows[task.y == scored.target[row], column]
    wanted = wanted[~np.isnan(wanted)]
    x, y = (before - low) / (high - low), (after - low) / (high - low)
    axes.plot([0, 1], [place, place], color=RULE, linewidth=1.2, zorder=1)
    if len(wanted):
        middle = (np.quantile(wanted, [0.1, 0.9]) - low) / (high - low)
        axes.plot(middle, [place, place], color=RULE, linewidth=6, solid_capstyle="round", zorder=1)
    axes.annotate("", (y, place), (x, place), arrowprops={"arrowstyle": "-", "color": UP, "linewidth": 1.8}, zorder=2)
    axes.scatter([x], [place], s=34, facecolors="white", edgecolors=UP, linewidths=1.5, zorder=3)
    axes.scatter([y], [place], s=38, color=UP, zorder=4)
    sides = ("right", "left") if x <= y else ("left", "right")
    # Two values that lie close are written apart all the same.
    middle_x, half = (x + y) / 2, max(abs(y - x), CLOSEST) / 2
    ends = _inside(middle_x - half, middle_x + half, *(texts if x <= y else texts[::-1]))
    places = ends if x <= y else ends[::-1]
    for position, text, side, colour in ((places[0], texts[0], sides[0], SOFT), (places[1], texts[1], sides[1], INK)):
        _note(axes, position + (-0.012 if side == "left" else 0.012), place + 0.3, text, side, colour)


def _inside(left: float, right: float, before: str, after: str) -> tuple[float, float]:
    """Where two texts stand, one ending at `left`, one beginning at `right`, so that neither leaves the line's room
    (-0.2 to 1.2) nor lies on the other."""
    right = min(right, 1.2 - LETTER * len(after))
    left = min(left, right - 0.02)
    short = -0.2 + LETTER * len(before) - left
    return (left + short, max(right, left + short + 0.02)) if short > 0 else (left, right)


def _note(axes: Axes, x: float, y: float, text: str, side: str, colour: str = SOFT) -> None:
    """Text at a point, which `side` of the text touches; however long, it does not shrink the axes."""
    axes.text(x, y, text, ha=side, va="center", color=colour).set_in_layout(False)


def _axes(figure: Figure, cell: Any = 111) -> Axes:
    axes = figure.add_subplot(cell)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(RULE)
    axes.tick_params(length=0, colors=SOFT)
    axes.tick_params(axis="y", labelcolor=INK)
    return axes


def _evenly(size: int, most: int) -> np.ndarray:
    """At most `most` positions out of `size`, evenly spread."""
    return np.unique(np.linspace(0, size - 1, min(size, most)).round().astype(int)) if size else np.empty(0, int)


def _cut(text: object, most: int = MAX_NAME) -> str:
    plain = clean(text)
    return plain if len(plain) <= most else plain[: most - 1] + "…"


def _name(scored: Scored, name: str) -> str:
    """The label of a feature on at most two lines."""
    lines = textwrap.wrap(clean(scored.task.once(Labels).of[name]), MAX_NAME) or [""]
    return "\n".join([lines[0], _cut(" ".join(lines[1:]))] if len(lines) > 1 else lines)


def _line(names: Sequence[str]) -> float:
    """The height of a line of a figure whose lines have these names, in inches."""
    return 0.36 if any("\n" in name for name in names) else 0.27


def _percent(share: float) -> str:
    """A share in per cent; one that is there is never 0."""
    return f"{share:.0f} %" if share >= 1 else "< 1 %"


def _value(feature: Feature, code: float, unit: bool = False) -> str:
    """An encoded value as people read it."""
    value = code if feature.numeric or np.isnan(code) else feature.levels[int(code)]
    return _cut(feature.format(value, unit=unit))
