"""The wish that the configuration is read again, at any time of a run."""

from __future__ import annotations

import logging
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from edgesdk_agent.agent import Agent
from edgesdk_agent.config.source import ConfigSource
from edgesdk_agent.early_cameras import early_cameras
from edgesdk_agent.steering.beginning import begin
from edgesdk_agent.stop_request import StopRequest
from edgesdk_targets.model import Model, load_model
from edgesdk_testkit.slots import PATIENCE_S, wait_until
from edgesdk_testkit.tiny_bundles import write_tiny_bundle


def test_a_reload_is_remembered_that_is_wished_for_while_the_model_loads(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bundle, file, stop = write_tiny_bundle(tmp_path / "a"), tmp_path / "edgesdk.yaml", StopRequest()

    def configure(interval_s: int) -> None:
        file.write_text(
            f"device: {{name: gate}}\nbundle: {bundle}\ncameras: [{{name: door, source: 'synthetic:'}}]\n"
            f"commands: {{enabled: false}}\ntelemetry: {{interval_s: {interval_s}}}\n"
        )

    def model(stack: ExitStack) -> Model:
        configure(7)
        agent.reload()
        return stack.enter_context(load_model(bundle))

    def stop_after_reload() -> None:
        try:
            wait_until(lambda: "configuration is reloaded" in caplog.text, "the reload")
        finally:
            stop.set()

    configure(5)
    caplog.set_level(logging.INFO)
    beginning = begin(ConfigSource(file, no_mqtt=True))
    watch = threading.Thread(target=stop_after_reload)
    with ExitStack() as early:
        cameras = early_cameras(beginning.loaded.config.cameras, early)
        agent = Agent(beginning, version="1", model=model, cameras=cameras, mqtt=False)
        watch.start()
        agent.run(stop, PATIENCE_S)
    watch.join(PATIENCE_S)
    assert "The configuration is reloaded; changed: ['telemetry.interval_s']" in caplog.text
    assert agent.config.telemetry.interval_s == 7
