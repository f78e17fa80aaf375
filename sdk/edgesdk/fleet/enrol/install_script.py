"""The script behind the install line, as text; it is `install.sh` beside this file."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def script_text() -> str:
    """Return the script."""
    return files("edgesdk.fleet.enrol").joinpath("install.sh").read_text("utf-8")
