"""What a trial changes of the model's card: the factory's arguments, and the size of the picture that it sees."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgesdk.search.parameter import Scalar
from edgesdk.search.space import Deploy
from edgesdk_targets.errors import InputError
from edgesdk_targets.yaml_file import load_yaml


def overrides_of(card: Path, deploy: Deploy, arguments: Mapping[str, Scalar]) -> dict[str, Any]:
    """Return the fields that take the place of the card's own.

    Args:
        card: the file; a model without one (an .onnx) has no field of its own.
        arguments: of the factory.

    Raises:
        InputError: the card does not say the size that the trial would change.
    """
    overrides: dict[str, Any] = {"factory_args": dict(arguments)} if arguments else {}
    if deploy.input_size is None:
        return overrides
    raw = load_yaml(card).data if card.suffix in {".yaml", ".yml"} else {}
    tensor, preprocess = raw.get("input"), raw.get("preprocess")
    if not isinstance(tensor, dict) or not isinstance(tensor.get("shape"), list) or len(tensor["shape"]) != 4:
        raise InputError(
            f"{card} says no shape of a picture that deploy.input_size could change.",
            hint="Write `input: {shape: [1, 3, 32, 32]}` in the card.",
        )
    side, shape = deploy.input_size, list(tensor["shape"])
    places = (1, 2) if tensor.get("layout") == "NHWC" else (2, 3)
    for at in places:
        shape[at] = side
    named = {"preset": preprocess} if isinstance(preprocess, str) else {}
    return overrides | {"input": {"shape": shape}, "preprocess": {**named, "size": [side, side]}}
