"""What reaches a card while the broker is away: a file system of its own, and what its block device was given.

The figure of the outbox counts pages of SQLite. The kernel writes whole blocks of 4 kB, and the file system its journal: so the
same is read from `/proc/self/io`, and from the block device of an ext4 image that is mounted for this (which takes root). System
calls are counted by strace, in a second run. A program of its own does it:

    python benchmarks/outbox_parts/card.py FOLDER SECONDS SYNC_INTERVAL_S
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

DAY_S = 86_400
MEGABYTE = 1e6
_IMAGE_BYTES = 100 << 20
_CALLS = ("fsync", "fdatasync", "pwrite64", "write", "ftruncate")


def card_day(folder: Path, *, sync_interval_s: float, seconds: int = 1800) -> dict[str, object]:
    """Return MB, syncs and writes a day of one result a second and telemetry each 10 s, with nobody who takes them."""
    found: dict[str, object] = {"sync_interval_s": sync_interval_s}
    with _card(folder) as (card, is_card):
        found |= _run([], card / "a", seconds, sync_interval_s)
        if not is_card:
            # The device is everybody's.
            found = {name: value for name, value in found.items() if not name.startswith("device")}
    # Where each call is stopped and counted, a shorter time must do.
    found["calls_day"] = _calls(folder / "counted", seconds // 6, sync_interval_s)
    return found


def _run(before: list[str], folder: Path, seconds: int, sync_interval_s: float) -> dict[str, object]:
    folder.mkdir()
    command = [*before, sys.executable, __file__, str(folder), str(seconds), str(sync_interval_s)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


@contextlib.contextmanager
def _card(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Yield an empty file system and whether it is one of its own."""
    image, place = folder / "card.img", folder / "card"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(_IMAGE_BYTES)
    try:
        subprocess.run(["mkfs.ext4", "-q", str(image)], check=True, capture_output=True)
        subprocess.run(["mount", "-o", "loop,noatime", str(image), str(place)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        yield place, False
        return
    try:
        yield place, True
    finally:
        subprocess.run(["umount", str(place)], check=True)


def _calls(folder: Path, seconds: int, sync_interval_s: float) -> dict[str, int] | None:
    table = folder.with_name("strace.txt")
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        _run(
            ["strace", "-f", "-c", "-o", str(table), "-e", f"trace={','.join(_CALLS)}"],
            folder,
            seconds,
            sync_interval_s,
        )
        columns = [line.split() for line in table.read_text().splitlines()]
        counts = {row[-1]: int(row[3]) for row in columns if row and row[-1] in _CALLS}
        return {call: round(count * DAY_S / seconds) for call, count in counts.items()}
    return None


def main(folder: Path, seconds: int, sync_interval_s: float) -> None:
    """Report for some simulated time, and print what was written in it, as of a day."""
    from edgesdk_agent.link.report_queue import ReportKind
    from edgesdk_agent.outbox.outbox import Outbox
    from edgesdk_agent.outbox.settings import OutboxSettings

    sys.path.insert(0, str(Path(__file__).parents[1]))
    from outbox_parts.reports import EPOCH_WALL_S, NODE, result, telemetry

    clock = [0.0]
    settings = OutboxSettings(max_bytes=1 << 30, bulk_sync_interval_s=sync_interval_s)
    box = Outbox(folder / "outbox.db", NODE, settings, clock=lambda: clock[0], wall=lambda: EPOCH_WALL_S + clock[0])
    box.commit()
    os.sync()
    before, own = (_process_bytes(), *_device(folder)), box.figures()["written_bytes_today"]
    for step in range(seconds * 5):
        clock[0] = (step + 1) / 5
        if step % 5 == 0:
            box.put(ReportKind.RESULT, result(clock[0]))
        if step % 50 == 0:
            box.put(ReportKind.TELEMETRY, telemetry(clock[0]))
        box.step()
    after, scale = (_process_bytes(), *_device(folder)), DAY_S / seconds
    process, device, writes = (round((b - a) * scale) for a, b in zip(before, after, strict=True))
    figures = {
        "outbox_mb_day": round((box.figures()["written_bytes_today"] - own) * scale / MEGABYTE, 1),
        "process_mb_day": round(process / MEGABYTE, 1),
        "device_mb_day": round(device / MEGABYTE, 1),
        "device_writes_day": writes,
    }
    print(json.dumps(figures))


def _process_bytes() -> int:
    """Return what this process had written, less what was deleted before it was."""
    lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(lines["write_bytes"]) - int(lines["cancelled_write_bytes"])


def _device(folder: Path) -> tuple[int, int]:
    """Return the bytes and the requests that the folder's block device was given; zeros where it has none."""
    number = folder.stat().st_dev
    with contextlib.suppress(OSError):
        fields = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}/stat").read_text().split()
        return int(fields[6]) * 512, int(fields[4])
    return 0, 0


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
