"""Pictures as SVG text, written by hand: lines or steps over an axis, and groups of bars."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

_WIDTH: Final = 760
_HEIGHT: Final = 360
_LEFT: Final = 64
_RIGHT: Final = 24
_TOP: Final = 64
_BOTTOM: Final = 52
_COLOURS: Final = ("#0b6bcb", "#d9730d", "#3d8b40", "#8a4fbf", "#555555")
_TICKS: Final = 6


@dataclass(frozen=True, slots=True)
class Series:
    """Named points ``(x, y)``; with ``steps`` a value holds until the next point."""

    name: str
    points: Sequence[tuple[float, float]]
    steps: bool = False


@dataclass(frozen=True, slots=True)
class Axis:
    """What an axis tells, with its unit."""

    label: str
    largest: float

    def scale(self, value: float, length: float) -> float:
        """Return how far along ``length`` a value lies."""
        return value / self.largest * length if self.largest else 0.0


def draw_lines(title: str, x: str, y: str, series: Sequence[Series]) -> str:
    """Return a picture of ``series``; both axes begin at zero."""
    points = [point for one in series for point in one.points]
    across = Axis(x, max((px for px, _ in points), default=1.0))
    up = Axis(y, _round_up(max((py for _, py in points), default=1.0)))
    parts = [*_draw_frame(title, up, x), *_draw_legend([one.name for one in series])]
    parts += [
        _write(_place_x(across, value), _HEIGHT - _BOTTOM + 18, _show(value))
        for value in _find_ticks(across.largest)
    ]
    for one, colour in zip(series, _COLOURS, strict=False):
        places = [(_place_x(across, px), _place_y(up, py)) for px, py in _bend(one)]
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in places)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
        )
    return _wrap(parts)


def draw_bars(title: str, y: str, groups: Sequence[str], series: Sequence[Series]) -> str:
    """Return a picture of bars: the points of each series are ``(group's number, value)``."""
    up = Axis(y, _round_up(max((py for one in series for _, py in one.points), default=1.0)))
    parts = [*_draw_frame(title, up, ""), *_draw_legend([one.name for one in series])]
    room = (_WIDTH - _LEFT - _RIGHT) / len(groups)
    width = room * 0.8 / len(series)
    for number, group in enumerate(groups):
        parts.append(_write(_LEFT + (number + 0.5) * room, _HEIGHT - _BOTTOM + 18, group))
    for place, (one, colour) in enumerate(zip(series, _COLOURS, strict=False)):
        for group_number, value in one.points:
            left = _LEFT + (group_number + 0.1) * room + place * width
            top = _place_y(up, value)
            parts.append(
                f'<rect x="{left:.1f}" y="{top:.1f}" width="{width - 2:.1f}"'
                f' height="{_HEIGHT - _BOTTOM - top:.1f}" fill="{colour}"/>'
            )
            parts.append(_write(left + width / 2, top - 4, _show(value)))
    return _wrap(parts)


def make_distribution(name: str, values: Sequence[float]) -> Series:
    """Return the share of ``values`` that lie below each value, in percent."""
    ordered = sorted(values)
    points = [(value, (rank + 1) / len(ordered) * 100) for rank, value in enumerate(ordered)]
    return Series(name, [(0.0, 0.0), *points], steps=True)


def _bend(series: Series) -> list[tuple[float, float]]:
    if not series.steps:
        return list(series.points)
    bent: list[tuple[float, float]] = []
    for x, y in series.points:
        if bent:
            bent.append((x, bent[-1][1]))
        bent.append((x, y))
    return bent


def _draw_frame(title: str, up: Axis, x: str) -> list[str]:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = [_write(_LEFT, 24, title, anchor="start", size=16)]
    for value in _find_ticks(up.largest):
        y = _place_y(up, value)
        parts.append(f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(_write(_LEFT - 8, y + 4, _show(value), anchor="end"))
    parts.append(f'<line x1="{_LEFT}" y1="{bottom}" x2="{right}" y2="{bottom}" stroke="#333"/>')
    middle = (_TOP + bottom) / 2
    parts.append(
        f'<g transform="rotate(-90 16 {middle})">{_write(16, middle, up.label)}</g>',
    )
    parts.append(_write((_LEFT + right) / 2, _HEIGHT - 12, x))
    return parts


def _draw_legend(names: Sequence[str]) -> list[str]:
    parts, left = [], float(_LEFT)
    for name, colour in zip(names, _COLOURS, strict=False):
        parts.append(f'<rect x="{left:.0f}" y="38" width="12" height="12" fill="{colour}"/>')
        parts.append(_write(left + 18, 48, name, anchor="start"))
        left += 18 + 7.5 * len(name) + 18
    return parts


def _write(x: float, y: float, text: str, *, anchor: str = "middle", size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">'
        f"{escape(text)}</text>"
    )


def _wrap(parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}"'
        f' viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif">'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>'
    )
    return "\n".join([head, *parts, "</svg>", ""])


def _place_x(axis: Axis, value: float) -> float:
    return _LEFT + axis.scale(value, _WIDTH - _LEFT - _RIGHT)


def _place_y(axis: Axis, value: float) -> float:
    return _HEIGHT - _BOTTOM - axis.scale(value, _HEIGHT - _TOP - _BOTTOM)


def _round_up(value: float, steps: Sequence[float] = (1, 1.2, 1.5, 2, 3, 4, 5, 6, 8, 10)) -> float:
    """Return the next value that is one of ``steps`` times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in steps if step * power >= value * 0.999)


def _find_ticks(largest: float) -> list[float]:
    step = _round_up(largest / (_TICKS - 1), (1, 2, 2.5, 5, 10))
    return [number * step for number in range(math.floor(largest / step * 1.001) + 1)]


def _show(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
