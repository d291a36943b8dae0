"""The drawings of the report, each a pure function from numbers to one SVG element."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup

from grandrounds.report import svg
from grandrounds.report.palette import Look
from grandrounds.report.ranked import Difference, Score
from grandrounds.report.rounding import UNDEFINED, amount, interval, known, share
from grandrounds.report.svg import Axis, Point

STRIP_PX = 150.0  # width of the small plot inside a table row
PANEL_PX = 300.0  # width of one panel of a figure; a phone shows it unscaled
_ROW_PX = 22.0


class Curve(NamedTuple):
    """One line of a panel with its band.

    Args:
        name: Whose it is.
        look: How it is drawn.
        points: x, y, low, high in the order of x.
    """

    name: str
    look: Look
    points: Sequence[tuple[float, float | None, float | None, float | None]]


class Run(NamedTuple):
    """What one trial did epoch by epoch: training loss, valid metric, and the epoch that was kept."""

    losses: Sequence[tuple[float, float | None]]
    metrics: Sequence[tuple[float, float | None]]
    best_epoch: int | None


def text(x: float, y: float, words: str, style: str = "tick", anchor: str = "start") -> Markup:
    """Return a piece of text."""
    return svg.tag("text", words, x=x, y=y, class_=style, text_anchor=anchor)


def rule(x1: float, y1: float, x2: float, y2: float, style: str = "grid") -> Markup:
    """Return a straight line."""
    return svg.tag("path", d=svg.path([(x1, y1), (x2, y2)]), class_=style)


def strip_axis(values: Iterable[float | None], least: float = 0.02) -> Axis:
    """Return the axis that all rows of a table share."""
    return svg.around(values, 8.0, STRIP_PX - 8.0, least=least)


def strip_scale(axis: Axis) -> Markup:
    """Return the axis' numbers, for the head of the column; the cells repeat them as text."""
    labels = [text(axis(tick), 12.0, svg.tick_text(tick), anchor="middle") for tick in axis.ticks()]
    return svg.tag("svg", *labels, width=STRIP_PX, height=16, aria_hidden="true", class_="strip")


def strip(score: Score | Difference, axis: Axis, look: Look, *, zero: bool = False, margin: float = 0.0) -> Markup:
    """Return a dot with its interval, for one row; with a line at zero and the margin around it where asked."""
    estimate, low, high = score[:3]
    label = f"{share(estimate)} ({interval(low, high)})" if known(low) else share(estimate)
    parts = [rule(axis(tick), 0.0, axis(tick), _ROW_PX) for tick in axis.ticks()]
    if margin:
        left, right = axis(-margin), axis(margin)
        parts.insert(0, svg.tag("rect", x=left, y=0.0, width=right - left, height=_ROW_PX, class_="margin"))
    if zero:
        parts.append(rule(axis(0.0), 0.0, axis(0.0), _ROW_PX, "zero"))
    middle = _ROW_PX / 2
    if low is not None and high is not None and known(low) and known(high):
        parts.append(rule(axis(low), middle, axis(high), middle, f"whisker {look.colour}"))
    if estimate is not None and known(estimate):
        parts.append(look.point(axis(estimate), middle, 4.5))
    return svg.drawing(STRIP_PX, _ROW_PX, label, parts, "strip")


def bars(title: str, rows: Sequence[tuple[str, Score, Look]], x_label: str) -> Markup:
    """Return a panel with one bar a family, from 0 to 1, with its interval."""
    axis = Axis(0.0, 1.0, 112.0, PANEL_PX - 42)
    top, bottom = 28.0, 28.0 + 20.0 * len(rows)
    parts = [text(0.0, 14.0, _cut(title, 40), "panel-title"), *_x_ticks(axis, top - 4, bottom, [0, 0.25, 0.5, 0.75, 1])]
    for index, (name, score, look) in enumerate(rows):
        middle = top + 20.0 * index + 9.0
        parts.append(_row_name(name, middle))
        if score.estimate is None or not known(score.estimate):
            parts.append(text(axis.start_px + 4, middle + 4, UNDEFINED, "tick undefined"))
            continue
        width = axis(score.estimate) - axis.start_px
        parts.append(
            svg.tag("rect", x=axis.start_px, y=middle - 7, width=width, height=14, class_=f"bar {look.colour}")
        )
        if score.low is not None and score.high is not None:
            parts.append(_whisker(axis(score.low), axis(score.high), middle))
        parts.append(text(PANEL_PX - 2, middle + 4, share(score.estimate, 2), anchor="end"))
    parts.append(text((axis.start_px + axis.end_px) / 2, bottom + 31, x_label, anchor="middle"))
    told = "; ".join(f"{name} {share(score.estimate, 2)}" for name, score, _ in rows)
    return svg.drawing(PANEL_PX, bottom + 36, f"{title}, {x_label}: {told}", parts, "panel")


def roc(title: str, curves: Sequence[Curve]) -> Markup:
    """Return a ROC panel: one line a family, thin bands, and the diagonal of chance."""
    x, y = Axis(0.0, 1.0, 42.0, PANEL_PX - 8), Axis(0.0, 1.0, 268.0, 28.0)
    parts = _square(title, x, y, "1 − specificity", "sensitivity")
    parts += [_band(curve, x, y) for curve in curves]
    parts += [mark for curve in curves for mark in _line(curve, x, y)]
    names = ", ".join(curve.name for curve in curves)
    return svg.drawing(PANEL_PX, 304, f"ROC curves of {names}: {title}", parts, "panel")


def precision_recall(title: str, curves: Sequence[Curve]) -> Markup:
    """Return a panel of precision against recall: one line a family, thin bands."""
    x, y = Axis(0.0, 1.0, 42.0, PANEL_PX - 8), Axis(0.0, 1.0, 268.0, 28.0)
    parts = _square(title, x, y, "recall", "precision", diagonal=False)
    parts += [_band(curve, x, y) for curve in curves]
    parts += [mark for curve in curves for mark in _line(curve, x, y)]
    names = ", ".join(curve.name for curve in curves)
    return svg.drawing(PANEL_PX, 304, f"Precision-recall curves of {names}: {title}", parts, "panel")


def net_benefit(title: str, curves: Sequence[Curve], everybody: Curve | None) -> Markup:
    """Return a decision curve: net benefit against the threshold, with deciding so for everybody and for nobody."""
    top = max(
        [value for curve in curves for _, value, *_ in curve.points if value is not None and known(value)] + [0.05]
    )
    x, y = Axis(0.0, 1.0, 42.0, PANEL_PX - 8), Axis(-0.25 * top, 1.1 * top, 268.0, 28.0)
    parts = [text(0.0, 14.0, _cut(title, 40), "panel-title"), *_x_ticks(x, 28.0, 268.0, [0, 0.25, 0.5, 0.75, 1])]
    parts += [*_y_ticks(y, x), rule(x(0.0), y(0.0), x(1.0), y(0.0), "zero")]
    if everybody is not None:
        above = [(x(at), y(value)) for at, value, *_ in everybody.points if value is not None and y.holds(value)]
        parts.append(_polyline(above, "chance everybody"))
        parts += [text(at + 4, height - 2, "everybody") for at, height in above[-1:]]
    inside = [curve._replace(points=[row for row in curve.points if row[1] is not None and y.holds(row[1])])
              for curve in curves]  # fmt: skip
    parts += [mark for curve in inside for mark in _line(curve, x, y)]
    parts += [
        text((x.start_px + x.end_px) / 2, 299.0, "threshold probability", anchor="middle"),
        _turned("net benefit", y),
    ]
    names = ", ".join(curve.name for curve in curves)
    return svg.drawing(PANEL_PX, 304, f"Decision curves of {names}: {title}", parts, "panel")


def price_and_value(
    rows: Sequence[tuple[str, float, Score, Look]], front: Sequence[str], x_label: str, y_label: str
) -> Markup:
    """Return a plot of what families cost, on a logarithmic axis, against what they reach, with the best for a price.

    Args:
        rows: Family, its cost above 0, its value, its look.
        front: The families that no cheaper one reaches, cheapest first.
        x_label: The cost with its unit.
        y_label: The value.
    """
    width, left, right, top, bottom = 440.0, 46.0, 426.0, 22.0, 268.0
    logs = [math.log10(cost) for _, cost, *_ in rows]
    x = Axis(math.floor(min(logs)), max(math.ceil(max(logs)), math.floor(min(logs)) + 1), left, right)
    y = svg.around((end for _, _, score, _ in rows for end in score[:3]), bottom, top)
    powers = range(round(x.low), round(x.high) + 1)
    parts = [rule(x(power), top, x(power), bottom) for power in powers]
    parts += [text(x(power), bottom + 15, f"{10.0**power:g}", anchor="middle") for power in powers]
    parts += _y_ticks(y, x)
    places = {name: (x(math.log10(cost)), y(score.estimate or 0.0)) for name, cost, score, _ in rows}
    parts.append(_polyline([places[name] for name in front], "chance everybody"))
    for name, _, score, look in rows:
        at, height = places[name]
        if score.low is not None and score.high is not None:
            parts.append(rule(at, y(score.low), at, y(score.high), f"whisker {look.colour}"))
        parts.append(look.point(at, height, 5.0))
    parts += _beside(places, right)
    parts.append(text((left + right) / 2, bottom + 32, x_label, anchor="middle"))
    parts.append(text(0.0, 12.0, y_label))
    told = "; ".join(f"{name} {amount(cost)}, {share(score.estimate)}" for name, cost, score, _ in rows)
    return svg.drawing(width, bottom + 38, f"{x_label} and {y_label}: {told}", parts, "panel broad")


def _beside(places: Mapping[str, tuple[float, float]], right: float) -> list[Markup]:
    """Return names beside their points, each at the first height at which it covers no other."""
    drawn, taken = list[Markup](), list[tuple[float, float, float]]()
    for name, (at, height) in sorted(places.items(), key=lambda one: one[1][1]):
        words = _cut(name, 24)
        wide, near_end = 6.4 * len(words), at > right - 90.0
        start = at - 9 - wide if near_end else at + 9

        def free(y: float, start: float = start, end: float = start + wide) -> bool:
            return all(abs(y - other) > 12 or end < low or start > high for low, high, other in taken)

        y = next((height + step for step in (-7, 15, -20, 28, -33, 41) if free(height + step)), height - 7)
        taken.append((start, start + wide, y))
        drawn.append(text(at - 9 if near_end else at + 9, y, words, anchor="end" if near_end else "start"))
    return drawn


def calibration(curve: Curve) -> Markup:
    """Return a reliability panel of one family: observed share against stated probability."""
    x, y = Axis(0.0, 1.0, 42.0, PANEL_PX - 8), Axis(0.0, 1.0, 268.0, 28.0)
    parts = _square(curve.name, x, y, "stated probability", "observed share")
    for stated, observed, low, high in curve.points:
        if observed is None or not known(observed):
            continue
        if low is not None and high is not None and known(low) and known(high):
            parts.append(rule(x(stated), y(low), x(stated), y(high), f"whisker {curve.look.colour}"))
        parts.append(curve.look.point(x(stated), y(observed)))
    parts += _line(curve._replace(look=Look(curve.look.colour, curve.look.marker, None)), x, y)
    pairs = ", ".join(f"{stated:.2f} stated {share(observed, 2)} observed" for stated, observed, *_ in curve.points)
    return svg.drawing(PANEL_PX, 304, f"Calibration of {curve.name}: {pairs}", parts, "panel")


def learning(name: str, look: Look, runs: Sequence[Run], metric: str) -> Markup:
    """Return a panel of one family: training loss above, the valid metric below, one thin line a trial."""
    last = max(epoch for run in runs for epoch, _ in run.losses)
    x = Axis(1.0, max(last, 2.0), 42.0, PANEL_PX - 8)
    loss = svg.around((value for run in runs for _, value in run.losses), 122.0, 38.0, least=1e-3)
    valid = svg.around((value for run in runs for _, value in run.metrics), 250.0, 160.0, least=0.02)
    parts = [text(0.0, 14.0, _cut(name, 40), "panel-title")]
    parts += [*_y_ticks(loss, x), *_y_ticks(valid, x), text(x.start_px, 33.0, "training loss")]
    parts.append(text(x.start_px, 155.0, f"{metric} on valid"))
    parts += [text(x(tick), 266.0, svg.tick_text(tick), anchor="middle") for tick in _whole(x.ticks(6))]
    parts.append(text((x.start_px + x.end_px) / 2, 282.0, "epoch", anchor="middle"))
    for run in runs:
        for points, axis in ((run.losses, loss), (run.metrics, valid)):
            parts += [_polyline([(x(a), axis(b)) for a, b in part], f"thin {look.colour}") for part in svg.runs(points)]
        kept = dict(run.metrics).get(float(run.best_epoch or 0))
        if run.best_epoch and kept is not None and known(kept):
            parts.append(look.point(x(float(run.best_epoch)), valid(kept)))
    kept_epochs = ", ".join(str(run.best_epoch) for run in runs if run.best_epoch)
    label = f"Learning curves of {name}: {len(runs)} trials, {last:.0f} epochs at most; kept epochs {kept_epochs}"
    return svg.drawing(PANEL_PX, 288, label, parts, "panel")


def by_patients(curves: Sequence[Curve], y_label: str) -> Markup:
    """Return one line a family, with its band, against the number of training patients."""
    width, left, right, top, bottom = 440.0, 46.0, 426.0, 22.0, 268.0
    x = Axis(0.0, max(at for curve in curves for at, *_ in curve.points) * 1.05, left, right)
    y = svg.around((end for curve in curves for _, *ends in curve.points for end in ends), bottom, top)
    parts = [*_x_ticks(x, top, bottom, x.ticks(6)), *_y_ticks(y, x)]
    parts += [_band(curve, x, y) for curve in curves]
    for curve in curves:
        parts += _line(curve, x, y)
        parts += [curve.look.point(x(at), y(value)) for at, value, *_ in curve.points if value is not None]
    parts.append(text((left + right) / 2, bottom + 32, "patients in training", anchor="middle"))
    parts.append(text(0.0, 12.0, y_label))
    last = "; ".join(f"{one.name} {share(one.points[0][1])} to {share(one.points[-1][1])}" for one in curves)
    return svg.drawing(width, bottom + 38, f"{y_label} by patients in training: {last}", parts, "panel broad")


def _square(title: str, x: Axis, y: Axis, x_label: str, y_label: str, *, diagonal: bool = True) -> list[Markup]:
    """Return title, grid, axis labels and perhaps the diagonal of a unit square."""
    ticks = [0, 0.25, 0.5, 0.75, 1]
    return [
        text(0.0, 14.0, _cut(title, 40), "panel-title"),
        *_x_ticks(x, y.end_px, y.start_px, ticks),
        *_y_ticks(y, x, ticks),
        *([rule(x(0.0), y(0.0), x(1.0), y(1.0), "chance")] if diagonal else []),
        text((x.start_px + x.end_px) / 2, y.start_px + 31, x_label, anchor="middle"),
        _turned(y_label, y),
    ]


def _turned(label: str, axis: Axis) -> Markup:
    """Return what is on an upright axis, turned to read along it."""
    middle, turn = (axis.start_px + axis.end_px) / 2, "rotate(-90 10 {:.0f})"
    return svg.tag("text", label, x=10.0, y=middle, class_="tick", text_anchor="middle", transform=turn.format(middle))


def _x_ticks(axis: Axis, top: float, bottom: float, ticks: Sequence[float]) -> list[Markup]:
    lines = [rule(axis(tick), top, axis(tick), bottom) for tick in ticks]
    return lines + [text(axis(tick), bottom + 15, svg.tick_text(tick), anchor="middle") for tick in ticks]


def _y_ticks(axis: Axis, across: Axis, ticks: Sequence[float] | None = None) -> list[Markup]:
    ticks = axis.ticks(6) if ticks is None else ticks
    lines = [rule(across.start_px, axis(tick), across.end_px, axis(tick)) for tick in ticks]
    return lines + [text(across.start_px - 5, axis(tick) + 4, svg.tick_text(tick), anchor="end") for tick in ticks]


def _polyline(points: Sequence[Point], style: str, dash: str | None = None) -> Markup:
    return svg.tag("path", d=svg.path(points), class_=style, stroke_dasharray=dash)


def _line(curve: Curve, x: Axis, y: Axis) -> list[Markup]:
    stretches = svg.runs((at, value) for at, value, *_ in curve.points)
    style, dash = f"line {curve.look.colour}", curve.look.dash
    return [_polyline([(x(a), y(b)) for a, b in stretch], style, dash) for stretch in stretches]


def _band(curve: Curve, x: Axis, y: Axis) -> Markup:
    inside = [(x(at), low, high) for at, _, low, high in curve.points if low is not None and high is not None]
    upper = [(at, y(high)) for at, _, high in inside]
    lower = [(at, y(low)) for at, low, _ in reversed(inside)]
    return svg.tag("path", d=svg.path(upper + lower, closed=True), class_=f"band {curve.look.colour}")


def _whisker(left: float, right: float, middle: float) -> Markup:
    ends = f"M{left:.1f},{middle:.1f} {right:.1f},{middle:.1f}"
    caps = f"M{left:.1f},{middle - 3:.1f}v6M{right:.1f},{middle - 3:.1f}v6"
    return svg.tag("path", d=ends + caps, class_="error")


def _row_name(name: str, middle: float) -> Markup:
    return svg.tag(
        "text", _cut(name, 16), svg.tag("title", name), x=106.0, y=middle + 4, class_="tick", text_anchor="end"
    )


def _cut(words: str, length: int) -> str:
    return words if len(words) <= length else f"{words[: length - 1]}…"


def _whole(ticks: Iterable[float]) -> list[float]:
    return [tick for tick in ticks if tick.is_integer()]
