"""Small pictures as SVG without styles of their own: where a value lies in its range, where a risk lies beside the line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..schema.feature import Feature
from .html import Html, el

WIDTH, HEIGHT, EDGE = 120.0, 16.0, 6.0


def range_bar(feature: Feature, now: float, targets: Mapping[str, float]) -> Html:
    """The reference range of a number as a box, the present value as a ring, each target as a dot with its mark."""
    low, high = feature.reference or (feature.low or 0.0, feature.high or 0.0)
    ends = [low, high, now, *targets.values()]
    at = _scale(min(ends), max(ends))
    parts = [el("rect", x=_n(at(low)), y="5", width=_n(at(high) - at(low)), height="6", cls="box")]
    for mark, value in targets.items():
        parts.append(el("line", x1=_n(at(now)), x2=_n(at(value)), y1="8", y2="8", cls="way"))
        parts.append(el("circle", cx=_n(at(value)), cy="8", r="4", cls="dot"))
        parts.append(el("text", mark, x=_n(at(value)), y="10.3", cls="in", text_anchor="middle") if len(targets) > 1 else Html())
    parts.append(el("circle", cx=_n(at(now)), cy="8", r="3", cls="ring"))
    said = f"{feature.title}: reference range {feature.text(low)} to {feature.text(high)}, now {feature.text(now)}"
    return picture(WIDTH, HEIGHT, said, *parts)


def risk_bar(
    now: float, span: tuple[float, float], marks: tuple[tuple[float, str], tuple[float, str]], after: Sequence[float], said: str
) -> Html:
    """Risks from 0 to a little over the largest: the present one with its range, two marks with their words, answers."""
    (line, above), (base, below) = marks
    top = min(1.0, 1.15 * max(now, span[1], line, base, *after))
    at, y = _scale(0.0, top, 360.0), "16"
    parts = [el("line", x1=_n(at(0)), x2=_n(at(top)), y1=y, y2=y, cls="axis"),
             el("line", x1=_n(at(span[0])), x2=_n(at(span[1])), y1=y, y2=y, cls="span") if span[0] < span[1] else Html()]  # fmt: skip
    for value, word, top_y, end_y, text_y in ((line, above, "8", y, "6"), (base, below, y, "24", "31")):
        parts.append(el("line", x1=_n(at(value)), x2=_n(at(value)), y1=top_y, y2=end_y, cls="tick"))
        parts.append(el("text", word, x=_n(at(value)), y=text_y, text_anchor="start" if at(value) < 180 else "end"))
    for k, value in enumerate(after, 1):
        parts.append(el("circle", cx=_n(at(value)), cy=y, r="4", cls="dot"))
        parts.append(el("text", k, x=_n(at(value)), y="18.3", cls="in", text_anchor="middle") if len(after) > 1 else Html())
    parts.append(el("circle", cx=_n(at(now)), cy=y, r="4", cls="ring"))
    return picture(360.0, 33.0, said, *parts)


def curve(points: Sequence[tuple[float, float]], said: str) -> Html:
    """Told against seen shares (0..1), beside the line on which told risks are true."""
    top = max([0.01, *(max(point) for point in points)])
    size, edge = 90.0, 8.0
    at = [(edge + told / top * (size - 2 * edge), size - edge - seen / top * (size - 2 * edge)) for told, seen in points]
    way = " ".join(f"{_n(x)},{_n(y)}" for x, y in at)
    return picture(size, size, said,
                   el("rect", x=_n(edge), y=_n(edge), width=_n(size - 2 * edge), height=_n(size - 2 * edge), cls="box"),
                   el("line", x1=_n(edge), x2=_n(size - edge), y1=_n(size - edge), y2=_n(edge), cls="tick"),
                   el("polyline", points=way, cls="way"),
                   *(el("circle", cx=_n(x), cy=_n(y), r="2", cls="dot") for x, y in at))  # fmt: skip


def share_bar(value: float, largest: float) -> Html:
    """A length to the right (more) or to the left (less) of the middle."""
    half = WIDTH / 2
    size = 0.0 if largest <= 0 else abs(value) / largest * (half - 2)
    x = half if value >= 0 else half - size
    return picture(WIDTH, 10.0, "", el("line", x1=_n(half), x2=_n(half), y1="0", y2="10", cls="tick"),
                   el("rect", x=_n(x), y="2", width=_n(size), height="6", cls="more" if value >= 0 else "less"))  # fmt: skip


def picture(width: float, height: float, said: str, *parts: Html) -> Html:
    """An SVG; `said` is what it shows, in words, empty where the words stand beside it."""
    told: dict[str, str] = {"role": "img", "aria_label": said} if said else {"aria_hidden": "true"}
    return el("svg", *parts, viewBox=f"0 0 {_n(width)} {_n(height)}", width=_n(width), height=_n(height), **told)


class _scale:  # noqa: N801
    """Values to places between two edges."""

    def __init__(self, low: float, high: float, width: float = WIDTH) -> None:
        self.low, self.width, self.span = low, width, (high - low) or 1.0

    def __call__(self, value: float) -> float:
        return EDGE + (value - self.low) / self.span * (self.width - 2 * EDGE)


def _n(value: float) -> str:
    return f"{value:.1f}"
