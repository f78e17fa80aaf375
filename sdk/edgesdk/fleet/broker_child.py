"""Runs a broker as a child that never outlives its parent: it ends when its standard input closes.

Started as a script of its own (`python -I broker_child.py mosquitto PROGRAM CONFIG`, or `iotcore CONFIG`), so it
imports nothing of edgesdk.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading


def run_mosquitto(program: str, config: str) -> int:
    """Run mosquitto until it ends or our parent does; return its exit code."""
    child = subprocess.Popen([program, "-c", config], stdin=subprocess.DEVNULL, preexec_fn=_die_with_parent)  # noqa: PLW1509  (no threads yet)
    signal.signal(signal.SIGTERM, lambda _number, _frame: child.terminate())
    _when_parent_ends(child.terminate)
    return child.wait()


def run_iotcore(config: str) -> int:
    """Run iotcore's broker in this process."""
    import iotcore

    _when_parent_ends(lambda: os._exit(0))
    iotcore.Broker(config_path=config).run_forever()
    return 0


def _when_parent_ends(action: object) -> None:
    def wait() -> None:
        # Ends when the other end of the pipe closes, however our parent ended. Not by `sys.stdin`: its lock, held by
        # this thread, would abort the interpreter at its end.
        while os.read(0, 4096):
            pass
        if callable(action):
            action()

    threading.Thread(target=wait, daemon=True).start()


def _die_with_parent() -> None:
    """On Linux, have the kernel end the broker with this process, even where that is killed."""
    if sys.platform == "linux":
        import ctypes

        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)


def main(arguments: list[str]) -> int:
    if arguments[0] == "mosquitto":
        return run_mosquitto(arguments[1], arguments[2])
    return run_iotcore(arguments[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
