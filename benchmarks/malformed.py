"""Ten thousand and more malformed commands, desired states, settings, configurations and payloads: does anything break?

    python benchmarks/malformed.py [--count 10000] [--seed 5] [--json]

Each kind is tried so many times; what hypothesis makes depends on the seed alone. The command ends with 1 and a traceback at
the first one that is neither refused nor counted. The suite tries some thousands (`tests/device_agent/commands/test_border.py`).
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/support"))

from edgesdk_testkit.malformed_steering import KINDS, malformed  # noqa: E402

USUAL_COUNT = 10_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Try each kind, and tell what became of it."""
    parser = argparse.ArgumentParser(description="Try what no decent sender sends.")
    parser.add_argument("--count", type=int, default=USUAL_COUNT, help="of each kind")
    parser.add_argument("--seed", type=int, default=5, help="another one makes other documents")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    kinds: dict[str, dict[str, int]] = {}
    try:
        for kind in KINDS:
            began = time.monotonic()
            with tempfile.TemporaryDirectory(prefix="edgesdk-malformed-") as folder:
                kinds[kind] = dict(malformed(kind, options.count, Path(folder), start=options.seed))
            if not options.json:
                told = ", ".join(f"{count} {what}" for what, count in sorted(kinds[kind].items()))
                print(f"{sum(kinds[kind].values())} {kind} in {time.monotonic() - began:.0f} s: {told}")
    except Exception:  # noqa: BLE001  (whatever is raised is what is looked for)
        traceback.print_exc()
        return 1
    finally:
        logging.disable(logging.NOTSET)
    if options.json:
        print(json.dumps({"seed": options.seed, "kinds": kinds}, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
