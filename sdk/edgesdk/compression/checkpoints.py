"""What a finished pass gave, kept on disk, so that a run that was killed goes on after it.

A checkpoint counts only for the same model, data and passes before it: its key is made of all of these.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgesdk.compression.changes import read_changes, write_changes
from edgesdk.compression.rebuilt import replay
from edgesdk.compression.subject import Subject
from edgesdk.train.checkpoint import weights_bytes
from edgesdk_targets.errors import InputError
from edgesdk_targets.whole_file import write_whole

_WEIGHTS, _RECORD = "weights.safetensors", "pass.json"


def key_of(*parts: Any) -> str:
    """Return what a result depends on, as one digest."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, allow_nan=False).encode()).hexdigest()


def digest_of(subject: Subject) -> str:
    """Return the digest of a model: of its weights, and of what was changed since its factory built it."""
    weights = hashlib.sha256(weights_bytes(subject.module)).hexdigest()
    return key_of(weights, write_changes(subject.changes))


def keep(folder: Path, key: str, subject: Subject, report: dict[str, Any]) -> None:
    """Write a finished pass: its weights first, its record last, so that a half-written one does not count.

    Raises:
        NoSpace, InputError: it cannot be written.
    """
    weights = weights_bytes(subject.module)
    write_whole(folder / _WEIGHTS, weights)
    record = {
        "key": key,
        "weights": hashlib.sha256(weights).hexdigest(),
        "changes": write_changes(subject.changes),
        "report": report,
    }
    write_whole(folder / _RECORD, json.dumps(record, indent=1, allow_nan=False).encode() + b"\n")


def kept(folder: Path, key: str, start: Subject) -> tuple[Subject, Any] | None:
    """Return what a pass gave; None where there is nothing, or it is of another run.

    Args:
        start: the model before all passes, from which it is built again.
    """
    from safetensors.torch import load

    try:
        record = json.loads((folder / _RECORD).read_text("utf-8"))
        weights = (folder / _WEIGHTS).read_bytes()
    except (OSError, ValueError):
        return None
    if not isinstance(record, dict) or record.get("key") != key:
        return None
    if record.get("weights") != hashlib.sha256(weights).hexdigest():
        return None
    try:
        changes = read_changes(record.get("changes"))
    except InputError:
        return None
    module = start.copy()
    replay(module, changes[len(start.changes) :])
    module.load_state_dict(load(weights))
    return replace(start, module=module.eval(), changes=changes), record.get("report")
