"""Find which of a model's outputs plays which role: by the card's word, by name, by shape; else refuse.

It is decided once, when a model is opened, never for a frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from edgesdk_targets.decode.postprocess import Postprocess
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import TensorSpec

Fits = Callable[[TensorSpec], bool]


def describe(outputs: Iterable[TensorSpec]) -> str:
    """Return the outputs as text for an error: name, shape."""
    return ", ".join(f"{spec.name!r} {list(spec.shape)}" for spec in outputs) or "none"


def misfit(what: str, expects: str, outputs: Sequence[TensorSpec]) -> InputError:
    """Return the error for outputs that are not what a task or head decodes."""
    return InputError(
        f"{what} expects {expects}; the model's outputs are {describe(outputs)}.",
        hint="Set postprocess.head (or --head) to the layout your exporter writes, or name the outputs in "
        "postprocess.outputs, for example {boxes: NAME, scores: NAME}.",
    )


def pick(
    outputs: Sequence[TensorSpec],
    role: str,
    names: Sequence[str],
    fits: Fits,
    error: InputError,
    postprocess: Postprocess,
) -> TensorSpec:
    """Return the output that plays `role`.

    Args:
        outputs: the candidates.
        role: key of `postprocess.outputs`.
        names: usual names, best first; an output of such a name that fits is taken.
        fits: whether an output has a shape that this role can have.
        error: raised where no output, or more than one, can be it.
        postprocess: the card's block.

    Raises:
        InputError: the role cannot be filled, or the card names an output that is not there.
    """
    given = postprocess.outputs.get(role)
    if given is not None:
        for spec in outputs:
            if spec.name == given and fits(spec):
                return spec
        raise InputError(
            f"postprocess.outputs says that {given!r} holds the {role}, but no output of this name has a fitting "
            f"shape; the model's outputs are {describe(outputs)}.",
            hint="Correct the name; shapes are as the exporter wrote them.",
        )
    fitting = [spec for spec in outputs if fits(spec)]
    for name in names:
        named = [spec for spec in fitting if spec.name == name]
        if named:
            return named[0]
    if len(fitting) != 1:
        raise error
    return fitting[0]


def check_labels(labels: Sequence[str], classes: int) -> None:
    """Raise InputError unless there are no labels, or one for each class."""
    if labels and len(labels) != classes:
        raise InputError(
            f"The card gives {len(labels)} labels, but the model has {classes} classes.",
            hint="Give one label a class, in the model's order.",
        )
