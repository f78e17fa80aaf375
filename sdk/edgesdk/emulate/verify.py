"""Check variants of a bundle on an emulated board.

One process there does them all, since its start takes long; where one dies, the next process goes on after it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import edgesdk_targets
from edgesdk.emulate import on_board
from edgesdk.emulate.on_board import result_of
from edgesdk.emulate.root import BOARD_PATH, EmulatedBoard
from edgesdk_targets.results import Result

_DEADLY = {
    signal.SIGILL: "SIGILL, illegal instruction: a library uses an instruction that the board's processor ({cpu}) has not",
    signal.SIGSEGV: "SIGSEGV, segmentation fault",
    signal.SIGABRT: "SIGABRT, the library gave up",
    signal.SIGKILL: "SIGKILL, killed (out of memory?)",
}

# The last thing that was told → what was going on when it died.
_STAGES = {"loading": "while loading", "loaded": "in the golden set", "golden": "while answering for pictures"}


@dataclass(frozen=True, slots=True)
class BoardAnswers:
    """What one variant did on the board.

    Attributes:
        golden: the golden report as JSON; None where it did not come so far.
        results: one a picture that was asked about.
        problem: why it ended early, in words; None where it did not.
    """

    variant: str
    runtime: str | None = None
    golden: Mapping[str, Any] | None = None
    results: tuple[Result, ...] = ()
    problem: str | None = None
    hint: str = field(default="")


def verify_on_board(
    emulated: EmulatedBoard,
    bundle: Path,
    variants: Sequence[str],
    *,
    task: str,
    labels: tuple[str, ...],
    pictures: Sequence[Path] = (),
    postprocess: Mapping[str, Any] | None = None,
    timeout_s: float = 3600.0,
) -> list[BoardAnswers]:
    """Run the golden sets of variants, and let them answer for pictures, on the emulated board.

    Args:
        task, labels: of the bundle.
        pictures: answered one by one, each as the first of a stream.
        postprocess: values that replace the bundle's own for `pictures`.
        timeout_s: a process that takes longer is ended and reported.

    Returns:
        one for each variant, in their order.
    """
    found: list[BoardAnswers] = []
    request = {
        "bundle": str(bundle.absolute()),
        "pictures": [str(path.absolute()) for path in pictures],
        "postprocess": dict(postprocess or {}),
    }
    while len(found) < len(variants):
        left = list(variants[len(found) :])
        events, end = _run(emulated, {**request, "variants": left}, timeout_s)
        by_variant = [[event for event in events if event["variant"] == variant] for variant in left]
        # Whoever had begun is answered for; a process that did not even begin is the first one's fault.
        begun = max(1, sum(bool(some) for some in by_variant))
        found += [_answers(left[i], by_variant[i], end, task, labels) for i in range(begun)]
    return found


def _run(
    emulated: EmulatedBoard, request: Mapping[str, Any], timeout_s: float
) -> tuple[list[dict[str, Any]], str | None]:
    """Run one process on the board; return what it told, and how it ended, None for well."""
    with tempfile.TemporaryDirectory(prefix="edgesdk-board-") as scratch:
        folder = Path(scratch)
        # The package alone, and not the folder it lies in: beside it may be this machine's x86 packages.
        (folder / "own").mkdir()
        (folder / "own/edgesdk_targets").symlink_to(Path(edgesdk_targets.__file__).parent)
        (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
        environment = {**os.environ, BOARD_PATH: f"{folder / 'own'}:{emulated.site}", "EDGESDK_CACHE": str(folder)}
        command: list[str | Path] = [
            emulated.python,
            on_board.__file__,
            folder / "request.json",
            folder / "events.jsonl",
        ]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=timeout_s,
                env=environment,
            )
            end = _ended(done, emulated.board.cpu)
        except subprocess.TimeoutExpired:
            end = f"it was ended after {timeout_s:g} s"
        return _events(folder / "events.jsonl"), end


def _ended(done: subprocess.CompletedProcess[str], cpu: str) -> str | None:
    if done.returncode == 0:
        return None
    # qemu dies of the signal that its guest got; a shell in between adds 128 to its number.
    number = -done.returncode if done.returncode < 0 else done.returncode - 128
    if number in {int(s) for s in signal.Signals}:
        name = signal.Signals(number)
        return _DEADLY.get(name, name.name).format(cpu=cpu)
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return lines[-1][:300] if lines else f"it ended with code {done.returncode}"


def _events(file: Path) -> list[dict[str, Any]]:
    if not file.is_file():
        return []
    events = []
    for line in file.read_text("utf-8").splitlines():
        try:
            events.append(json.loads(line))
        except ValueError:
            # Cut off by a crash.
            break
    return events


def _answers(
    variant: str, events: Sequence[dict[str, Any]], end: str | None, task: str, labels: tuple[str, ...]
) -> BoardAnswers:
    by_name = {event["event"]: event for event in events}
    problem, hint = None, ""
    if "error" in by_name:
        problem, hint = by_name["error"]["message"], by_name["error"]["hint"]
    elif "done" not in by_name:
        known = [stage for name, stage in _STAGES.items() if name in by_name]
        problem = f"it died {known[-1] if known else 'at its start'}: {end or 'without a word'}."
        hint = "Choose another runtime for this board (--variant), or an older wheel of this one."
    return BoardAnswers(
        variant,
        by_name.get("loaded", {}).get("runtime"),
        by_name.get("golden", {}).get("report"),
        tuple(result_of(task, event["answer"], labels) for event in events if event["event"] == "answer"),
        problem,
        hint,
    )
