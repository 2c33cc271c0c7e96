"""The report's pictures as SVG. The page's style sheet gives the colours, by classes.

Each picture is as wide as a phone's screen, so that its letters are never shrunk. Its `aria-label`
says what it shows.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from markupsafe import Markup

from wenmo.core.language import N_, gettext

Points = Sequence[tuple[float, float]]

WIDTH = 360
BINS = 30


@dataclass(frozen=True)
class Axis:
    """Maps numbers from `low` to `high`, which are both ticks, to places on the picture."""

    low: float
    high: float
    step: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The place of a number."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> list[tuple[float, str]]:
        """Places and labels, with no more decimals than the step has."""
        decimals = max(0, -math.floor(math.log10(self.step) + 1e-9))
        count = round((self.high - self.low) / self.step)
        values = [self.low + number * self.step for number in range(count + 1)]
        return [(self.at(value), f"{round(value, decimals) + 0:.{decimals}f}") for value in values]


def axis(numbers: Sequence[float], start: float, end: float, most_ticks: int = 6) -> Axis:
    """An axis that holds all the numbers, in steps of 1, 2 or 5 times a power of ten."""
    low, high = min(numbers), max(numbers)
    # Equal numbers have no span, but their axis needs one.
    span = high - low if high - low > 1e-6 * max(1.0, abs(low), abs(high)) else 1.0
    least = span / (most_ticks - 1)
    power = 10.0 ** math.floor(math.log10(least))
    # An axis ends on ticks, which may take two steps more than the span.
    for step in (times * power for times in (1, 2, 5, 10, 20, 50)):
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        if last - first < most_ticks:
            break
    return Axis(first * step, max(last, first + 1) * step, step, start, end)


def loss_curve(training: Points, held_out: Points) -> Markup:
    """Training loss and held-out loss by step; empty if there is no point."""
    curves = {
        name: [(step, loss) for step, loss in points if math.isfinite(loss)]
        for name, points in ((N_("training"), training), (N_("held-out"), held_out))
    }
    everything = [point for points in curves.values() for point in points]
    if not everything:
        return Markup("")
    x = axis([step for step, _ in everything], 40, WIDTH - 16)
    y = axis([loss for _, loss in everything], 190, 36)
    parts = [_text(0, 12, gettext("nats per token"), "quiet")]
    parts.append(_text(WIDTH, 230, gettext("step"), "quiet", "end"))
    for place, label in y.ticks():
        parts.append(_line(x.start, place, x.end, place, "grid"))
        parts.append(_text(x.start - 8, place + 4, label, "", "end"))
    parts += [_text(place, 210, label, "", "middle") for place, label in x.ticks()]
    for legend, (name, points) in zip((WIDTH - 184, WIDTH - 82), curves.items(), strict=True):
        if points:
            places = [(x.at(step), y.at(loss)) for step, loss in points]
            parts += [_line(legend, 8, legend + 20, 8, name), _text(legend + 26, 12, gettext(name))]
            parts.append(_polyline(places, name))
            if name == "held-out":
                parts += [_dot(*place, name) for place in places]
    described = [
        gettext(
            "{name} loss goes from {first:.2f} at step {first_step:g} to {last:.2f} at step"
            " {last_step:g}",
            name=gettext(name),
            first=points[0][1],
            first_step=points[0][0],
            last=points[-1][1],
            last_step=points[-1][0],
        )
        for name, points in curves.items()
        if points
    ]
    return _picture(234, "; ".join(described), parts)


def lengths(of_writers: Mapping[str, Sequence[int]]) -> Markup:
    """A histogram per writer of its texts' lengths in characters, one below the other."""
    everything = [length for found in of_writers.values() for length in found]
    x = axis([0, *everything], 4, WIDTH - 16)
    counts = {writer: _histogram(found, x) for writer, found in of_writers.items()}
    tallest = max(share for shares in counts.values() for share in shares)
    width = (x.end - x.start) / BINS
    parts, described, top = [], [], 0.0
    for writer, found in of_writers.items():
        middle, floor = median(found), top + 58
        parts.append(_text(0, top + 12, gettext(writer)))
        parts.append(
            _text(WIDTH, top + 12, gettext("median {middle:g}", middle=middle), "quiet", "end")
        )
        for number, share in enumerate(counts[writer]):
            if share:
                height = max(1.0, 38 * share / tallest)
                left = x.start + number * width
                parts.append(_rect(left, floor - height, width - 1, height, writer))
        parts.append(_line(x.start, floor, x.end, floor, "grid"))
        parts.append(_line(x.at(middle), floor - 40, x.at(middle), floor, "median"))
        described.append(
            gettext(
                "{writer} from {least} to {most}, median {middle:g}",
                writer=gettext(writer),
                least=min(found),
                most=max(found),
                middle=middle,
            )
        )
        top += 66
    parts += [_text(place, top + 10, label, "", "middle") for place, label in x.ticks()]
    parts.append(_text(WIDTH, top + 30, gettext("characters per text"), "quiet", "end"))
    return _picture(top + 34, gettext("characters per text") + ": " + "; ".join(described), parts)


def shares(of_outcomes: Mapping[str, Mapping[str, float]]) -> Markup:
    """A bar per outcome and writer: the share of the writer's poems (0 to 1)."""
    x = axis([0, 1], 84, WIDTH - 50)
    parts, described, top = [], [], 0.0
    for outcome, of_writers in of_outcomes.items():
        parts.append(_text(0, top + 12, gettext(outcome)))
        for number, (writer, share) in enumerate(of_writers.items()):
            place = top + 20 + 15 * number
            parts.append(_text(x.start - 8, place + 9, gettext(writer), "quiet", "end"))
            parts.append(_rect(x.start, place, max(1.0, x.at(share) - x.start), 10, writer))
            parts.append(_text(x.at(share) + 6, place + 9, f"{share:.0%}"))
        named = [(gettext(writer), share) for writer, share in of_writers.items()]
        told = ", ".join(f"{writer} {share:.0%}" for writer, share in named)
        described.append(gettext(outcome) + ": " + told)
        top += 34 + 15 * len(of_writers)
    return _picture(top - 8, gettext("share of poems. ") + "; ".join(described), parts)


def interval(value: float, low: float, high: float) -> Markup:
    """An improvement with its 95% interval, beside a line at 0."""
    x = axis([0, value, low, high], 14, WIDTH - 14)
    parts = [_line(x.start, 34, x.end, 34, "grid"), _line(x.at(0), 12, x.at(0), 40, "axis")]
    parts.append(_line(x.at(low), 24, x.at(high), 24, "tuned"))
    parts += [_line(x.at(end), 19, x.at(end), 29, "tuned") for end in (low, high)]
    parts.append(_dot(x.at(value), 24, "tuned", 5))
    parts += [_text(place, 52, label, "", "middle") for place, label in x.ticks()]
    told = gettext(
        "improvement {value:.3f}, 95% interval {low:.3f} to {high:.3f}, 0 means no difference",
        value=value,
        low=low,
        high=high,
    )
    return _picture(58, told, parts)


def _histogram(lengths: Sequence[int], x: Axis) -> list[float]:
    """The share of the lengths in each of BINS equal bins from 0 to the end of the axis."""
    bins = [0] * BINS
    for length in lengths:
        bins[min(BINS - 1, int(length / x.high * BINS))] += 1
    return [count / len(lengths) for count in bins]


def _picture(height: float, label: str, parts: Sequence[Markup]) -> Markup:
    opening = Markup('<svg viewBox="0 0 {} {:.0f}" role="img" aria-label="{}">\n')
    return opening.format(WIDTH, height, label) + Markup("\n").join(parts) + Markup("\n</svg>")


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    line = Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>')
    return line.format(kind, x1, y1, x2, y2)


def _polyline(places: Points, kind: str) -> Markup:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return Markup('<polyline class="{}" points="{}"/>').format(kind, points)


def _dot(x: float, y: float, kind: str, radius: float = 3) -> Markup:
    dot = Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="{:g}"/>')
    return dot.format(kind, x, y, radius)


def _rect(x: float, y: float, width: float, height: float, kind: str) -> Markup:
    rect = Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>')
    return rect.format(kind, x, y, width, height)


def _text(x: float, y: float, content: str, kind: str = "", anchor: str = "start") -> Markup:
    text = Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>')
    return text.format(kind, x, y, anchor, content)
