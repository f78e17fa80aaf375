"""Kill launcher and agent at random moments of updates, for real: does a working model always come back by itself?

    python benchmarks/update_storm.py BUNDLE [--updates 10] [--kills 4] [--seed 1] [--json]

Each update offers a newer, good release of BUNDLE to a device with a real broker, and ends processes by SIGKILL meanwhile; a
launcher that ended is started again, as a service manager does. Then the device is left alone: it must come to rest, with results
of the release that it says it runs. A candidate that was killed at each of its starts is rightly taken back; the device then
runs what it ran. The command ends with a traceback at the first device that does not work.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/support"))

from edgesdk_agent.update import launcher  # noqa: E402
from edgesdk_agent.update.record import RecordFile  # noqa: E402
from edgesdk_agent.update.wish import WishFiles  # noqa: E402
from edgesdk_testkit.frame_account import captured_s  # noqa: E402
from edgesdk_testkit.update_site import Site, agent_of, update_site, wait_for  # noqa: E402

# An update of this bundle takes some seconds from the wish to the confirmation.
_BETWEEN_KILLS_S = 5.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Update and kill, and tell what became of it."""
    parser = argparse.ArgumentParser(description="Updates of one device whose processes are killed.")
    parser.add_argument("bundle", type=Path, help="with a golden set, for this machine")
    parser.add_argument("--updates", type=int, default=10)
    parser.add_argument(
        "--kills", type=int, default=4, help="at most, in each update; 0 shows what an update alone takes"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args(arguments)
    chance, killed, ended = random.Random(options.seed), Counter[str](), Counter[str]()
    pauses: list[float] = []
    with (
        tempfile.TemporaryDirectory(prefix="edgesdk-storm-") as folder,
        update_site(Path(folder), options.bundle) as site,
    ):
        site.launch()
        try:
            site.wait_for_results("1.0.1")
            for number in range(2, 2 + options.updates):
                path = site.published(number)
                site.update("install", str(path), "--no-wait")
                began = len(_captured(site))
                for _ in range(chance.randint(min(1, options.kills), options.kills)):
                    _wait(site, chance.uniform(0.0, _BETWEEN_KILLS_S))
                    killed[_kill_one(site, chance)] += 1
                version, step = _at_rest(site)
                site.wait_for_results(version)
                ended[step] += 1
                times = _captured(site)[max(0, began - 1) :]
                pauses.append(max(after - before for before, after in pairwise(times)))
                if not options.json:
                    print(
                        f"1.0.{number}: {step}, {version} brings results; the longest pause was {pauses[-1]:.1f} s",
                        flush=True,
                    )
        finally:
            site.keep_launched()
            site.end()
    told = {"seed": options.seed, "killed": dict(sorted(killed.items())), "ended": dict(ended), "pauses_s": pauses}
    print(
        json.dumps(told)
        if options.json
        else f"killed: {told['killed']}; ended: {told['ended']}; always a working model"
    )
    return 0


def _captured(site: Site) -> list[float]:
    """Return when the frames of all results so far were captured, in seconds since 1970."""
    return sorted(captured_s(one.body) for one in site.listener.heard("up/result"))


def _wait(site: Site, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        site.keep_launched()
        time.sleep(0.05)


def _kill_one(site: Site, chance: random.Random) -> str:
    """Kill launcher or agent, and return which, and at which step of the update."""
    step, switch = RecordFile(site.root).now.step.value, launcher.read_switch(site.root)
    if chance.random() < 0.5:
        site.kill_launcher()
        return f"launcher, {step}"
    if process := agent_of(site.root, switch.runs) or agent_of(site.root, switch.active):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
        return f"agent, {step}"
    return "nobody, between two"


def _at_rest(site: Site) -> tuple[str, str]:
    """Wait until nothing is asked for or under way, and return the version that is confirmed, and how the update ended."""

    def settled() -> bool:
        site.keep_launched()
        quiet = WishFiles(site.root).wish() is None and launcher.read_switch(site.root).trial is None
        return quiet and RecordFile(site.root).now.step.at_rest

    wait_for(settled, "the update never came to an end")
    switch = launcher.read_switch(site.root)
    version = launcher.read_json(site.root / "slots" / switch.active / launcher.SLOT_FILE)["version"]
    return version, RecordFile(site.root).now.step.value


if __name__ == "__main__":
    raise SystemExit(main())
