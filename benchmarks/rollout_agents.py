"""A roll-out of the agent's own program on real processes: the fleet's service, a broker, and devices on virtual cameras.

    python benchmarks/rollout_agents.py BUNDLE [--devices 3] [--json]

A release of the agent comes to all of them by the slots, wave by wave; then one that is proven and dies at every start, of which
the first device's launcher goes back by itself; then one word takes the first release back from all. Each of the environments
is made by the real `venv` and `pip`. Ends with a traceback where the good one does not reach everybody, the bad one reaches a
second device, or one does not come back.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/support"))

from edgesdk_testkit.agent_wheels import agent_release  # noqa: E402
from edgesdk_testkit.rollout_site import FleetSite, fleet_site, must, node_of, tell  # noqa: E402
from edgesdk_testkit.update_site import wait_for  # noqa: E402

# The proofs before the switch run no camera: what only then fails is for the launcher.
_DIES = "import os\nif os.environ.get('EDGESDK_SLOT'):\n    raise SystemExit('it cannot start')\n"
_FILE = "edgesdk_agent/main.py"


def main(arguments: Sequence[str] | None = None) -> int:
    """Roll out a good one and a bad one, take the good one back, and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--devices", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, fleet_site(Path(folder), options.bundle, options.devices) as site:
        maker = next(iter(site.devices.values()))
        before = _agents(site)
        good = site.outcome(agent_release(maker.bundles, "9.9.1", 1, maker.key))
        must(good["code"] == 0 and good["steps"] == {"confirmed": options.devices}, good)
        must(set(_agents(site).values()) == {("9.9.1", good["digest"])}, _agents(site))
        bad = site.outcome(agent_release(maker.bundles, "9.9.2", 2, maker.key, {_FILE: _DIES}))
        must(bad["code"] == 3 and bad["status"] == "rolled back", bad)
        tried = site.tried("9.9.2")
        must(len(tried) == 1, tried)
        must(set(_agents(site).values()) == {("9.9.1", good["digest"])}, _agents(site))
        with contextlib.redirect_stdout(io.StringIO()):
            code = site.rollback(good["key"])
        back = site.shown(good["key"])
        # Who tried the bad one has its slot filled by that: it says that it cannot, and stays.
        must(back["steps"] == {"back": options.devices - 1, "stays": 1} and code == 3, back)
        stayed = {one["node"] for one in back["shown"] if one["step"] == "stays"}
        must(stayed == tried, back)
        wait_for(lambda: all(_agents(site)[node] == before[node] for node in site.devices if node not in stayed))
        site.wait_for_versions("1.0.1")
    found = {
        "devices": options.devices,
        "agents_before": sorted(set(before.values())),
        "good": good["status"],
        "good_steps": good["steps"],
        "good_s": good["seconds"],
        "bad": bad["status"],
        "bad_tried_on": len(tried),
        "bad_why": bad["why"],
        "taken_back": back["steps"],
    }
    tell(found, as_json=options.json)
    return 0


def _agents(site: FleetSite) -> dict[str, tuple[str, str]]:
    """Return what each device's newest birth says of its agent: version, and digest of its release."""
    births = {node_of(one): one.body for one in site.listener.heard("up/birth")}
    return {node: (body["agent_version"], body.get("agent_digest", "")) for node, body in births.items()}


if __name__ == "__main__":
    sys.exit(main())
