"""Schemathesis against every address of the fleet's service, for as long as it takes: any answer 5xx ends with 1.

    python benchmarks/fuzz_api.py [--examples 50] [--seed 1]

Twice: with invented names and numbers, and with those of devices that are there. Live streams are left out. The suite asks
three times each (`tests/system/test_api_fuzz.py`).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/support"))

from edgesdk_testkit.api_fuzz import KNOWN, PHASES, fuzz, fuzzed_service  # noqa: E402

_LONGEST_S = 3600


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask, and tell what became of it."""
    parser = argparse.ArgumentParser(description="Ask every address of the fleet's service what it did not expect.")
    parser.add_argument("--examples", type=int, default=50, help="of each operation and phase, at most")
    parser.add_argument("--seed", type=int, default=1, help="another one asks other things")
    options = parser.parse_args(arguments)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="edgesdk-fuzz-") as made:
        folder = Path(made)
        with fuzzed_service(folder / "fleet") as service:
            for name, known in (("invented", {}), ("known", KNOWN)):
                found = fuzz(
                    service, folder / name, examples=options.examples, seed=options.seed, phases=PHASES, known=known,
                    timeout_s=_LONGEST_S,
                )  # fmt: skip
                good = sum(found.accepted.values())
                print(f"{name}: {found.cases} requests of {found.operations} operations, {good} accepted, "
                      f"{len(found.failures)} operations answered 5xx")  # fmt: skip
                if found.failures:
                    failed = 1
                    print(found.output)
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
