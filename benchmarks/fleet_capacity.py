"""How many devices one node holds, and what is lost when its parts die.

    python benchmarks/fleet_capacity.py [PART ...] [--seconds S] [--devices N ...] [--stores sqlite postgresql] [--out FILE]

Parts: `steady` (one report a second of each device, QoS 1, each commit synced: how much is stored, how late, whose processor time),
`drain` (a backlog at the broker into the store beside `mosquitto_sub`, by turns), `one-of-two` (one of two collectors on PostgreSQL
is killed), `storm` (collector, broker and database are killed at random), `reconnection` (500 devices by mutual TLS, broker
restarted). All processes share this machine, the devices too; they are a compiled program (`capacity/devices.c`), so that the
processor time is the collector's. What a part finds replaces what it found before in `benchmarks/results/fleet_capacity.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "tests/support")]

from capacity.drain import drain  # noqa: E402
from capacity.generator import compiled  # noqa: E402
from capacity.reconnection import reconnection  # noqa: E402
from capacity.steady import steady  # noqa: E402
from capacity.survival import one_of_two, storm  # noqa: E402

RESULTS = ROOT / "benchmarks/results/fleet_capacity.json"
PARTS = ("steady", "drain", "one-of-two", "storm", "reconnection")


def main() -> int:
    """Run the parts, and write what each found as soon as it has."""
    options = _options()
    _let_open(20_000)
    document: dict[str, Any] = json.loads(options.out.read_text("utf-8")) if options.out.exists() else {}
    with tempfile.TemporaryDirectory(prefix="edgesdk-devices-") as folder:
        program = compiled(Path(folder))
        for name, found in _run(options, program):
            print(f"{name}: {json.dumps(found)}", file=sys.stderr)
            document["made"] = {
                "python": platform.python_version(),
                "machine": platform.machine(),
                "cores": len(os.sched_getaffinity(0)),
            }
            document[name] = found
            options.out.parent.mkdir(parents=True, exist_ok=True)
            options.out.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    problems = list(_problems(document))
    print("\n".join(problems or ["All is as it must be."]), file=sys.stderr)
    return 1 if problems else 0


def _problems(document: dict[str, Any]) -> Iterator[str]:
    """Return what was found and must not be; how late reports are depends on the machine, and is for people to judge."""
    for name, found in document.items():
        if name.endswith("control"):
            if not found["lost"]:
                yield f"{name}: lost nothing, so the storm proves nothing"
        elif "made" in found and "stored_rows" in found and found["made"] != found["stored_rows"]:
            yield f"{name}: {found['made']} made, {found['stored_rows']} stored"
        elif name.startswith("drain") and found["ratio"] < 0.4:
            yield f"{name}: drains at {found['ratio']} of mosquitto_sub"


def _run(options: argparse.Namespace, program: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for part in options.parts or PARTS:
        if part == "steady":
            for store in options.stores:
                for devices in options.devices:
                    yield f"steady {store} {devices}", steady(program, store, devices, options.seconds)
        elif part == "drain":
            yield f"drain {options.stores[0]}", drain(program, options.stores[0], options.messages, options.rounds)
        elif part == "one-of-two":
            yield "one of two", one_of_two(program, options.devices[0], options.seconds)
        elif part == "storm":
            for store in options.stores:
                yield f"storm {store}", storm(program, store, 500, options.seconds, options.seed)
                control = storm(program, store, 500, min(options.seconds, 15), options.seed, control=True)
                yield f"storm {store} control", control
        else:
            yield "reconnection", reconnection(500, after_s=options.seconds)


def _let_open(files: int) -> None:
    """Let this process and those that it starts, the broker among them, have so many connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = files if hard == resource.RLIM_INFINITY else min(files, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=(*PARTS, []), help="all unless named")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--devices", type=int, nargs="+", default=[5000, 10_000])
    parser.add_argument("--stores", nargs="+", choices=("sqlite", "postgresql"), default=["sqlite", "postgresql"])
    parser.add_argument("--messages", type=int, default=60_000, help="of a backlog that is drained")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
