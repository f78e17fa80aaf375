"""The parent's end of a model's process, with processes that hold no model."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgesdk_agent.shadow import model_process
from edgesdk_agent.shadow.model_process import Bundled, ModelProcess, ProcessLimits, Stopped


def test_a_model_that_loads_for_long_is_not_waited_for_once_the_run_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    loads = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
    monkeypatch.setattr(model_process, "command", lambda *_: loads)
    looks = iter([False, True])
    with pytest.raises(Stopped):
        ModelProcess("candidate", Bundled(Path("none")), 0, 0.0, ProcessLimits(), lambda: next(looks))
