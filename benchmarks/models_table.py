"""Make the table of models: family by precision, each with its accuracy, parity, size and speed.

    python benchmarks/models_table.py [--quick] [--only NAME …] [--again]

Writes `benchmarks/results/models.json` and the table in `docs/models.md`. Real weights come from the folder that
EDGESDK_ASSETS names (`../shared/assets` beside the repository otherwise); without it only the sample models are
measured. What is finished is kept in `.cache/models_table`, so that a run that was broken off goes on where it was;
a change of the code or of the versions measures anew. About 25 minutes on two cores.
"""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import json
import os
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from table.cases import ROOT, Case, Places, cases
from table.measure_case import Effort, measure_case
from table.page import write_page

from edgesdk.benchmark.host import host_facts

RESULTS = ROOT / "benchmarks/results/models.json"
PAGE = ROOT / "docs/models.md"
_PACKAGES = ("torch", "onnx", "onnxruntime", "openvino", "nncf", "ai-edge-litert", "litert-torch", "ai-edge-quantizer")
_SOURCES = ("sdk", "targets", "converters", "benchmarks", "tests/real/models", "examples/digits")
_FULL, _QUICK = Effort(rounds=7, slice_s=0.3), Effort(rounds=3, slice_s=0.1)
_QUICK_EVERY = 12


def main() -> None:
    """Measure what is asked for, and write the files."""
    options = _options()
    assets = Path(os.environ.get("EDGESDK_ASSETS") or ROOT.parent / "shared/assets")
    places = Places(
        assets if (assets / "SHA256SUMS").is_file() else None,
        ROOT / ".cache/models_table",
        _QUICK_EVERY if options.quick else 1,
    )
    chosen = [case for case in cases() if not options.only or case.name in options.only]
    if places.assets is None:
        print(f"no real weights in {assets}: only the sample models", file=sys.stderr)
        chosen = [case for case in chosen if not case.from_assets]
    if not chosen:
        raise SystemExit(f"nothing to measure; there are: {', '.join(case.name for case in cases())}")
    models = [_measured(case, places, options) for case in chosen]
    results = {"made": _made(options), "models": models}
    if options.quick or options.only:
        target = places.scratch / "models.json"
        target.write_text(_json(results), "utf-8")
        print(f"{target} (a part of the table is not published)")
        return
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(_json(results), "utf-8")
    write_page(PAGE, results)
    print(f"{RESULTS.relative_to(ROOT)}, {PAGE.relative_to(ROOT)}")


def _measured(case: Case, places: Places, options: argparse.Namespace) -> dict[str, Any]:
    """Return a model's part, from an earlier run where nothing has changed since."""
    kept = places.scratch / f"{case.name}{'-quick' if options.quick else ''}.json"
    key = _key()
    if kept.is_file() and not options.again:
        document: dict[str, Any] = json.loads(kept.read_text("utf-8"))
        if document["key"] == key:
            print(f"{case.name}: kept", file=sys.stderr)
            return dict(document["model"])
    begun = time.monotonic()

    def say(line: str) -> None:
        print(f"{case.name} {time.monotonic() - begun:5.0f} s  {line}", file=sys.stderr)

    model = measure_case(case, places, _QUICK if options.quick else _FULL, say)
    model["seconds"] = round(time.monotonic() - begun)
    places.scratch.mkdir(parents=True, exist_ok=True)
    kept.write_text(_json({"key": key, "model": model}), "utf-8")
    return model


def _key() -> str:
    """Name the code and the versions that the figures come from."""
    digest = hashlib.sha256(json.dumps(_versions()).encode())
    for folder in _SOURCES:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in {".py", ".yaml", ".json"} and path != RESULTS:
                digest.update(path.read_bytes())
    return digest.hexdigest()


def _made(options: argparse.Namespace) -> dict[str, object]:
    command = " ".join(["python benchmarks/models_table.py", *(["--quick"] if options.quick else [])])
    host = host_facts().to_json()
    return {
        "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
        "command": command,
        "host": {name: host[name] for name in ("cpu", "arch", "cores", "system", "python")},
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _json(document: object) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few pictures, short turns; publishes nothing")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these models; publishes nothing")
    parser.add_argument("--again", action="store_true", help="measure anew what is kept from an earlier run")
    return parser.parse_args()


if __name__ == "__main__":
    main()
