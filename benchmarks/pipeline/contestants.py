"""Who takes part: programs by name, each with the environment that it runs in.

A contestant is one or more programs that run at the same time. One whose environment or package is missing stays in the
table, with the reason.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from pipeline.artifacts import ROOT

RUN = Path(__file__).parent / "programs/run.py"
_SUPPORT = str(ROOT / "tests/support")
# Environment → what must be importable there, by the program that needs it.
_NEEDS = {
    "model_api": "model_api",
    "imutils": "imutils",
    "vidgear": "vidgear",
    "roboflow": "inference",
    "seq1_onnxruntime": "onnxruntime",
    "seq1_litert": "ai_edge_litert",
}


@dataclass(frozen=True, slots=True)
class Contestant:
    """One row of a table.

    Attributes:
        name: of the row.
        program: a name that `programs/run.py` knows; `agent` is ours as users run it.
        environment: `main` (where this benchmark runs), or the name of a virtual environment of the peers.
        copies: how many run at once, each on its own.
        options: of the program.
        arguments: the agent's own, for `agent`.
        environ: variables of the environment, beside those that all have.
        core_each: each copy may use one core alone.
    """

    name: str
    program: str
    environment: str = "main"
    copies: int = 1
    options: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    core_each: bool = False

    @property
    def is_agent(self) -> bool:
        return self.program == "agent"


def peers_folder() -> Path:
    """Return where `peers_setup` made the peers' environments."""
    return Path(os.environ.get("EDGESDK_PEERS") or ROOT / ".cache/peers")


def interpreter(environment: str) -> Path:
    """Return the Python of an environment."""
    return Path(sys.executable) if environment == "main" else peers_folder() / environment / "bin/python"


def missing(contestant: Contestant) -> str | None:
    """Say why a contestant cannot run here, or None."""
    python = interpreter(contestant.environment)
    if not python.exists() or (contestant.environment != "main" and not (python.parents[1] / ".ready").exists()):
        return f"the environment {contestant.environment!r} is not there; benchmarks/pipeline/peers_setup makes it"
    needed = _NEEDS.get(contestant.program, "edgesdk_agent" if contestant.is_agent else "openvino")
    if not _importable(str(python), needed, contestant.environment == "main" or contestant.is_agent):
        return f"{needed} cannot be imported in the environment {contestant.environment!r}"
    return None


def command_line(contestant: Contestant, options: Mapping[str, str | None]) -> list[str]:
    """Return what to start: `options` by name, None for a flag; a contestant's own go before them."""
    words = [str(interpreter(contestant.environment)), str(RUN), contestant.program]
    for name, value in {**options, **contestant.options}.items():
        words += [f"--{name}"] if value is None else [f"--{name}", value]
    return words


def variables(contestant: Contestant) -> dict[str, str]:
    """Return the environment variables: only ours finds our packages."""
    ours = contestant.environment == "main" or contestant.is_agent
    paths: Sequence[str] = [_SUPPORT, *(p for p in sys.path if p and ours and _is_ours(p))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **contestant.environ}


def _is_ours(path: str) -> bool:
    return Path(path).name in {"sdk", "targets", "converters", "device_agent"}


@cache
def _importable(python: str, module: str, ours: bool) -> bool:
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
    contestant = Contestant("", "", "main" if ours else "other")
    return subprocess.run([python, "-c", code], check=False, env=variables(contestant)).returncode == 0
