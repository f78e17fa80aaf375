"""The rows and the HTML report of `edgesdk tune`."""

from __future__ import annotations

from collections.abc import Sequence

from edgesdk.benchmark.host import HostFacts
from edgesdk.report.page import Page
from edgesdk.report.plots import scatter
from edgesdk_targets.tuning.setting import Hint, Measured
from edgesdk_targets.tuning.tuned import Tuning

COLUMNS = (
    "variant",
    "precision",
    "threads",
    "streams",
    "pinned",
    "ms",
    "p95 ms",
    "per second",
    "CPU ms",
    "memory",
    "turns",
)
# What fits into 80 columns of a terminal.
NARROW = ("variant", "threads", "streams", "pinned", "ms", "CPU ms")
_HOW = {
    Hint.LATENCY: "Each setting ran one inference after the other; the quickest answer wins.",
    Hint.THROUGHPUT: "Each setting ran all its streams at once, each from a thread of its own; the most pictures a second win, "
    "after what others took of the cores was given back.",
    Hint.AGE: "Pictures came at the camera's rate and the cores rested between them. What is known of a scene is at most a "
    "frame's time and that of an answer old; of the settings within 4 % of the least, the one with the least processor time "
    "wins.",
}


def cells(one: Measured) -> tuple[str, ...]:
    """Return a setting's row, in the order of `COLUMNS`."""
    setting = one.setting
    return (
        setting.variant,
        setting.precision.value,
        str(setting.threads),
        str(setting.streams),
        "yes" if setting.pin else "",
        f"{one.ms:.3g}",
        f"{one.p95_ms:.3g}",
        f"{one.fps:.{0 if one.fps >= 100 else 1}f}",
        f"{one.cpu_ms:.3g}",
        f"{one.rss_bytes / 1e6:.0f} MB",
        str(len(one.rounds)),
    )


def tuning_page(found: Tuning, bundle: str, host: HostFacts) -> Page:
    """Return the finished page."""
    page = Page(f"{bundle} tuned for {found.hint}", found.why)
    page.heading("Settings, the best first")
    page.table(COLUMNS, [cells(one) for one in found.measured], "Memory: by how much the process grew for it.")
    if found.measured:
        page.heading("What is gained and what it costs")
        page.figure(*_plot(found))
    left_out = [*found.notes, *(f"Not {name}: {why}" for name, why in found.refused.items())]
    left_out += [f"No time for: {setting}" for setting in found.skipped]
    if left_out:
        page.heading("What else was found")
        for line in left_out:
            page.text(line)
    page.heading("How it was measured")
    page.text(
        f"{host.cpu}, {host.cores} cores, {host.system}. {_HOW[found.hint]} All settings took turns in one process; figures "
        f"are medians over the turns. Settings far behind were given up after few. It took {found.seconds:.1f} s."
    )
    if found.disturbed:
        page.text("Beware: something else was running, so the figures are less sure.")
    for line in host.warnings:
        page.text(f"Beware: {line}.")
    return page


def _plot(found: Tuning) -> tuple[str, str]:
    """Draw the time of an answer against the rate for throughput, else against the processor time."""
    many = found.hint is Hint.THROUGHPUT
    points = [(one.ms, one.fps if many else one.cpu_ms, _name(one)) for one in found.measured]
    up = "pictures a second" if many else "processor ms a picture"
    front = _unbeaten([(x, -y if many else y) for x, y, _ in points])
    caption = f"Time of one inference against {up}; the line joins the settings that no other beats in both."
    return scatter(points, across="ms for one inference", up=up, front=front), caption


def _name(one: Measured) -> str:
    setting = one.setting
    return f"{setting.variant} {setting.streams} of {setting.threads}{' pinned' if setting.pin else ''}"


def _unbeaten(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return the places of the points that no other beats in both, from left to right; less is better."""
    line: list[int] = []
    for place in sorted(range(len(points)), key=lambda i: points[i]):
        if not line or points[place][1] < points[line[-1]][1]:
            line.append(place)
    return line
