"""Small pictures as SVG: colours come from the page's style sheet by class, so that light and dark both read."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, pi, sin

import numpy as np
from markupsafe import Markup, escape

from sensecf.core.rules import Floats
from sensecf.web.cohort import Column
from sensecf.web.trust import Bin

#: Size of a feature's strip in units of its drawing.
WIDTH, HEIGHT = 220, 44


def _x(column: Column, value: float) -> float:
    share = (value - column.low) / max(column.high - column.low, 1e-12)
    return round(6 + (WIDTH - 12) * float(np.clip(share, 0, 1)), 1)


def strip(column: Column, value: float, after: float | None = None) -> Markup:
    """Where a value lies: the cohort as a grey area, the target class as a line, the normal range as a bar below,
    the person as a mark, and an arrow to `after` where a plan moves it. Hidden from screen readers: the numbers
    stand beside it."""
    parts = [f'<svg class="strip" viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true" focusable="false">']
    floor = HEIGHT - 10
    if column.feature.numeric:
        if column.normal is not None:
            low, high = (_x(column, end) for end in column.normal)
            parts.append(
                f'<rect class="normal" x="{low}" y="{floor + 3}" width="{max(high - low, 2):.1f}" height="4" rx="2"/>'
            )
        top = max(float(column.everyone.max(initial=0)), float(column.target.max(initial=0)), 1e-9)
        parts.append(f'<path class="everyone" d="{_area(column.everyone / top, floor)}"/>')
        parts.append(f'<path class="wanted" d="{_line(column.target / top, floor)}"/>')
    else:
        shares, top = column.everyone, max(float(column.everyone.max(initial=0)), 1e-9)
        wide = (WIDTH - 12) / len(shares)
        for k, share in enumerate(shares[:40]):
            tall = max(float(share) / top * (floor - 6), 1)
            mine = " mine" if not np.isnan(value) and k == int(value) else ""
            parts.append(
                f'<rect class="level{mine}" x="{6 + wide * k + wide * 0.12:.1f}" y="{floor - tall:.1f}" '
                f'width="{wide * 0.76:.1f}" height="{tall:.1f}" rx="1.5"/>'
            )
    parts.append(f'<path class="axis" d="M6 {floor}H{WIDTH - 6}"/>')
    if column.feature.numeric and not np.isnan(value):
        x = _x(column, value)
        if after is not None:
            y = _x(column, after)
            parts.append(
                f'<path class="move" d="M{x} {floor}H{y}"/><circle class="after" cx="{y}" cy="{floor}" r="5.5"/>'
            )
            parts.append(f'<circle class="before" cx="{x}" cy="{floor}" r="4.5"/>')
        else:
            parts.append(f'<path class="mark" d="M{x} 4V{floor}"/><circle class="after" cx="{x}" cy="{floor}" r="5"/>')
    return Markup("".join([*parts, "</svg>"]))


def _points(shares: Floats, floor: int) -> list[str]:
    # The bars smoothed a little: a shape is read faster than a comb.
    smooth = np.convolve(np.pad(shares, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")
    xs = 6 + (WIDTH - 12) * (np.arange(len(smooth)) + 0.5) / len(smooth)
    return [
        f"{x:.1f} {floor - 4 - y * (floor - 10):.1f}" if y > 0.004 else f"{x:.1f} {floor}"
        for x, y in zip(xs, smooth, strict=True)
    ]


def _area(shares: Floats, floor: int) -> str:
    return f"M6 {floor}L{'L'.join(_points(shares, floor))}L{WIDTH - 6} {floor}Z"


def _line(shares: Floats, floor: int) -> str:
    return f"M{'L'.join(_points(shares, floor))}"


def calibration(
    bins: Sequence[Bin], mark: float | None = None, before: float | None = None, small: bool = False
) -> Markup:
    """What probabilities have been worth: for each range of what the classifier said, the share that truly was so with
    its interval, against the diagonal; a dot for `mark`, and an arrow to it from `before`. Hidden from screen readers:
    the numbers stand beside it."""
    if not bins:
        return Markup("")
    wide, tall = (150, 46) if small else (260, 96)
    left, right, top, floor = 6, wide - 6, 5, tall - 9

    def at(share: float) -> str:
        return f"{left + (right - left) * min(max(share, 0.0), 1.0):.1f}"

    def level(share: float) -> str:
        return f"{floor - (floor - top) * min(max(share, 0.0), 1.0):.1f}"

    parts = [f'<svg class="calibration" viewBox="0 0 {wide} {tall}" aria-hidden="true" focusable="false">']
    parts.append(
        f'<path class="axis" d="M{left} {floor}H{right}"/><path class="ring" d="M{left} {floor}L{right} {top}"/>'
    )
    most = max(b.rows for b in bins)
    for b in bins:
        if b.true_low == b.true_low and b.true_high == b.true_high:
            parts.append(f'<path class="band" d="M{at(b.said)} {level(b.true_low)}V{level(b.true_high)}"/>')
        size = (1.6 if small else 2.2) + (1.6 if small else 2.8) * (b.rows / most) ** 0.5
        parts.append(f'<circle class="seen" cx="{at(b.said)}" cy="{level(b.true)}" r="{size:.1f}"/>')
    if before is not None and mark is not None:
        parts.append(f'<path class="move" d="M{at(before)} {floor}H{at(mark)}"/>')
        parts.append(f'<circle class="before" cx="{at(before)}" cy="{floor}" r="3.5"/>')
    if mark is not None:
        parts.append(f'<circle class="after" cx="{at(mark)}" cy="{floor}" r="{4.2 if small else 5}"/>')
    return Markup("".join([*parts, "</svg>"]))


def day_bar(share: float, away: bool) -> Markup:
    """One day of a strip: a bar as high as the probability that is shown. Hidden from screen readers."""
    tall = max(2.0, 28 * min(max(share, 0.0), 1.0))
    return Markup(
        '<svg class="daybar" viewBox="0 0 12 30" aria-hidden="true" focusable="false"><rect class="track" width="12" '
        f'height="30" rx="2"/><rect class="{"away" if away else "there"}" y="{30 - tall:.1f}" width="12" '
        f'height="{tall:.1f}" rx="2"/></svg>'
    )


def days_strip(shares: Sequence[float], away: Sequence[bool]) -> Markup:
    """The days of a person in a row, oldest first: bars as high as the probability that is shown. Hidden from screen
    readers: the numbers stand beside it."""
    wide = 7
    parts = [
        f'<svg class="days-strip" viewBox="0 0 {max(len(shares), 10) * wide} 22" aria-hidden="true" focusable="false">'
    ]
    for k, (share, out) in enumerate(zip(shares, away, strict=True)):
        tall = max(1.5, 20 * min(max(share, 0.0), 1.0))
        kind = "away" if out else "there"
        parts.append(f'<rect class="{kind}" x="{k * wide}" y="{22 - tall:.1f}" width="5" height="{tall:.1f}" rx="1"/>')
    return Markup("".join([*parts, "</svg>"]))


def bars(rows: Sequence[tuple[str, Sequence[float]]]) -> Markup:
    """Shares (0 to 1) of several groups side by side, one block per row. Hidden from screen readers: a table
    stands beside it."""
    tall = 12 * max((len(shares) for _, shares in rows), default=0) + 14
    parts = [f'<svg class="bars" viewBox="0 0 560 {tall * len(rows) + 4}" aria-hidden="true" focusable="false">']
    for row, (label, shares) in enumerate(rows):
        top = row * tall + 4
        parts.append(
            f'<text class="name" x="184" y="{top + (tall - 14) / 2 + 4:.0f}" text-anchor="end">'
            f"{escape(_cut(label, 28))}</text>"
        )
        for k, share in enumerate(shares):
            y = top + 12 * k
            parts.append(f'<rect class="track" x="194" y="{y + 1}" width="310" height="9" rx="2"/>')
            parts.append(
                f'<rect class="series-{k % 6}" x="194" y="{y + 1}" width="{310 * share:.1f}" height="9" rx="2"/>'
            )
            parts.append(f'<text class="figure" x="512" y="{y + 9}">{100 * share:.0f} %</text>')
    return Markup("".join([*parts, "</svg>"]))


def radar(axes: Sequence[str], groups: Sequence[Sequence[float]]) -> Markup:
    """Shares (0 to 1) of several groups on a circle of axes. Hidden from screen readers: a table stands beside it."""
    count, centre, radius = len(axes), (260.0, 170.0), 118.0
    top = max([0.25, *(share for group in groups for share in group)])

    def point(k: int, share: float) -> tuple[float, float]:
        angle = 2 * pi * k / count - pi / 2
        return centre[0] + radius * share * cos(angle), centre[1] + radius * share * sin(angle)

    parts = ['<svg class="radar" viewBox="0 0 520 340" aria-hidden="true" focusable="false">']
    for ring in (0.25, 0.5, 0.75, 1.0):
        corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in (point(k, ring) for k in range(count)))
        parts.append(f'<polygon class="ring" points="{corners}"/>')
    for k, name in enumerate(axes):
        x, y = point(k, 1.0)
        parts.append(f'<path class="axis" d="M{centre[0]} {centre[1]}L{x:.1f} {y:.1f}"/>')
        x, y = point(k, 1.1)
        anchor = "middle" if abs(x - centre[0]) < 12 else "start" if x > centre[0] else "end"
        parts.append(
            f'<text class="name" x="{x:.1f}" y="{y + 4:.1f}" text-anchor="{anchor}">{escape(_cut(name, 20))}</text>'
        )
    for number, group in enumerate(groups):
        corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in (point(k, share / top) for k, share in enumerate(group)))
        parts.append(f'<polygon class="area-{number % 6}" points="{corners}"/>')
    parts.append(
        f'<text class="figure" x="{centre[0] + 5}" y="{centre[1] - radius + 12:.0f}">{100 * top:.0f} %</text></svg>'
    )
    return Markup("".join(parts))


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"
