"""Small bar charts by the hour, rendered as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

_BAR, _GAP, _HEIGHT = 8, 2, 36


@dataclass(frozen=True)
class Hour:
    """How many items of the hour from `start` had no problems (`good`), and how many had (`bad`)."""

    start: datetime
    good: int = 0
    bad: int = 0


def svg(hours: Sequence[Hour], label: str) -> SafeString:
    """A bar for each hour, with the bad part on top; `label` introduces the text for screen readers."""
    most = max((hour.good + hour.bad for hour in hours), default=0)
    width = len(hours) * (_BAR + _GAP)
    shapes = format_html_join("", "{}", ((_bar(index, hour, most),) for index, hour in enumerate(hours)))
    return format_html(
        '<svg class="pb-chart" viewBox="0 0 {} {}" role="img" aria-label="{}" '
        'preserveAspectRatio="none">{}</svg>',
        width,
        _HEIGHT,
        f"{label} {summary(hours)}",
        shapes,
    )


def summary(hours: Sequence[Hour]) -> str:
    """The content of the chart, in sentences."""
    good, bad = sum(hour.good for hour in hours), sum(hour.bad for hour in hours)
    if not good and not bad:
        return _("There are none.")
    peak = max(hours, key=lambda hour: hour.good + hour.bad)
    return _(
        "%(good)d without problems, %(bad)d with problems. The peak hour from %(peak)s has %(most)d."
    ) % {
        "good": good,
        "bad": bad,
        "most": peak.good + peak.bad,
        "peak": date_format(timezone.localtime(peak.start), "H:i"),
    }


def _bar(index: int, hour: Hour, most: int) -> SafeString:
    x, total = index * (_BAR + _GAP), hour.good + hour.bad
    if not total:
        return format_html(
            '<rect class="pb-none" x="{}" y="{}" width="{}" height="1"/>', x, _HEIGHT - 1, _BAR
        )
    # Even the smallest number must be visible.
    high = max(2.0, _HEIGHT * total / most)
    bad = max(2.0, high * hour.bad / total) if hour.bad else 0.0
    title = _("%(hour)s: %(good)d without problems, %(bad)d with problems") % {
        "hour": date_format(timezone.localtime(hour.start), "H:i"),
        "good": hour.good,
        "bad": hour.bad,
    }
    return format_html(
        '<g><title>{}</title><rect class="pb-good" x="{}" y="{}" width="{}" height="{}"/>'
        '<rect class="pb-bad" x="{}" y="{}" width="{}" height="{}"/></g>',
        title, x, f"{_HEIGHT - high + bad:.1f}", _BAR, f"{high - bad:.1f}",
        x, f"{_HEIGHT - high:.1f}", _BAR, f"{bad:.1f}",
    )  # fmt: skip
