"""`edgesdk-agent run`: an agent from its configuration to its summary, the signals that it obeys, and its restarts."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from edgesdk_agent.arguments import flags_of, installed_version
from edgesdk_agent.stop_request import StopRequest
from edgesdk_targets.errors import EdgeError

if TYPE_CHECKING:
    from edgesdk_agent.agent import Agent
    from edgesdk_agent.steering.beginning import Beginning
    from edgesdk_agent.timeline.timeline import Timeline


def run_agent(options: argparse.Namespace) -> dict[str, Any]:
    """Run until stopped, and return the summary; where another run is wanted, this process becomes that and does not return.

    Raises:
        EdgeError: the agent cannot start, or ended by a failure.
    """
    from edgesdk_agent.quick_start import quick_imports

    with quick_imports():
        from edgesdk_agent.config.secrets import hide_secrets, warn_of_arguments
        from edgesdk_agent.config.source import ConfigSource
        from edgesdk_agent.steering.beginning import begin
        from edgesdk_agent.steering.restart import wait_for_restart
        from edgesdk_targets.runtimes.openvino_converter import leave_out_converter

    leave_out_converter()
    beginning = begin(ConfigSource(options.config, flags_of(options), options.no_mqtt))
    hide_secrets(beginning.loaded.config)
    warn_of_arguments([*(options.source or ()), options.broker or ""])
    stop = StopRequest()
    asked: set[int] = set()
    running: list[Agent] = []

    def on_signal(number: int, _frame: object) -> None:
        # A terminal's Ctrl-C reaches everybody in front of it, and whoever started the agent may then end it by SIGTERM:
        # that is one wish told twice. The same signal again is impatience, and waits for no hook, driver or runtime.
        if number in asked:
            for agent in running:
                agent.leave()
            os._exit(128 + number)
        asked.add(number)
        stop.set()

    def on_hangup(_number: int, _frame: object) -> None:
        for agent in running:
            agent.reload()

    signals = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    # A terminal that is closed ends what runs in it; without one SIGHUP means: read the configuration again.
    if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL and not sys.stderr.isatty():
        signals[signal.SIGHUP] = signal.signal(signal.SIGHUP, on_hangup)
    try:
        summary, again = _run_once(beginning, options, stop, running)
        again = again and wait_for_restart(beginning, stop)
    finally:
        for number, handler in signals.items():
            signal.signal(number, handler)
    if again:
        _restart()
    return summary


def _run_once(
    beginning: Beginning, options: argparse.Namespace, stop: StopRequest, running: list[Agent]
) -> tuple[dict[str, Any], bool]:
    """Run an agent, noted in `running` for signals, and return its summary and whether another run is wanted."""
    from edgesdk_agent.quick_start import ModelLoading, quick_imports
    from edgesdk_agent.steering.beginning import take_back_failed

    config = beginning.loaded.config
    with _recorded(options.profile, beginning.runs) as profile, ModelLoading(config) as loading, ExitStack() as early:
        try:
            with quick_imports():
                from edgesdk_agent.pipeline_settings import apply_pipeline_settings

                loading.await_library()
                apply_pipeline_settings()
                from edgesdk_agent.early_cameras import early_cameras

                cameras = early_cameras(config.cameras, early)
                # All that is needed next is imported while the model loads and the cameras answer.
                from edgesdk_agent.agent import Agent
            agent = Agent(
                beginning, version=installed_version(), model=loading.handed_to, cameras=cameras, mqtt=not options.no_mqtt,
                profile=profile,
            )  # fmt: skip
            running.append(agent)
            return agent.run(stop, options.duration), agent.restart_wanted
        except EdgeError as error:
            from edgesdk_agent.agent_updates import tell_launcher_of_damage

            tell_launcher_of_damage()
            # Settings from afar that keep the agent from starting must not keep it from being reached.
            restart_wanted = any(agent.restart_wanted for agent in running)
            if not take_back_failed(beginning.file, error.message) and not restart_wanted:
                raise
            sys.stderr.write(f"error: {error.message}\n")
            return {}, True


def _recorded(path: str | None, runs_before: int) -> AbstractContextManager[Timeline | None]:
    if path is None:
        return nullcontext()
    from edgesdk_agent.timeline.recording import recorded

    return recorded(Path(path), runs_before)


def _restart() -> NoReturn:
    from edgesdk_agent.restart_self import restart_self

    restart_self()
