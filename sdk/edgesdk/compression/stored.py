"""A trained or compressed model on disk: its weights as safetensors, and the card by which all else of edgesdk reads it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from torch import nn

from edgesdk.compression.changes import Changes, read_changes, write_changes
from edgesdk.compression.rebuilt import FACTORY
from edgesdk.compression.subject import Subject
from edgesdk.train.checkpoint import weights_bytes
from edgesdk_targets.card import CardFile, ModelCard
from edgesdk_targets.errors import InputError
from edgesdk_targets.whole_file import write_whole
from edgesdk_targets.yaml_file import dump_yaml

_MOST_NAME = 64


def origin_of(card: ModelCard) -> tuple[str, dict[str, Any], Changes]:
    """Return the factory that a card's model comes from, its arguments, and what was changed since.

    Raises:
        InputError: the card has no factory, or its list of changes is damaged.
    """
    if card.factory is None:
        raise InputError(
            f"{card.name} has no factory: compression changes layers, and needs the code that builds them.",
            hint="Give its weights with `factory: package.module:function` in a card; an .onnx or .pt2 has no such code.",
        )
    if card.factory != FACTORY:
        return card.factory, dict(card.factory_args), ()
    arguments = card.factory_args
    base, base_args = arguments.get("base"), arguments.get("base_args") or {}
    if not isinstance(base, str) or not isinstance(base_args, dict):
        raise InputError("The card's factory_args name no base.", hint="Take the card as `edgesdk compress` wrote it.")
    return base, base_args, read_changes(arguments.get("changes"))


def write_compressed(
    subject: Subject, card: CardFile, folder: Path, *, name: str | None = None, version: str | None = None
) -> Path:
    """Write a compressed model's card and weights, and return the card's path.

    The card names the original's code by a path relative to the folder: keep both in their places, or correct `code` in it.

    Args:
        card: of the model before compression.
        name, version: of the compressed one; the model's with `-small`, and its own.

    Raises:
        InputError, NoSpace: it cannot be written.
    """
    base, base_args, _ = origin_of(card.card)
    own = name or f"{card.card.name[: _MOST_NAME - 6]}-small"
    content = card.card.model_dump(mode="json", exclude_unset=True)
    content |= {
        "name": own,
        "version": version or card.card.version,
        "factory": FACTORY,
        "factory_args": {"base": base, "base_args": base_args, "changes": write_changes(subject.changes)},
    }
    return _write(content, subject.module, card, folder)


def write_trained(module: nn.Module, card: CardFile, folder: Path) -> Path:
    """Write a trained model's card and weights, and return the card's path; as of `write_compressed`.

    Args:
        card: that it was built by.

    Raises:
        InputError, NoSpace: it cannot be written.
    """
    return _write(card.card.model_dump(mode="json", exclude_unset=True), module, card, folder)


def _write(content: dict[str, Any], module: nn.Module, card: CardFile, folder: Path) -> Path:
    """Write weights, and a card whose paths lead from the folder to the original's code and labels."""
    name = content["name"]
    content |= {
        "source": f"{name}.safetensors",
        "code": os.path.relpath(card.code.resolve(), folder.resolve()),
    }
    if isinstance(card.card.labels, str):
        content["labels"] = os.path.relpath((card.folder / card.card.labels).resolve(), folder.resolve())
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / f"{name}.safetensors", weights_bytes(module))
    path = folder / f"{name}.yaml"
    write_whole(path, dump_yaml(content).encode())
    return path
