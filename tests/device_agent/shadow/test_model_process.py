"""The parent's end of a model's process, with processes that hold no model."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgesdk_agent.shadow import model_process
from edgesdk_agent.shadow.child import clock_of
from edgesdk_agent.shadow.model_process import Bundled, ModelProcess, ProcessLimits, Stopped


def test_a_model_that_loads_for_long_is_not_waited_for_once_the_run_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    loads = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
    monkeypatch.setattr(model_process, "command", lambda *_: loads)
    looks = iter([False, True])
    with pytest.raises(Stopped):
        ModelProcess("candidate", Bundled(Path("none")), 0, 0.0, ProcessLimits(), lambda: next(looks))


def test_what_computes_elsewhere_is_timed_by_the_clock() -> None:
    """Else a model on a GPU looks free, whichever runtime brings it there."""
    elsewhere: Any = SimpleNamespace(accelerated=True)
    here: Any = SimpleNamespace()
    assert (clock_of(elsewhere), clock_of(here)) == (time.perf_counter, time.process_time)
