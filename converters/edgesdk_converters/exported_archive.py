"""The members of a `.pt2`, each with what torch does to it.

Rule: a member's place in the archive and the archive's own lists say whether torch unpickles it; its bytes say nothing,
since weights may look like anything. What has no known place is refused, and so is what torch would load as code.

Everything is read with torch's own reader, as torch will read it: another one may find other members in a file made to
be read in two ways. Only the form before torch 2.8, which torch reads with `zipfile`, is read with that.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from edgesdk_targets.errors import InputError

HINT = "Export the model again with torch.export.save of torch 2.13, with tensors as example inputs."
_MAX_BYTES = 4 << 30  # of a member that is read here; weights are not


class Does(Enum):
    """What torch does to a member."""

    NOTHING = "keeps its bytes, at most as a tensor's"
    UNPICKLE = "unpickles it"
    READ_JSON = "reads it as JSON"


class Acting(NamedTuple):
    """The members that torch does something to, by name."""

    pickles: dict[str, bytes]
    documents: dict[str, Any]


def _places(*places: tuple[str, Does]) -> tuple[tuple[re.Pattern[str], Does], ...]:
    return tuple((re.compile(pattern, re.ASCII | re.DOTALL), does) for pattern, does in places)


_PLACES = _places(
    (r"archive_format|archive_version|version|byteorder|\.format_version|\.storage_alignment", Does.NOTHING),
    (r"\.data/(?:version|serialization_id)|extra/.+", Does.NOTHING),
    (r"data/(?:weights/weight|constants/tensor)_\d+", Does.NOTHING),
    (r"models/[\w.-]+\.json", Does.READ_JSON),
    (r"data/(?:weights/[\w.-]+_weights|constants/[\w.-]+_constants)_config\.json", Does.READ_JSON),
    # Weights and constants were one pickle each before torch 2.9.
    (r"data/(?:sample_inputs|weights|constants)/[\w.-]+\.pt", Does.UNPICKLE),
)
_OLD_PLACES = _places(
    (r"version|extra_files/.+", Does.NOTHING),
    (r"serialized_exported_program\.json", Does.READ_JSON),
    (r"serialized_(?:state_dict|constants)\.(?:json|pt)|serialized_example_inputs\.pt", Does.UNPICKLE),
)
_CONFIG = re.compile(r"(data/(?:weights|constants)/).+_config\.json", re.DOTALL)
_PAYLOAD = re.compile(r"(?:weight|tensor)_\d+", re.ASCII)
_OBJECT = re.compile(r"(?:data/constants/)?(?:custom|opaque)_obj_.*", re.DOTALL)
_COMPILED = re.compile(r"data/(?:aotinductor|executorch|mtia).*|.*\.(?:so|dll|dylib|cpp|cubin|ptx)", re.DOTALL)


def acting_members(path: Path) -> Acting:
    """Return what torch unpickles and what it reads as JSON.

    Raises:
        InputError: a member is code, is there twice, or has no known place; the archive is damaged.
    """
    try:
        names, places, read = _open(path)
        does = {name: _does(path, name, places) for name in names}
        documents = {name: _json(path, name, read(name)) for name in names if does[name] is Does.READ_JSON}
        pickled = {name for name in names if does[name] is Does.UNPICKLE}
        for name, document in documents.items():
            pickled.update(_pickled_payloads(path, name, document))
        return Acting({name: read(name) for name in names if name in pickled}, documents)
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{path} is damaged: {error}.", hint="Copy the file again.") from error


def _open(path: Path) -> tuple[list[str], tuple[tuple[re.Pattern[str], Does], ...], Callable[[str], bytes]]:
    """Return the members' names, their places, and what reads one."""
    from torch._C import PyTorchFileReader

    with zipfile.ZipFile(path) as archive:
        listed = archive.namelist()
        old = "serialized_exported_program.json" in listed
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    # torch finds a member whatever the case of its letters, and of two with one name Python takes the last.
    twin, times = Counter(name.lower() for name in listed).most_common(1)[0] if listed else ("", 1)
    if times > 1:
        raise InputError(f"{path} holds {twin!r} twice, so it could be read in two ways.", hint=HINT)

    def read_old(name: str) -> bytes:
        _check_size(path, name, sizes[name])
        with zipfile.ZipFile(path) as archive:
            return archive.read(name)

    if old:
        return listed, _OLD_PLACES, read_old
    reader = PyTorchFileReader(str(path))
    root = listed[0].partition("/")[0]
    names: list[str] = reader.get_all_records()
    if sorted(f"{root}/{name}" for name in names) != sorted(listed):
        raise InputError(f"{path} lists its members in two ways that differ.", hint=HINT)

    def read(name: str) -> bytes:
        _check_size(path, name, sizes[f"{root}/{name}"])
        return bytes(reader.get_record(name))

    return names, _PLACES, read


def _check_size(path: Path, name: str, size: int) -> None:
    if size > _MAX_BYTES:
        raise InputError(f"{path}: {name} is too large.", hint=HINT)


def _does(path: Path, name: str, places: tuple[tuple[re.Pattern[str], Does], ...]) -> Does:
    for pattern, does in places:
        if pattern.fullmatch(name):
            return does
    if _OBJECT.fullmatch(name):
        problem = f"holds {name!r}, an object of a class of its own, which loading would build by its code"
    elif _COMPILED.fullmatch(name):
        problem = f"holds {name!r}, compiled code, which loading would run"
    else:
        problem = f"holds {name[:100]!r}, which no exported model needs"
    raise InputError(f"{path} {problem}; it is refused.", hint=HINT)


def _json(path: Path, name: str, data: bytes) -> Any:
    try:
        return json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: {name} is no JSON that can be read: {error}.", hint=HINT) from error


def _pickled_payloads(path: Path, name: str, document: Any) -> Iterator[str]:
    """Yield the members that a list of weights or constants has torch unpickle."""
    config = _CONFIG.fullmatch(name)
    if config is None:
        return
    entries = document.get("config") if isinstance(document, dict) else None
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        raise InputError(f"{path}: {name} is no list of tensors.", hint=HINT)
    for entry in entries.values():
        file = str(entry.get("path_name"))
        if not _PAYLOAD.fullmatch(file):
            _does(path, file, ())  # names what it is, and refuses it
        if entry.get("use_pickle") is not False:
            yield config[1] + file
