"""Is a `.pt2` safe to load and to run? Told before torch reads it.

torch's loader unpickles some members of the archive, and turns strings of the others into functions and source; either
can run code. So pickles may name tensors only, and a graph operators only.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgesdk_converters.exported_archive import HINT, acting_members
from edgesdk_converters.exported_graph import graph_faults
from edgesdk_converters.pickle_imports import foreign_imports
from edgesdk_targets.errors import InputError


def check_exported(path: Path) -> None:
    """Refuse a `.pt2` whose loading could run code.

    Raises:
        InputError: a member is code or names code, its graph could become code, or the archive is damaged.
    """
    acting = acting_members(path)
    for name, data in acting.pickles.items():
        _check_pickle(path, name, data)
    for document in acting.documents.values():
        for fault in graph_faults(document):
            raise InputError(f"{path} holds {fault}; it is refused.", hint=HINT)


@contextmanager
def tensors_only() -> Iterator[None]:
    """Let `torch.load` read nothing but tensors in the body, whatever torch's own callers of it ask for.

    A second lock behind `check_exported`: torch's exported models ask for everything.
    """
    force, forbid = "TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
    before = {name: os.environ.get(name) for name in (force, forbid)}
    os.environ.pop(forbid, None)  # torch refuses to be given both
    os.environ[force] = "1"
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _check_pickle(path: Path, name: str, data: bytes) -> None:
    """Refuse a member that `torch.load` would not read as tensors alone."""
    from torch._C import PyTorchFileReader

    if not data:
        return  # no example inputs
    try:
        # Anything but a zip, torch.load takes for a tar or for pickles in a row; torch.export.save writes neither.
        if not data.startswith(b"PK\x03\x04"):
            raise ValueError("it is no archive of torch.save")
        reader = PyTorchFileReader(io.BytesIO(data))
        records: list[str] = [record.lower() for record in reader.get_all_records()]
        if "constants.pkl" in records or records.count("data.pkl") != 1:
            raise ValueError("it holds another thing than tensors")
        foreign = foreign_imports(bytes(reader.get_record("data.pkl")))
    except (ValueError, RuntimeError) as error:
        problem = f"{path}: {name} is a pickle that cannot be checked: {error}; it is refused."
        raise InputError(problem, hint=HINT) from error
    if foreign:
        raise InputError(
            f"{path}: {name} is a pickle that would run code when it is loaded: {', '.join(foreign[:3])}; it is refused.",
            hint=HINT,
        )
