"""The model to convert, whatever form it came in: what it is (its card), and how to load and run it.

The source is also the reference: every artifact is compared with what it answers in float.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import packages_distributions
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk_converters.cache import version_of
from edgesdk_converters.drafting.card_draft import draft_card
from edgesdk_converters.external_weights import weights_beside
from edgesdk_converters.framework_edge import needs, reason
from edgesdk_converters.sniff import Kind, sniff
from edgesdk_converters.torch_source import load_torch
from edgesdk_targets.card import CardFile, ModelCard, finish_card, merge_overrides, read_card
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import TensorSpec
from edgesdk_targets.yaml_file import parse_yaml, validate

if TYPE_CHECKING:
    import torch
    from torch.export import ExportedProgram

# More files than this beside a card are not its code.
_MAX_CODE_FILES = 2000
_CARD_SUFFIXES = frozenset({".yaml", ".yml"})


@dataclass(slots=True)
class Source:
    """A model with its card.

    Attributes:
        path: the file of weights, `.pt2` or `.onnx`; None for a live module or a factory without weights.
        module: given for a live module; otherwise loaded at its first use.
    """

    kind: Kind
    card_file: CardFile
    path: Path | None
    module: torch.nn.Module | ExportedProgram | None = None
    _bytes: bytes | None = field(default=None, repr=False)

    @property
    def card(self) -> ModelCard:
        return self.card_file.card

    @property
    def is_onnx(self) -> bool:
        return self.kind is Kind.ONNX

    def files(self) -> tuple[Path, ...]:
        """Return the files that weights and labels are read from; card and code aside."""
        found = [self.path] if self.path is not None else []
        if self.path is not None and self.is_onnx:
            found += weights_beside(self.path)
        if isinstance(self.card.labels, str):
            found.append(self.card_file.folder / self.card.labels)
        return tuple(found)

    def content(self) -> bytes:
        """Return the file's bytes, read once; of an ONNX file with the weights that lie beside it."""
        if self._bytes is None:
            assert self.path is not None  # noqa: S101  (callers ask for files only)
            self._bytes = _with_all_weights(self.path) if self.is_onnx else self.path.read_bytes()
        return self._bytes

    def load(self) -> torch.nn.Module | ExportedProgram:
        """Return the torch model, loaded once.

        Raises:
            InputError: it cannot be built or its weights do not fit.
        """
        if self.module is None:
            self.module = load_torch(
                self.path,
                self.kind,
                factory=self.card.factory,
                factory_args=self.card.factory_args,
                folder=self.card_file.code,
                inputs=self.declared_inputs(),
            )
        return self.module

    def declared_inputs(self) -> tuple[TensorSpec, ...]:
        """Return the inputs as the card declares them: the picture, then the state tensors.

        Raises:
            InputError: a state tensor of a torch model has no shape.
        """
        specs = [self.card.input]
        for state in self.card.state:
            if state.shape is not None:
                specs.append(TensorSpec(name=state.input, shape=state.shape, dtype=state.dtype))
            elif not self.is_onnx:
                raise InputError(
                    f"The card's state {state.input!r} has no shape.", hint="Add `shape: [1, 1, 64]` to it."
                )
        return tuple(specs)

    def cache_key(self) -> object | None:
        """Return what identifies the loaded model's numbers and code; None where it cannot be told (a live module)."""
        if self.kind is Kind.MODULE:
            return None
        # An exported program holds its own weights and code, also where the card names a factory for other files.
        built = self.card.factory and self.kind in {Kind.STATE_DICT, Kind.SAFETENSORS}
        weights = _digest_of_weights(self.load()) if built else ""
        content = hashlib.sha256(self.content()).hexdigest() if self.path else ""
        return [self.kind.value, content, weights, self.card.factory, self.card.factory_args, self._code()]

    def _code(self) -> list[str]:
        """Identify the factory's code: every Python file below its folder, and its package's version."""
        if self.card.factory is None:
            return []
        digest = hashlib.sha256()
        folder = self.card_file.code
        for file in sorted(islice(folder.rglob("*.py"), _MAX_CODE_FILES)):
            digest.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes())
        top = self.card.factory.partition(":")[0].split(".")[0]
        origin = getattr(sys.modules.get(top), "__file__", None)
        if origin:
            digest.update(Path(origin).read_bytes())
            if _is_own(Path(origin), folder):
                # To look through all installed packages takes half a second.
                return [digest.hexdigest()]
        versions = [f"{name} {version_of(name)}" for name in packages_distributions().get(top, ())]
        return [digest.hexdigest(), *versions]


def _is_own(module: Path, folder: Path) -> bool:
    """Say whether a module is the user's own file below the card's folder, and not of a package that is installed there."""
    place = module.resolve()
    return place.is_relative_to(folder.resolve()) and not {"site-packages", "dist-packages"} & {*place.parts}


def _with_all_weights(path: Path) -> bytes:
    """Return an ONNX model whole: torch's exporter puts the weights into a second file unless told not to.

    Raises:
        InputError: that file is missing, damaged, or not beside the model (onnx's loader follows no path out of there).
    """
    data = path.read_bytes()
    if b"location" not in data:  # the key under which a tensor names its file
        return data
    with needs("onnx", extra="torch"):
        import onnx
    try:
        model = onnx.load(str(path))
    except Exception as error:  # onnx raises many kinds for a file that is missing or too short
        raise InputError(
            f"{path} keeps its weights in a second file, which cannot be read: {reason(error)}",
            hint="Copy both files together, or export with external_data=False.",
        ) from error
    return bytes(model.SerializeToString(deterministic=True))


def _digest_of_weights(module: torch.nn.Module | ExportedProgram) -> str:
    """Hash a built module's numbers, which a factory may bring from elsewhere than the weights file."""
    import torch

    assert isinstance(module, torch.nn.Module)  # noqa: S101  (a factory returns nothing else)
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        flat = tensor.detach().cpu().contiguous().flatten()
        digest.update(flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b"")
    return digest.hexdigest()


def resolve_source(
    source: str | Path | torch.nn.Module,
    *,
    card: str | Path | Mapping[str, Any] | None = None,
    overrides: Mapping[str, Any] | None = None,
    head: str | None = None,
) -> Source:
    """Find out what the model is.

    Args:
        source: a weights file, `.pt2`, `.onnx`, a card, or a live module.
        card: the card's file, or its content for a live module.
        overrides: values that replace the card's (from flags).
        head: which of the field's output layouts, where an `.onnx` does not tell.

    Raises:
        InputError: a file is missing or wrong, or a card is needed and absent.
    """
    overrides = dict(overrides or {})
    if head is not None:
        overrides["postprocess"] = {**overrides.get("postprocess", {}), "head": head}
    if not isinstance(source, (str, Path)):
        return _live(source, card, overrides)
    path = Path(source)
    if path.suffix.lower() in _CARD_SUFFIXES:
        if card is not None:
            raise InputError(f"{path} is a card already; --card names another.", hint="Give one of them.")
        return _from_card(read_card(path, overrides))
    kind = sniff(path)
    if card is not None:
        card_file = _read_any(card, overrides)
    elif kind is Kind.ONNX:
        card_file = _drafted(path, head, overrides)
    else:
        raise InputError(
            f"{path} ({kind.value}) does not say what it takes and answers.",
            hint=f"Write a card: edgesdk card init {path} -o card.yaml, edit it, then: edgesdk convert card.yaml …",
        )
    return Source(kind, card_file, path)


def _from_card(card_file: CardFile) -> Source:
    path = card_file.source
    if path is None:
        if card_file.card.factory is None:
            raise InputError(
                "The card names neither `source` nor `factory`.", hint="Name the weights, the .onnx, or the factory."
            )
        return Source(Kind.STATE_DICT, card_file, None)
    return Source(sniff(path), card_file, path)


def _live(module: torch.nn.Module, card: str | Path | Mapping[str, Any] | None, overrides: Mapping[str, Any]) -> Source:
    if card is None:
        raise InputError(
            "A live module needs a card.", hint="Give card={'name': …, 'task': …, 'input': {…}} or a card's path."
        )
    return Source(Kind.MODULE, _read_any(card, overrides), None, module=module)


def _read_any(card: str | Path | Mapping[str, Any], overrides: Mapping[str, Any]) -> CardFile:
    if isinstance(card, Mapping):
        document = parse_yaml("{}", source="card")
        document.data.update(merge_overrides(dict(card), overrides))
        return finish_card(validate(ModelCard, document), Path.cwd())
    return read_card(card, overrides)


def _drafted(path: Path, head: str | None, overrides: Mapping[str, Any]) -> CardFile:
    """Make the card of an `.onnx` from what the file says of itself."""
    document = parse_yaml(draft_card(path, head), source=f"card drafted for {path}")
    document.data.update(merge_overrides(document.data, overrides))
    return finish_card(validate(ModelCard, document), path.resolve().parent)
