"""Offer a device bundles that are bad in one way each, all well signed: what stops them, and what does the device say?

    python benchmarks/bad_bundles.py BUNDLE [--soak 60] [--only NAME …] [--json]

A real broker, launcher and agent run a detector on the belt at thirty pictures a second, with the usual limits of a trial. Each bad
bundle is installed as an operator would, and so is a release of the agent that cannot start; the device must be back on the old
model, with results, by itself. A good bundle at the end must stay. BUNDLE is the sample detector, converted for `generic-onnx`. A
class that dies later is missed by a trial shorter than it takes to see that it is no chance. The command ends with 1 where one of
them was not stopped, or the good one was.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/support"))

from edgesdk_targets.bundle.bundle import Bundle, open_bundle  # noqa: E402
from edgesdk_targets.bundle.manifest import Manifest  # noqa: E402
from edgesdk_testkit import bad_models  # noqa: E402
from edgesdk_testkit.agent_wheels import agent_release  # noqa: E402
from edgesdk_testkit.bad_models import Content  # noqa: E402
from edgesdk_testkit.update_site import Site, update_site  # noqa: E402

# A belt whose digits change quickly: how often a label is seen, and how that varies, is known after a minute.
_FPS, _KNOWN_S = 30, 60
_CAMERA = f"source: 'conveyor:?fps={_FPS}', mode: freshest"
# Pictures until a bundle that does well at first does harm: 3 s, and half a minute.
_SOON, _LATE = 3 * _FPS, 30 * _FPS
# The proofs before the switch run no camera: what only then fails is for the launcher.
_CANNOT_START = "import os\nif os.environ.get('EDGESDK_SLOT'):\n    raise SystemExit('it cannot start')\n"


def _with(bundle: Bundle, **changes: Any) -> Content:
    manifest, files = bad_models.as_it_is(bundle)
    data = manifest.model_dump(mode="json", by_alias=True)
    for name, value in changes.items():
        data[name] = {**data[name], **value} if isinstance(value, dict) else value
    return Manifest.model_validate(data), files


def _unreadable(bundle: Bundle) -> Content:
    """A model file that no runtime can load."""
    manifest, files = bad_models.as_it_is(bundle)
    models = {path for variant in manifest.variants for path in variant.files.values()}
    return manifest, {name: data[: len(data) // 2] if name in models else data for name, data in files.items()}


def _later(harm: Callable[[], list[Any]], after: int) -> Callable[[Bundle], Content]:
    return lambda bundle: bad_models.with_clock(bundle, harm, after)


GOOD = "good"
OFFERED: dict[str, Callable[[Bundle], Content] | None] = {
    "crashes at load": _unreadable,
    "swapped channels": lambda bundle: _with(bundle, preprocess={"color": "bgr"}),
    "wrong labels": lambda bundle: _with(bundle, labels=[*bundle.manifest.labels[1:], bundle.manifest.labels[0]]),
    "one class dead": _later(bad_models.misses(10, 9), 0),
    "one class dead after 3 s": _later(bad_models.misses(10, 9), _SOON),
    "crashes after 30 s": _later(bad_models.crashes, _LATE),
    "hangs after 30 s": _later(bad_models.hangs, _LATE),
    "leaks 2 MB a second": _later(bad_models.seeps, _SOON),
    "3x slower": bad_models.three_times,
    "agent that cannot start": None,
    GOOD: bad_models.as_it_is,
}
# By the farthest step that was told.
_BY = {"confirmed": "", "rolled back": "trial", "verified": "golden set", "downloading": "identity"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Offer them all, and tell what became of each."""
    parser = argparse.ArgumentParser(description="Bad bundles on one device.")
    parser.add_argument("bundle", type=Path, help="the sample detector, for generic-onnx")
    parser.add_argument("--soak", type=float, default=60.0, help="seconds of a trial")
    parser.add_argument("--only", choices=OFFERED, nargs="+", default=list(OFFERED), help="instead of all")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args(arguments)
    trial = f"soak_s: {options.soak:g}, trial_s: {options.soak * 10:g}"
    rows: list[dict[str, Any]] = []
    with (
        tempfile.TemporaryDirectory(prefix="edgesdk-bad-") as folder,
        update_site(Path(folder), options.bundle, trial=trial, camera=_CAMERA) as site,
    ):
        site.launch()
        try:
            site.wait_for_results("1.0.1", more=_FPS * _KNOWN_S)
            for number, name in enumerate(options.only, start=2):
                rows.append(_offered(site, number, name))
                _print_row(rows[-1], as_json=options.json)
        finally:
            site.end()
    if options.json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
    return 0 if all(row["stays"] is (row["bundle"] == GOOD) for row in rows) else 1


def _offered(site: Site, number: int, name: str) -> dict[str, Any]:
    """Offer one, and return what the device says of it once it is at rest, with results of what it then runs."""
    version = f"1.0.{number}"
    path = _made(site, number, version, OFFERED[name])
    began = time.monotonic()
    said = site.update("install", str(path), "--answer-within", "120")
    took = time.monotonic() - began
    stays = said.code == 0
    site.wait_for_results(said.found["confirmed"]["version"])
    told = site.wait_for_step(version, said.found["step"])
    # A trial whose agent cannot start is told by nobody but its end.
    steps = {one["step"] for one in told if one.get("version") == version}
    by = next((by for step, by in _BY.items() if step in steps), "refused")
    why = said.found["why"]
    return {"bundle": name, "stays": stays, "stopped_by": "" if stays else by, "why": why, "seconds": took}


def _made(site: Site, number: int, version: str, make: Callable[[Bundle], Content] | None) -> Path:
    if make is None:
        return agent_release(site.bundles, version, number, site.key, {"edgesdk_agent/main.py": _CANNOT_START})
    with open_bundle(site.original) as bundle:
        return site.publish(number, *make(bundle))


def _print_row(row: dict[str, Any], *, as_json: bool) -> None:
    if not as_json:
        end = "stays" if row["stays"] else f"{row['stopped_by']}: {row['why']}"
        sys.stdout.write(f"{row['bundle']:25} {row['seconds']:5.0f} s  {end}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
