"""A child process that may take only so much time and memory of the device.

Memory is what the child really holds, looked at a few times a second. A limit on its address space (RLIMIT_AS) would
not do: CUDA reserves many times what it uses.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from enum import Enum
from pathlib import Path

_LOOK_EVERY_S = 0.25
_DIES_WITHIN_S = 10.0
_MESSAGES = "messages"
_MAX_MESSAGES_BYTES = 1 << 20
_PR_SET_PDEATHSIG = 1
# The first to be killed when the device runs out of memory.
_OOM_SCORE = 1000
_LAST = 19
_CGROUPS, _OWN_CGROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
PACKAGE_ROOT = Path(__file__).resolve().parents[1]


class Ending(Enum):
    """How a watched child came to its end."""

    BY_ITSELF = "by itself"
    TOO_LONG = "too long"
    TOO_MUCH_MEMORY = "too much memory"


def start_child(module: str, *arguments: str, folder: Path) -> subprocess.Popen[bytes]:
    """Start `python -m module arguments` in a private folder; what it prints goes to the file `messages` there."""
    path = os.pathsep.join(filter(None, (str(PACKAGE_ROOT), os.environ.get("PYTHONPATH"))))
    # `-m` puts the working folder on the path: this one holds no modules.
    return start_program([sys.executable, "-m", module, *arguments], {**os.environ, "PYTHONPATH": path}, folder=folder)


def start_program(words: Sequence[str], environment: Mapping[str, str], *, folder: Path) -> subprocess.Popen[bytes]:
    """Start a program in a private folder; what it prints goes to the file `messages` there. Raises OSError."""
    with (folder / _MESSAGES).open("ab") as messages:
        return subprocess.Popen(
            words,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=messages,
            stderr=messages,
            # Ctrl-C is for us, who end the child; by itself it would look like a child that failed.
            start_new_session=True,
        )


def last_message(folder: Path) -> str:
    """Return the last line that the child printed; nothing where it was silent."""
    with (folder / _MESSAGES).open("rb") as messages:
        messages.seek(max(0, messages.seek(0, os.SEEK_END) - 4096))
        lines = messages.read().decode("utf-8", "replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def watch(
    child: subprocess.Popen[bytes],
    folder: Path,
    ends_at: Callable[[], float],
    *,
    keep_free_bytes: int = 0,
    memory_bytes: int | None = None,
) -> Ending:
    """Wait for the child's end; kill it past a limit. However this returns, the child has ended.

    One that hangs inside a driver cannot be killed at once; it is left to the kernel, which ends it when the driver
    lets go.

    Args:
        folder: where it was started; what it prints there is cut when it becomes much.
        ends_at: when it must have ended, by `time.monotonic`; asked again and again.
        keep_free_bytes: a child that leaves less memory available to others is killed.
        memory_bytes: how much it may hold itself.
    """
    try:
        while not _ended(child, min(_LOOK_EVERY_S, max(0.0, ends_at() - time.monotonic()))):
            if available_bytes() < keep_free_bytes or held_bytes(child.pid) > (memory_bytes or sys.maxsize):
                return Ending.TOO_MUCH_MEMORY
            if time.monotonic() >= ends_at():
                return Ending.TOO_LONG
            _cut_messages(folder)
        return Ending.BY_ITSELF
    finally:
        if child.poll() is None:
            _kill(child)
            _ended(child, _DIES_WITHIN_S)


def put_last(child: subprocess.Popen[bytes]) -> None:
    """Give a child, and what it starts, what others leave: the last turn at the cores, and the first end for want of memory."""
    # It may have ended, and a container may have /proc read-only.
    with suppress(OSError):
        Path(f"/proc/{child.pid}/oom_score_adj").write_text(str(_OOM_SCORE), "ascii")
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, child.pid, _LAST)


def behave_as_child() -> None:
    """In the child: be killed when the parent goes, and before it when memory runs out; leave no core file."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    with suppress(OSError):  # a container may have /proc read-only
        Path("/proc/self/oom_score_adj").write_text(str(_OOM_SCORE), "ascii")
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _kill(child: subprocess.Popen[bytes]) -> None:
    """Kill a child with what it has started, which is of its session."""
    with suppress(OSError):
        os.killpg(child.pid, signal.SIGKILL)
    child.kill()


def available_bytes() -> int:
    """Return how much memory the kernel could still give, also by the limits of this service; on a Jetson it is also the GPU's."""
    left = _left_of_groups(_CGROUPS, _OWN_CGROUP)
    with suppress(OSError):
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return min(left, int(line.split()[1]) << 10)
    return left


def _left_of_groups(root: Path, own: Path) -> int:
    """Return how much the control groups (v2) that this process is in may still take, of which the strictest counts."""
    left = sys.maxsize
    try:
        found = next(line[4:] for line in own.read_text("utf-8").splitlines() if line.startswith("0::/"))
    except (OSError, StopIteration):
        return left
    group = root / found
    while True:
        with suppress(OSError, ValueError):  # not limited: there is no file, or it says `max`
            most = int((group / "memory.max").read_text("ascii"))
            left = min(left, max(0, most - int((group / "memory.current").read_text("ascii")) + _files_of(group)))
        if group == root or root not in group.parents:
            return left
        group = group.parent


def _files_of(group: Path) -> int:
    """Return how much of a group's memory are files that were read, which the kernel drops where it needs room."""
    with suppress(OSError):
        for line in (group / "memory.stat").read_text("ascii").splitlines():
            if line.startswith("inactive_file "):
                return int(line.split()[1])
    return 0


def _cut_messages(folder: Path) -> None:
    """Empty the messages of a child that prints without end; it appends, so it goes on at the beginning."""
    path = folder / _MESSAGES
    if path.stat().st_size > _MAX_MESSAGES_BYTES:
        os.truncate(path, 0)


def held_bytes(pid: int) -> int:
    """Return how much memory a process holds; 0 where it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * resource.getpagesize()
    except (OSError, IndexError, ValueError):  # it has just ended
        return 0


def own_bytes(pid: int) -> int:
    """Return how much memory a process holds that is nobody else's nor a file's; 0 where it has ended."""
    try:
        _, resident, shared = Path(f"/proc/{pid}/statm").read_text("ascii").split()[:3]
        return (int(resident) - int(shared)) * resource.getpagesize()
    except (OSError, ValueError):  # it has just ended
        return 0


def _ended(child: subprocess.Popen[bytes], within_s: float) -> bool:
    try:
        child.wait(within_s)
    except subprocess.TimeoutExpired:
        return False
    return True
