"""The command line, as a user has it, asked for JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def asked(*words: str | Path) -> dict[str, Any]:
    """Return what an `edgesdk` command says as JSON."""
    command = [sys.executable, "-m", "edgesdk", *map(str, words), "--json"]
    found: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    return found
