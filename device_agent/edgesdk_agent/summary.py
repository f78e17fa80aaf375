"""The closing summary of a run: the stable keys that scripts read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from edgesdk_agent.link.report_queue import QueueCounts
from edgesdk_agent.meter import FrameStats
from edgesdk_agent.vitals import Vitals
from edgesdk_targets.chain import Chain
from edgesdk_targets.model import Model
from edgesdk_targets.tuning.setting import Setting

_LEFT_OUT = ("corrupt", "black", "overexposed", "blurred", "duplicate")


def run_summary(stats: FrameStats, vitals: Vitals) -> dict[str, object]:
    """Return `{frames, fps, age_ms, cpu_s_per_frame, rss_bytes, …}` of one pipeline."""
    cpu_s = vitals.cpu_s
    per_frame = None if cpu_s is None or not stats.processed else round(cpu_s / stats.processed, 6)
    return {**stats.to_json(), "cpu_s_per_frame": per_frame, "rss_bytes": vitals.rss_bytes}


def reports_summary(counts: QueueCounts, *, durable: bool) -> dict[str, object]:
    """Return what became of the reports; of a queue on disk also what an earlier run had left."""
    sent: dict[str, object] = {
        "delivered": dict(counts.delivered),
        "lost": counts.lost,
        "undelivered": counts.pending + counts.in_flight,
    }
    if durable:
        sent["restored"] = dict(counts.restored)
    return sent


def settings_summary(model: Model | Chain) -> list[dict[str, Any]]:
    """Return how the model ran, with the keys of `edgesdk tune --json`; of two in a row how each did."""
    models = (model.detector, model.then) if isinstance(model, Chain) else (model,)
    return [Setting.of(one).to_json() for one in models]


def in_words(summary: dict[str, Any]) -> str:
    """Return an agent's summary as one line for people."""
    frames, age, reports = summary["frames"], summary["age_ms"], summary["reports"]
    dropped = dict(frames["dropped"])
    # A frame of a clip is not lost: its result comes with a later one.
    windowed = dropped.pop("windowed", 0)
    by_stage = f" ({dropped['filter_failed']} because the stage on_frame failed)" if "filter_failed" in dropped else ""
    parts = [
        f"{frames['processed']} of {frames['captured']} frames",
        f"{summary['fps']:.1f} fps",
        f"age p50 {_ms(age['p50'])} p95 {_ms(age['p95'])}",
        f"{sum(dropped.values())} dropped{by_stage}",
        f"{windowed} taken into clips" if windowed else "",
        f"{summary['results_filtered']} results filtered" if summary["results_filtered"] else "",
        f"{sum(reports['delivered'].values())} reports delivered",
        f"{reports['undelivered']} not",
        _settings(summary.get("settings", ())),
        _frame_data(summary.get("frame_data", {})),
        *(_hook(name, counts) for name, counts in summary.get("hooks", {}).items()),
    ]
    return ", ".join(filter(None, parts))


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value} ms"


def _settings(told: Iterable[dict[str, Any]]) -> str:
    """Tell which variants ran, and how."""
    return " then ".join(f"{one.variant} ({one.work})" for one in map(Setting.from_json, told))


def _frame_data(told: dict[str, Any]) -> str:
    """Tell what leaving frames out saved; nothing where none was looked at."""
    if not told:
        return ""
    causes = ", ".join(f"{count} {name}" for name, count in told.items() if name in _LEFT_OUT and count)
    return f"{told['saved_part']:.0%} of the inferences saved ({causes or 'no frame'} left out)"


def _hook(name: str, counts: dict[str, int]) -> str:
    """Tell what a hook missed or failed with; nothing where all is well."""
    told = {"failed": "failed", "hung": "hung", "dropped": "not seen"}
    trouble = " and ".join(f"{counts[key]} {words}" for key, words in told.items() if counts[key])
    return f"hook {name}: {trouble}" if trouble else ""
