"""What a report takes packed, as a table and deflated alone, and what packing costs: random reports, and a real agent's.

The real ones are what an agent itself keeps while its broker is away: a detector on a film. A film is shorter than a segment of one
result a second, so that each second's first frames come first, then each second's next ones: no frame comes twice.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path

from edgesdk_agent.link.report_queue import ReportKind
from edgesdk_agent.outbox.packing import Record, as_records
from edgesdk_agent.outbox.store import Store
from edgesdk_targets.messages import SEGMENT_RECORDS, pack_segment, pack_segment_as_table, unpack_segment
from outbox_parts.reports import NODE, result, telemetry

EPOCH = "5f2c9a1be0d34477"
AT = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
_FEW = 20 * SEGMENT_RECORDS
_FRAMES_A_SECOND = 12


def packing(folder: Path, bundle: Path | None, film: Path | None) -> dict[str, object]:
    """Return bytes and microseconds a report, by stream."""
    streams = {"random results": _random(result), "random telemetry": _random(telemetry)}
    if bundle is not None and film is not None:
        streams |= {f"{bundle.stem} on {film.stem}": _real(folder, bundle, film)}
    return {name: _packed(records) for name, records in streams.items()}


def _packed(records: Sequence[Record]) -> dict[str, float]:
    chunks = [
        records[at : at + SEGMENT_RECORDS] for at in range(0, len(records) - SEGMENT_RECORDS + 1, SEGMENT_RECORDS)
    ]
    count = sum(map(len, chunks))
    found: dict[str, float] = {
        "reports": count,
        "json_bytes": round(sum(len(body) for _, body in records) / len(records)),
    }
    for name, pack in (("deflated", pack_segment), ("table", pack_segment_as_table)):
        began = time.process_time()
        bodies = [pack(NODE, AT, EPOCH, chunk) for chunk in chunks]
        took = time.process_time() - began
        found[f"{name}_bytes"] = round(sum(map(len, bodies)) / count, 1)
        found[f"{name}_us"] = round(1e6 * took / count, 1)
    return found


def _random(make: Callable[..., Callable[[str, int], object]]) -> list[Record]:
    return [(seq, make(float(seq))(EPOCH, seq).payload) for seq in range(1, _FEW + 1)]  # type: ignore[attr-defined]


def _real(folder: Path, bundle: Path, film: Path) -> list[Record]:
    """Return the results that an agent keeps of a film."""
    box = folder / "outbox.db"
    config = {
        "bundle": str(bundle.absolute()),
        "device": {"name": "cam1"},
        "cameras": [{"name": "door", "source": str(film.absolute())}],
        "pipeline": {"tune": "off", "threads": 1},
        # Nobody listens at the discard port.
        "mqtt": {"url": "mqtt://127.0.0.1:9"},
        "outbox": {"path": str(box)},
    }
    (folder / "edgesdk.yaml").write_text(json.dumps(config))
    words = [sys.executable, "-m", "edgesdk_agent.main", "run", "--config", str(folder / "edgesdk.yaml"), "--quiet"]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    store = Store(box)
    try:
        kept = [
            record
            for segment in store.segments(ReportKind.RESULT)
            for record in unpack_segment(store.body(segment) or b"")
        ]
        kept += as_records(store.rows(ReportKind.RESULT, 1 << 20))
    finally:
        store.close()
    kept.sort()
    return [record for phase in range(_FRAMES_A_SECOND) for record in kept[phase::_FRAMES_A_SECOND]]
