"""Things to measure that behave badly, or take a known time; opened in a benchmark's child process."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

from edgesdk.benchmark.coverage.nodes import Coverage
from edgesdk.benchmark.lane import Opening
from edgesdk.benchmark.subject import Subject
from edgesdk_targets.errors import SessionFailed

MODULE = "edgesdk_testkit.benchmark_subjects"


def subject(opener: str, name: str = "", **options: Any) -> Subject:
    """Describe one of the lanes below."""
    return Subject(name or opener, f"{MODULE}:{opener}", options)


class Spinner:
    """Computes for so many milliseconds."""

    picture = None

    def __init__(self, opening: Opening) -> None:
        self.ms = float(opening.options.get("ms", 1.0))
        print("a runtime greets")

    def infer(self) -> object:
        end = time.perf_counter() + self.ms / 1000
        while time.perf_counter() < end:
            pass
        return None

    def stages(self) -> Mapping[str, Callable[[], object]]:
        return {}

    def coverage(self) -> Coverage | None:
        return None


class Hoarder(Spinner):
    """Takes memory while it loads."""

    def __init__(self, opening: Opening) -> None:
        super().__init__(opening)
        self.kept = bytes(1) * int(opening.options["size"])


class Crasher(Spinner):
    """Dies by a signal in its n-th run, or while it loads (0)."""

    def __init__(self, opening: Opening) -> None:
        super().__init__(opening)
        self.left = int(opening.options["runs"])
        self.signal = str(opening.options.get("signal", "SIGSEGV"))
        if self.left == 0:
            self.die()

    def infer(self) -> object:
        self.left -= 1
        if self.left == 0:
            self.die()
        return super().infer()

    def die(self) -> None:
        os.write(2, b"illegal thing done\n")
        os.kill(os.getpid(), getattr(signal, self.signal))


class Hanger(Spinner):
    """Never comes back from loading."""

    def __init__(self, opening: Opening) -> None:
        super().__init__(opening)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        while True:
            signal.pause()


class Leaver(Spinner):
    """Ends its process with a code, as runtimes that call `exit` do."""

    def __init__(self, opening: Opening) -> None:
        super().__init__(opening)
        os.write(2, b"no licence for this device\n")
        os._exit(int(opening.options["code"]))


class Refuser(Spinner):
    """Says no as a runtime does."""

    def __init__(self, opening: Opening) -> None:
        super().__init__(opening)
        raise SessionFailed("the runtime could not load the model: bad file.", hint="Convert it again.")


class Stumbler(Spinner):
    """Raises what nobody expects, in its first run."""

    def infer(self) -> object:
        raise KeyError("tensor 7")


class Liar(Spinner):
    """Dies when asked for its nodes: what was measured before must be kept."""

    def coverage(self) -> Coverage | None:
        os._exit(3)
