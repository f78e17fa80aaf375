"""Does a soak find what it is for? The real agent with one seeded fault at a time, and without any as a control.

    python benchmarks/soak_faults.py [--only "leaky model,…"] [--json FILE]

A leaky model, a queue without bound and a reader that never reconnects must each fail by their own checks and no other;
healthy agents must pass. About four minutes. Ends with 1 where one is not found, or a healthy one is blamed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from edgesdk_testkit.seeded_soak_faults import KNOWN, SeededFault, soak_with, unexpected
from edgesdk_testkit.tiny_bundles import write_tiny_bundle


def main() -> int:
    """Run each, print what the soak found, and write the JSON."""
    options = _options()
    wanted = {name.strip() for name in options.only.split(",") if name.strip()}
    if unknown := sorted(wanted - set(KNOWN)):
        print(f"There is no fault {unknown[0]!r}: one of {', '.join(KNOWN)}.", file=sys.stderr)
        return 2
    results = []
    with tempfile.TemporaryDirectory() as name:
        bundle = write_tiny_bundle(Path(name) / "cnn-1.0.0.edgebundle")
        for number, (fault, seeded) in enumerate(KNOWN.items()):
            if wanted and fault not in wanted:
                continue
            result = _run(fault, seeded, bundle, Path(name) / str(number))
            as_expected = set(result["failed"]) == seeded.found_by
            print(f"{fault:30} {'as expected' if as_expected else 'NOT as expected':16} {result['said']}", flush=True)
            results.append(result)
    if options.json is not None:
        options.json.write_text(json.dumps({"faults": results}, indent=1) + "\n", "utf-8")
    wrong = [line for line in unexpected(results) if not (wanted and line.endswith("not run once"))]
    print("\n".join(wrong), end="\n" if wrong else "", file=sys.stderr)
    return 1 if wrong else 0


def _run(fault: str, seeded: SeededFault, bundle: Path, folder: Path) -> dict[str, Any]:
    lines = soak_with(seeded, bundle, folder)
    failed = {line.check: line.figure for line in lines if line.outcome == "fail"}
    said = "; ".join(f"{check}: {figure}" for check, figure in failed.items()) or "every check passes"
    return {"fault": fault, "failed": failed, "said": said}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Does a soak find faults that were seeded?")
    parser.add_argument("--only", default="", help="faults, with commas")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
