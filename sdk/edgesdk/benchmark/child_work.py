"""What a child process does with its subject: load, warm up, time."""

from __future__ import annotations

import importlib
import time
from array import array
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgesdk.benchmark.lane import Lane, Opening
from edgesdk.benchmark.process_memory import peak_bytes, reset_peak, resident_bytes
from edgesdk.benchmark.statistics import is_steady, latency
from edgesdk_targets.lane_times import time_lanes, time_runs

_WINDOW_RUNS, _WINDOW_S = 5, 0.05
_FEWEST_RUNS = 10
_SETTLING_RUNS = 3  # at the start of a slice: caches and clocks come back


class Work:
    """One subject in this process.

    Args:
        request: what `Subject.write` wrote.
    """

    def __init__(self, request: Mapping[str, Any], folder: Path) -> None:
        self._request = request
        self._folder = folder
        self._lanes: list[Lane] = []

    def do(self, what: str, **arguments: Any) -> Any:
        """Carry out one command by name."""
        commands: dict[str, Callable[..., Any]] = {
            "load": self._load,
            "warm_up": self._warm_up,
            "measure": self._measure,
            "slice": self._slice,
            "stages": self._stages,
            "coverage": self._coverage,
        }
        return commands[what](**arguments)

    def _load(self, *, threads: int, lanes: int) -> dict[str, Any]:
        files = {name: self._folder / part for name, part in self._request["files"].items()}
        opening = Opening(self._request["options"], files, threads, self._folder)
        module, _, name = self._request["opener"].partition(":")
        # Before the clock starts: what the opener's own module needs is no part of loading the model.
        opener = getattr(importlib.import_module(module), name)
        reset_peak()
        before = resident_bytes()
        start = time.perf_counter()
        self._lanes = [opener(opening)]
        loaded = time.perf_counter()
        self._lanes[0].infer()
        first = time.perf_counter()
        for _ in range(lanes - 1):
            self._lanes.append(opener(opening))
            self._lanes[-1].infer()
        return {"load_s": loaded - start, "first_s": first - loaded, "rss_before": before}

    def _warm_up(self, *, seconds: float) -> dict[str, Any]:
        """Run until two windows in a row take the same time, or for so long."""
        start, runs = time.perf_counter(), 0
        before: array[float] | None = None
        while True:
            window = time_runs(self._lanes[0].infer, _WINDOW_S, fewest=_WINDOW_RUNS)
            runs += len(window)
            steady = before is not None and is_steady(before, window)
            spent = time.perf_counter() - start
            if steady or spent >= seconds:
                return {"runs": runs, "seconds": spent, "steady": steady}
            before = window

    def _measure(self, *, seconds: float) -> dict[str, Any]:
        """Time all lanes at once."""
        found = time_lanes([lane.infer for lane in self._lanes], seconds, fewest=_FEWEST_RUNS).times
        rate = sum(len(times) / sum(times) for times in found)
        every = [second for times in found for second in times]
        return {"latency": asdict(latency(every)), "throughput_fps": rate, "rss": peak_bytes()}

    def _slice(self, *, seconds: float) -> dict[str, Any]:
        for _ in range(_SETTLING_RUNS):
            self._lanes[0].infer()
        return {"latency": asdict(latency(time_runs(self._lanes[0].infer, seconds, fewest=3))), "rss": peak_bytes()}

    def _stages(self, *, seconds: float) -> dict[str, Any]:
        stages = self._lanes[0].stages()
        times = {name: latency(time_runs(stage, seconds, fewest=3)).p50 for name, stage in stages.items()}
        return {"ms": times, "picture": self._lanes[0].picture}

    def _coverage(self) -> dict[str, object] | None:
        coverage = self._lanes[0].coverage()
        return None if coverage is None else coverage.to_json()
