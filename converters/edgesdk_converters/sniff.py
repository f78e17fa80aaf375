"""What kind of file a model is, told by its content; names and suffixes lie."""

from __future__ import annotations

import json
import zipfile
from enum import Enum
from pathlib import Path

from edgesdk_converters.pickle_imports import OLD_FORM_PICKLES, foreign_imports
from edgesdk_targets.errors import InputError


class Kind(str, Enum):
    """A form in which a trained model arrives."""

    ONNX = "onnx"
    EXPORTED = "torch.export (.pt2)"
    STATE_DICT = "state_dict"
    SAFETENSORS = "safetensors"
    TORCHSCRIPT = "TorchScript"
    MODULE = "live module"


_SAFETENSORS_HEADER_LIMIT = 100_000_000


def sniff(path: Path) -> Kind:
    """Tell the kind of a model file.

    Raises:
        InputError: missing, no model, a finished artifact, or a full pickle (with the line that exports it).
    """
    head = _head(path)
    if zipfile.is_zipfile(path):
        return _sniff_zip(path)
    if head[4:8] == b"TFL3":
        raise InputError(
            f"{path} is a finished TFLite artifact, which cannot be converted further.",
            hint="Give the model it was made from: an .onnx, a .pt2, or weights with a factory.",
        )
    if _is_safetensors(head, path.stat().st_size):
        return Kind.SAFETENSORS
    if head[:1] == b"\x80":
        # torch.save before its zip form; loading with weights_only refuses what is no tensor.
        _refuse_code(path, path.read_bytes(), pickles=OLD_FORM_PICKLES)
        return Kind.STATE_DICT
    if _is_onnx(head):
        return Kind.ONNX
    raise InputError(
        f"{path} is not a model that can be recognised.",
        hint="Give an .onnx, a .pt2 (torch.export), safetensors or a state_dict with a factory, or a model card (.yaml).",
    )


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(4096)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.", hint="Check the path.") from error


def _sniff_zip(path: Path) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            inner = {name.partition("/")[2] for name in names}
            if "archive_format" in inner or "serialized_exported_program.json" in {*names, *inner}:
                return Kind.EXPORTED
            if "constants.pkl" in inner and any(name.startswith("code/") for name in inner):
                return Kind.TORCHSCRIPT
            pickle = next((name for name in names if name.endswith("/data.pkl")), None)
            if pickle is not None:
                _refuse_code(path, archive.read(pickle))
                return Kind.STATE_DICT
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(f"{path} is damaged: {error}.", hint="Copy the file again.") from error
    if any(name == "manifest.json" for name in names):
        raise InputError(
            f"{path} is a bundle, which is converted already.", hint=f"Look into it: edgesdk bundle inspect {path}"
        )
    raise InputError(f"{path} is a zip, but no model.", hint="Give an .onnx, a .pt2 or weights saved by torch.save.")


def _refuse_code(path: Path, data: bytes, *, pickles: int = 1) -> None:
    """Refuse a file whose pickle would fetch anything but tensors, without loading it; say how to export it without them."""
    try:
        foreign = foreign_imports(data, pickles=pickles)
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}.", hint="Copy the file again.") from error
    if not foreign:
        return
    if any(name.split(".")[0] in {"ultralytics", "models"} for name in foreign):
        line = f"yolo export model={path.name} format=onnx     (then: edgesdk convert {path.stem}.onnx …)"
    else:
        line = "torch.save(model.state_dict(), 'weights.pt')     (then: edgesdk card init weights.pt -o card.yaml)"
    raise InputError(
        f"{path} is a full pickle: loading it would run code of {', '.join(foreign[:3])}, so it is refused.",
        hint=f"Where it was trained, run: {line}",
    )


def _is_safetensors(head: bytes, size: int) -> bool:
    length = int.from_bytes(head[:8], "little")
    if not 2 <= length <= min(size - 8, _SAFETENSORS_HEADER_LIMIT) or head[8:9] != b"{":
        return False
    if len(head) < 8 + length:
        return True
    try:
        return isinstance(json.loads(head[8 : 8 + length]), dict)
    except ValueError:
        return False


def _is_onnx(head: bytes) -> bool:
    """An ONNX file starts with field 1, `ir_version`, a small number, in protobuf's encoding."""
    return len(head) > 2 and head[0] == 0x08 and 0 < head[1] < 0x40
