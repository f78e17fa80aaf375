"""Offer a device bundles that are bad in one way each, all well signed: what stops them, and what does the device say?

    python benchmarks/bad_bundles.py BUNDLE [--soak 60] [--only NAME] [--json]

A real broker, launcher and agent run a detector on the belt. Each bad bundle is installed as an operator would; the device must
be back on the old model, with results, by itself. A good bundle at the end must stay. BUNDLE is the sample detector, converted for
`generic-onnx`. A class that dies later is missed by a trial
shorter than it takes to see that it is no chance. The command ends with 1 where one of them was not stopped, or the good one was.
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
from edgesdk_testkit.update_site import Site, update_site  # noqa: E402

Content = tuple[Manifest, dict[str, bytes]]
# A belt whose digits change quickly: how often a label is seen, and how that varies, is known after a minute.
_FPS, _KNOWN_S = 30, 60
_CAMERA = f"source: 'conveyor:?fps={_FPS}', mode: freshest"
# Pictures until a bundle that does well at first does harm.
_AFTER = 90


def _as_it_is(bundle: Bundle) -> Content:
    return bundle.manifest, {name: bundle.read(name) for name in bundle.manifest.files}


def _with(bundle: Bundle, **changes: Any) -> Content:
    manifest, files = _as_it_is(bundle)
    data = manifest.model_dump(mode="json", by_alias=True)
    for name, value in changes.items():
        data[name] = {**data[name], **value} if isinstance(value, dict) else value
    return Manifest.model_validate(data), files


def _unreadable(bundle: Bundle) -> Content:
    """A model file that no runtime can load."""
    manifest, files = _as_it_is(bundle)
    models = {path for variant in manifest.variants for path in variant.files.values()}
    return manifest, {name: data[: len(data) // 2] if name in models else data for name, data in files.items()}


def _later(harm: Callable[[], list[Any]]) -> Callable[[Bundle], Content]:
    return lambda bundle: bad_models.with_clock(bundle, harm, _AFTER)


BAD: dict[str, Callable[[Bundle], Content]] = {
    "crashes at load": _unreadable,
    "swapped channels": lambda bundle: _with(bundle, preprocess={"color": "bgr"}),
    "wrong labels": lambda bundle: _with(bundle, labels=[*bundle.manifest.labels[1:], bundle.manifest.labels[0]]),
    "one class dead": lambda bundle: bad_models.with_clock(bundle, bad_models.misses(10, 9), 0),
    "one class dead, later": _later(bad_models.misses(10, 9)),
    "crashes after a while": _later(bad_models.crashes),
    "hangs": _later(bad_models.hangs),
    "leaks": _later(bad_models.leaks),
    "slow": _later(bad_models.is_slow),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Offer them all, and tell what became of each."""
    parser = argparse.ArgumentParser(description="Bad bundles on one device.")
    parser.add_argument("bundle", type=Path, help="the sample detector, for generic-onnx")
    parser.add_argument("--soak", type=float, default=60.0, help="seconds of a trial")
    parser.add_argument("--only", choices=BAD)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args(arguments)
    trial = f"soak_s: {options.soak:g}, frames: 20, slower: 3, trial_s: {options.soak * 10:g}, trial_starts: 2"
    rows: list[dict[str, Any]] = []
    with (
        tempfile.TemporaryDirectory(prefix="edgesdk-bad-") as folder,
        update_site(Path(folder), options.bundle, trial=trial, camera=_CAMERA) as site,
    ):
        site.launch()
        try:
            site.wait_for_results("1.0.1", more=_FPS * _KNOWN_S)
            wanted = [options.only] if options.only else [*BAD]
            for number, name in enumerate(wanted, start=2):
                rows.append(_offered(site, number, name, BAD[name]))
                _print_row(rows[-1], as_json=options.json)
            rows.append(_offered(site, 99, "good", _as_it_is))
            _print_row(rows[-1], as_json=options.json)
        finally:
            site.end()
    if options.json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
    return 0 if all(row["stays"] is (row["bundle"] == "good") for row in rows) else 1


def _offered(site: Site, number: int, name: str, make: Callable[[Bundle], Content]) -> dict[str, Any]:
    """Offer a bundle, and return what the device says of it once it is at rest, with results of what it then runs."""
    with open_bundle(site.original) as bundle:
        path = site.publish(number, *make(bundle))
    began = time.monotonic()
    said = site.update("install", str(path), "--answer-within", "120")
    took = time.monotonic() - began
    stays = said.code == 0
    site.wait_for_results(said.found["confirmed"]["version"])
    steps = [one["step"] for one in site.wait_for_step(f"1.0.{number}", said.found["step"])]
    # It came as far as this.
    reached = next(one for one in ("trial", "verified", "downloading") if one in steps[steps.index("downloading") :])
    told = said.found["why"]
    return {"bundle": name, "stays": stays, "stopped_by": "" if stays else _BY[reached], "why": told, "seconds": took}


_BY = {"trial": "trial", "verified": "golden set", "downloading": "identity"}


def _print_row(row: dict[str, Any], *, as_json: bool) -> None:
    if not as_json:
        end = "stays" if row["stays"] else f"{row['stopped_by']}: {row['why']}"
        sys.stdout.write(f"{row['bundle']:22} {row['seconds']:5.0f} s  {end}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
