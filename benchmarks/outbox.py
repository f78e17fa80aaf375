"""What the outbox costs: a put, a day of a card and of an uplink, three days offline, and how such a backlog drains.

    python benchmarks/outbox.py [put] [packing] [day] [card] [evidence] [offline] [drain] [--hours 72]

Each part writes its figures into `benchmarks/results/outbox.json`, beside those of the other parts. `drain` sends what `offline`
left in `--folder`, at the default rate, which takes seven minutes; all else takes three. `packing` measures a real agent's reports
too where `--bundle` and `--film` are given.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/support"))

from outbox_parts import backlog, card, day, evidence_day, packing, put_cost  # noqa: E402

PARTS = ("put", "packing", "day", "card", "evidence", "offline", "drain")
RESULTS = ROOT / "benchmarks/results/outbox.json"


def main() -> None:
    """Measure the parts that are asked for, and write what was found."""
    options = _options()
    found: dict[str, Any] = json.loads(options.json.read_text("utf-8")) if options.json.exists() else {}
    found["made"] = {"python": platform.python_version(), "machine": platform.machine()}
    for part in options.parts or PARTS:
        with tempfile.TemporaryDirectory(prefix="edgesdk-outbox-") as folder:
            found[part] = _measured(part, Path(folder), options)
        print(f"{part}: {json.dumps(found[part], indent=1)}")
        options.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


def _measured(part: str, folder: Path, options: argparse.Namespace) -> object:
    if part == "put":
        return put_cost.put_cost(folder)
    if part == "packing":
        return packing.packing(folder, options.bundle, options.film)
    if part == "day":
        return {
            f"{rate:g} results/s, telemetry each 10 s, {'collected' if collected else 'broker away'}": day.day(
                folder / f"{rate}-{collected}", results_per_s=rate, collected=collected
            )
            for rate in (1.0, 10.0)
            for collected in (True, False)
        }
    if part == "card":
        return {
            name: card.card_day(_made(folder / name), sync_interval_s=interval_s)
            for name, interval_s in (("each 30 s", 30.0), ("control, each second", 1.0))
        }
    if part == "evidence":
        return evidence_day.evidence_day(folder)
    if part == "offline":
        return backlog.offline(options.folder, options.hours)
    return backlog.drain(options.folder, folder, options.backlog_per_s)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=PARTS, help="all of them unless given")
    parser.add_argument("--hours", type=float, default=72.0, help="offline, simulated")
    parser.add_argument(
        "--backlog-per-s", type=float, default=600.0, help="reports of the backlog in a second, at most"
    )
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "edgesdk-outbox-offline")
    parser.add_argument("--bundle", type=Path, help="of a detector, for `packing`")
    parser.add_argument("--film", type=Path, help="that it looks at")
    parser.add_argument("--json", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
