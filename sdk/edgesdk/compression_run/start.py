"""The model before all passes, as its card and weights say it."""

from __future__ import annotations

import hashlib

import torch
from torch import nn

from edgesdk.compression.stored import origin_of
from edgesdk.compression.subject import Subject
from edgesdk.train.checkpoint import weights_bytes
from edgesdk_converters.source import Source
from edgesdk_targets.errors import InputError


def subject_of(source: Source) -> Subject:
    """Return a card's model, ready for the first pass.

    Raises:
        InputError: it has no factory, takes clips, or cannot be loaded.
    """
    _, _, changes = origin_of(source.card)
    module = source.load()
    if not isinstance(module, nn.Module) or source.card.window is not None:
        raise InputError(
            f"{source.card.name} cannot be compressed: passes need a torch module that takes single pictures.",
            hint="Give weights with `factory: package.module:function` in a card.",
        )
    example = tuple(torch.zeros(spec.shape, dtype=getattr(torch, spec.dtype)) for spec in source.declared_inputs())
    found = Subject(module.eval(), example, changes)
    try:
        found.run()
    except Exception as error:  # the user's code may raise anything
        raise InputError(
            f"The model does not run on the input of its card: {type(error).__name__}: {error}",
            hint="Correct `input.shape` (and `state`) in the card.",
        ) from error
    return found


def digest_of_start(start: Subject) -> str:
    """Return the digest of a model's numbers."""
    return hashlib.sha256(weights_bytes(start.module)).hexdigest()
