"""A roll-out on real processes, every frame counted: the fleet's service, a broker, and devices on virtual cameras.

    python benchmarks/rollout_fleet.py BUNDLE [--devices 10] [--fps 4] [--usual-limits] [--json]

A good release of BUNDLE comes to all of them, wave by wave, while each reports every frame of its camera; then one whose colours
are swapped, which the first device's golden set stops. In the end all agents are stopped, and of each the frames that its camera
gave are compared with the results in the service's store. Ends with a traceback where the first does not reach everybody, the
second reaches a second device or changes what one runs, or a frame has neither a result nor a cause.

What the roll-out's health and a device's trial look at is loosened, so that it takes minutes on a machine that does other work:
see `QUICK` in `rollout_site` and `Site.trial`. With --usual-limits it is as in docs/rollouts.md and docs/updating.md, but for a
soak of a minute each and `health.age_budget_ms: 60000`.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/support"))

from edgesdk_testkit.frame_account import FrameAccount, account_of, capture_gaps, results_of  # noqa: E402
from edgesdk_testkit.rollout_site import FleetSite, ended, fleet_site, must, node_of, tell  # noqa: E402
from edgesdk_testkit.update_site import wait_for  # noqa: E402

# As they are without a word, but for the time that each takes.
_USUAL_TRIAL, _USUAL_RULES = "soak_s: 60", {"soak_s": 60}
# By then devices have something that they can be compared with.
_KNOWN_S = 60


def main(arguments: Sequence[str] | None = None) -> int:
    """Roll out a good one and a bad one, count the frames, and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--devices", type=int, default=10)
    parser.add_argument("--fps", type=float, default=4.0, help="of each camera")
    parser.add_argument("--usual-limits", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    camera = f"source: 'conveyor:?fps={options.fps:g}', mode: every_frame"
    how = {"trial": _USUAL_TRIAL, "rules": _USUAL_RULES} if options.usual_limits else {}
    with (
        tempfile.TemporaryDirectory() as folder,
        fleet_site(Path(folder), options.bundle, options.devices, camera=camera, **how) as site,
    ):
        if options.usual_limits:
            time.sleep(_KNOWN_S)
        found = {"devices": options.devices, **_good(site), **_bad(site), **_frames(site)}
    tell(found, as_json=options.json)
    return 0


def _good(site: FleetSite) -> dict[str, Any]:
    done = site.outcome(next(iter(site.devices.values())).published(2))
    must(done["code"] == 0 and done["steps"] == {"confirmed": len(site.devices)}, done)
    site.wait_for_versions("1.0.2")
    return {"good": done["status"], "good_steps": done["steps"], "good_s": done["seconds"]}


def _bad(site: FleetSite) -> dict[str, Any]:
    bad = site.outcome(next(iter(site.devices.values())).published(3, color="bgr"))
    must(bad["code"] == 3 and bad["status"] == "rolled back", bad)
    tried = site.tried("1.0.3")
    must(len(tried) == 1, tried)
    # Each goes on with what it ran.
    before = Counter(_nodes_of_results(site))
    wait_for(lambda: all(count > before[node] for node, count in Counter(_nodes_of_results(site)).items()))
    return {"bad": bad["status"], "bad_tried_on": len(tried), "bad_why": bad["why"]}


def _nodes_of_results(site: FleetSite) -> list[str]:
    return [node_of(one) for one in site.listener.heard("up/result")]


def _frames(site: FleetSite) -> dict[str, Any]:
    """Stop every agent, and count."""
    for device in site.devices.values():
        ended(device)

    def counted() -> dict[str, FrameAccount]:
        return {name: account_of(site.db, name, one.summaries()) for name, one in site.devices.items()}

    # What was said last may be on its way into the store.
    with contextlib.suppress(AssertionError):
        wait_for(lambda: all(one.is_complete for one in counted().values()))
    accounts = counted()
    must(all(one.is_complete for one in accounts.values()), accounts)
    must(all(set(one.versions) == {"1.0.1", "1.0.2"} for one in accounts.values()), accounts)
    return {**_told(accounts), **_pauses(site)}


def _told(accounts: Mapping[str, FrameAccount]) -> dict[str, Any]:
    dropped, versions = Counter[str](), Counter[str]()
    for one in accounts.values():
        dropped.update(one.dropped)
        versions.update(one.versions)
    every = accounts.values()
    return {
        "frames_of_cameras": sum(one.captured for one in every),
        "results_in_the_store": sum(one.results for one in every),
        "dropped_by_cause": dict(dropped),
        "unaccounted": sum(one.unaccounted for one in every),
        "twice": sum(one.found.twice for one in every),
        "starts_of_agents": sum(one.found.lives for one in every),
        "results_by_version": dict(sorted(versions.items())),
    }


def _pauses(site: FleetSite) -> dict[str, Any]:
    """Return how far neighbouring frames of each device lie apart: as a rule, and where another model took over."""
    found = {name: capture_gaps(results_of(site.db, name)) for name in site.devices}
    return {
        "usual_gap_s": round(median(one.usual for one in found.values()), 3),
        "longest_gap_at_swap_s": {name: round(max(one.at_swaps), 3) for name, one in found.items()},
        "longest_gap_s": round(max(one.longest for one in found.values()), 3),
    }


if __name__ == "__main__":
    sys.exit(main())
