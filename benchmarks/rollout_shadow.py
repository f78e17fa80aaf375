"""A roll-out with a shadow wave on real processes: the fleet's service, a broker, and devices on virtual cameras.

    python benchmarks/rollout_shadow.py BUNDLE [--devices 3] [--json]

A good release of BUNDLE runs beside the old one on the first device, is promoted, and comes to all. Then one that no longer
knows one class: its golden set holds, as the harm begins later, and the shadow run is to find it. Ends with a traceback where the
first does not reach everybody, or the second becomes what any device runs. BUNDLE is the sample detector, with a variant for
`generic-onnx`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/support"))

from edgesdk_targets.bundle.bundle import open_bundle  # noqa: E402
from edgesdk_testkit import bad_models  # noqa: E402
from edgesdk_testkit.rollout_site import fleet_site, must, tell  # noqa: E402

# A shadow run that may take what it wants: it is the verdict that is looked at, and not its price.
_SHADOW = {"devices": 1, "lasts_s": 110, "share": 1.0}
_UPDATE = "shadow: {busy_percent: 101, older: 100, apart_s: 0, look_s: 0.1}"
_CAMERA = "source: 'conveyor:?fps=15', mode: freshest"
# Pictures before it misses a class: more than the golden set has, whose pictures begin a run each.
_DEAD_CLASS, _AFTER = 7, 8


def main(arguments: Sequence[str] | None = None) -> int:
    """Roll out a good one and a broken one, and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--devices", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory() as folder,
        fleet_site(
            Path(folder), options.bundle, options.devices, camera=_CAMERA, update=_UPDATE, more="target: generic-onnx\n"
        ) as site,
    ):
        maker = next(iter(site.devices.values()))
        good = site.outcome(maker.published(2), shadow=_SHADOW)
        must(good["code"] == 0 and good["steps"] == {"confirmed": options.devices}, good)
        site.wait_for_versions("1.0.2")
        with open_bundle(options.bundle) as bundle:
            harm = bad_models.misses(len(bundle.manifest.labels), _DEAD_CLASS)
            broken = maker.publish(3, *bad_models.with_clock(bundle, harm, _AFTER))
        bad = site.outcome(broken, shadow=_SHADOW)
        must(bad["code"] == 3 and bad["status"] == "rolled back", bad)
        must(bad["shadow"]["failed"] == 1 and "differ" in bad["why"], bad)
        site.wait_for_versions("1.0.2")
        results = Counter(str(one.body["bundle"]["version"]) for one in site.listener.heard("up/result"))
        must(set(results) == {"1.0.1", "1.0.2"}, f"somebody ran it: {results}")
    found = {
        "devices": options.devices,
        "good": good["status"],
        "good_shadow": good["shadow"],
        "good_s": good["seconds"],
        "broken": bad["status"],
        "broken_shadow": bad["shadow"],
        "broken_why": bad["why"],
        "results": results.total(),
        "results_of_the_broken_one": results["1.0.3"],
    }
    tell(found, as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
