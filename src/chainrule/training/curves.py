"""Line charts as SVG text, so that a picture of the training is possible wherever chainrule is.

It draws curves over whole-numbered x and nothing else; `History.plot` makes figures for print.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TypeGuard

# Okabe & Ito's blue and vermilion: told apart by colour-blind readers and in grey.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
PANEL_WIDTH, PANEL_HEIGHT = 440, 300
LEFT, RIGHT, TOP, BOTTOM = 62, 16, 34, 46


@dataclass(frozen=True)
class CurvePanel:
    """One set of axes: curves over the same x, None where a curve has no value."""

    title: str
    x: Sequence[int]
    curves: Mapping[str, Sequence[float | None]]
    percent: bool = False
    ticks: Mapping[int, str] | None = None  # of x; None: whole numbers


def nice_ticks(low: float, high: float, most: int = 6, *, whole: bool = False) -> list[float]:
    """At most `most` numbers that span low .. high, 1, 2 or 5 times a power of ten apart."""
    if not high > low:
        pad = 0.5 if whole else max(abs(low), 1e-12) * 0.1
        low, high = low - pad, high + pad
    magnitude = math.floor(math.log10((high - low) / (most - 1)))
    steps = [factor * 10.0**exponent for exponent in range(magnitude, magnitude + 3) for factor in (1, 2, 5)]
    for step in steps:
        if whole and step < 1:
            continue
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        if last - first + 1 <= most:
            return [
                round(index * step, 12 - math.floor(math.log10(step))) for index in range(first, last + 1)
            ]
    raise AssertionError("a step of one to two decades above the span always fits")


def epoch_ticks(first: int, last: int) -> list[int]:
    """Whole numbers from first to last, the last among them; the one before it leaves it room."""
    if last == first:
        return [last]
    ticks = nice_ticks(first, last, 8, whole=True)
    apart = ticks[1] - ticks[0]
    return [*(int(tick) for tick in ticks if first <= tick <= last - apart / 2), last]


def tick_label(value: float, step: float, *, percent: bool = False) -> str:
    """The tick's text, with the decimals that the distance between ticks needs."""
    if percent:
        value, step = 100 * value, 100 * step
    if value and not 1e-4 <= abs(value) < 1e6:
        return f"{value:.3g}"
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{value:.{decimals}f}{' %' if percent else ''}"


def draw_panels(panels: Sequence[CurvePanel], *, x_label: str) -> str:
    """An SVG document with the panels side by side."""
    width, height = PANEL_WIDTH * max(len(panels), 1), PANEL_HEIGHT
    titles = " and ".join(panel.title for panel in panels) or "no curves"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" '
        'font-family="Helvetica, Arial, DejaVu Sans, sans-serif" font-size="12" role="img">',
        f"<title>{escape(titles)} by {escape(x_label)}</title>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    if not panels:
        parts.append(f'<text x="{width / 2}" y="{height / 2}" text-anchor="middle">no epoch finished</text>')
    for index, panel in enumerate(panels):
        parts += [f'<g transform="translate({index * PANEL_WIDTH} 0)">', *_panel(panel, x_label), "</g>"]
    return "\n".join([*parts, "</svg>"]) + "\n"


@dataclass(frozen=True)
class _Axes:
    """The two scales of a panel: the outer y ticks bound the values, x runs exactly from end to end."""

    x_low: float
    x_high: float
    y_ticks: Sequence[float]

    @classmethod
    def around(cls, panel: CurvePanel) -> _Axes:
        values = [v for curve in panel.curves.values() for v in curve if _drawn(v)]
        pad = 0.5 if len(panel.x) == 1 else 0.0
        y_ticks = nice_ticks(min(values, default=0.0), max(values, default=1.0))
        return cls(min(panel.x) - pad, max(panel.x) + pad, y_ticks)

    def x_at(self, x: float) -> float:
        return LEFT + (x - self.x_low) / (self.x_high - self.x_low) * (PANEL_WIDTH - LEFT - RIGHT)

    def y_at(self, y: float) -> float:
        bottom, top = self.y_ticks[0], self.y_ticks[-1]
        return PANEL_HEIGHT - BOTTOM - (y - bottom) / (top - bottom) * (PANEL_HEIGHT - TOP - BOTTOM)


def _panel(panel: CurvePanel, x_label: str) -> list[str]:
    axes = _Axes.around(panel)
    parts = [*_frame(panel, axes), *_labels(panel, x_label)]
    for index, (label, curve) in enumerate(panel.curves.items()):
        colour = COLOURS[index % len(COLOURS)]
        points = [(axes.x_at(x), axes.y_at(y)) for x, y in zip(panel.x, curve, strict=True) if _drawn(y)]
        parts += _curve(points, colour)
        parts += _legend_entry(label, colour, index - len(panel.curves))
    return parts


def _frame(panel: CurvePanel, axes: _Axes) -> list[str]:
    """Grid lines and tick labels, then the two axes."""
    left, right, bottom = LEFT, PANEL_WIDTH - RIGHT, PANEL_HEIGHT - BOTTOM
    step = axes.y_ticks[1] - axes.y_ticks[0]
    parts = []
    for tick in axes.y_ticks:
        y = axes.y_at(tick)
        text = tick_label(tick, step, percent=panel.percent)
        parts.append(f'<path d="M{left} {y:.1f}H{right}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 7}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    ticks = panel.ticks
    if ticks is None:
        ticks = {epoch: str(epoch) for epoch in epoch_ticks(min(panel.x), max(panel.x))}
    for at, label in ticks.items():
        x = axes.x_at(at)
        parts.append(f'<path d="M{x:.1f} {bottom}v5" stroke="#333"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{label}</text>')
    parts.append(f'<path d="M{left} {TOP}V{bottom}H{right}" fill="none" stroke="#333"/>')
    return parts


def _labels(panel: CurvePanel, x_label: str) -> list[str]:
    middle = (LEFT + PANEL_WIDTH - RIGHT) / 2
    return [
        f'<text x="{LEFT}" y="{TOP - 14}" font-weight="bold">{escape(panel.title)}</text>',
        f'<text x="{middle}" y="{PANEL_HEIGHT - 8}" text-anchor="middle">{escape(x_label)}</text>',
    ]


def _curve(points: Sequence[tuple[float, float]], colour: str) -> list[str]:
    if len(points) == 1:
        return [f'<circle cx="{points[0][0]:.1f}" cy="{points[0][1]:.1f}" r="3.5" fill="{colour}"/>']
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return [
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-linejoin="round"/>'
    ]


def _legend_entry(label: str, colour: str, slot: int) -> list[str]:
    """Above the axes, from the right: slot -1 is the last entry. 100 pixels hold "validation"."""
    x, y = PANEL_WIDTH - RIGHT + 100 * slot + 6, TOP - 18
    return [
        f'<path d="M{x} {y}h22" stroke="{colour}" stroke-width="2"/>',
        f'<text x="{x + 28}" y="{y + 4}">{escape(label)}</text>',
    ]


def _drawn(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)
