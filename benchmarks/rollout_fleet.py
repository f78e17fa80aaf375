"""A roll-out on real processes: the fleet's service, a broker, and devices under their launchers on virtual cameras.

    python benchmarks/rollout_fleet.py BUNDLE [--devices 10] [--json]

A good release of BUNDLE comes to all of them, wave by wave; then one whose colours are swapped, which the first device's golden set
stops. Ends with a traceback where the first does not reach everybody, or the second reaches a second device.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/support"))

from edgesdk_testkit.rollout_site import fleet_site, node_of  # noqa: E402


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--devices", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, fleet_site(Path(folder), options.bundle, options.devices) as site:
        maker = next(iter(site.devices.values()))
        began = time.monotonic()
        with contextlib.redirect_stdout(io.StringIO()):
            good = site.deploy(maker.published(2))
        _must(good == 0, site.newest())
        took_s = time.monotonic() - began
        site.wait_for_versions("1.0.2")
        done = site.newest()
        with contextlib.redirect_stdout(io.StringIO()):
            stopped = site.deploy(maker.published(3, color="bgr"))
        _must(stopped == 3, site.newest())
        bad = site.newest()
        tried = {
            node_of(one)
            for one in site.listener.heard()
            if one.channel == "up/event"
            and one.body["name"] == "update_step"
            and one.body["data"].get("version") == "1.0.3"
        }
        _must(len(tried) == 1, tried)
        site.wait_for_versions("1.0.2")
    found = {
        "devices": options.devices, "good": done["status"], "good_steps": done["steps"], "good_s": round(took_s, 1),
        "bad": bad["status"], "bad_tried_on": len(tried), "bad_why": bad["why"],
    }  # fmt: skip
    print(
        json.dumps(found, indent=2) if options.json else "\n".join(f"{name}: {value}" for name, value in found.items())
    )
    return 0


def _must(held: bool, found: object) -> None:
    if not held:
        raise RuntimeError(f"this is not as it must be: {found}")


if __name__ == "__main__":
    sys.exit(main())
