"""What the bundle's own model answers to a tensor, whatever variant of it runs here."""

from __future__ import annotations

import numpy as np

from edgesdk.parity_doctor.reading import Contract
from edgesdk_targets.bundle.bundle import Bundle
from edgesdk_targets.errors import EdgeError, SessionFailed
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.session import Session, open_session
from edgesdk_targets.tensor import Array, TensorSpec
from edgesdk_targets.variant_choice import Candidate, choose_variants


def answer_all(bundle: Bundle, tensors: dict[str, Array], variant: str | None = None) -> dict[str, dict[str, Array]]:
    """Run the model on prepared pictures (H, W, C), named; recurrent states begin at zero.

    Raises:
        WrongTarget: nothing in the bundle can run here.
        SessionFailed: what could run failed.
    """
    manifest = bundle.manifest
    assert manifest.preprocess is not None  # noqa: S101  (the input was examined before)
    choice = choose_variants(manifest, variant_id=variant)
    # One that takes values, not pixels, can be given any tensor; among equals, the closest to this host.
    candidates = sorted(choice.candidates, key=lambda c: (c.variant.folded, c.variant.precision.value != "fp32"))
    failure: EdgeError | None = None
    for candidate in candidates:
        try:
            session = open_session(bundle, candidate.variant, runtime=candidate.runtime)
        except SessionFailed as error:
            failure = failure or error
            continue
        try:
            return {name: _answer(bundle, candidate, session, tensor) for name, tensor in tensors.items()}
        finally:
            session.close()
    assert failure is not None  # noqa: S101  (choose_variants gives at least one candidate)
    raise failure


def _answer(bundle: Bundle, candidate: Candidate, session: Session, tensor: Array) -> dict[str, Array]:
    manifest = bundle.manifest
    states = {state.input for state in manifest.state}
    feeds = {}
    for spec in session.inputs:
        if spec.name in states:
            feeds[spec.name] = np.zeros(spec.shape, spec.numpy_dtype)
        else:
            feeds[spec.name] = _fed(tensor, spec, manifest.preprocess if candidate.variant.folded else None)
    return {name: np.array(value) for name, value in session.run(feeds).items()}


def _fed(tensor: Array, spec: TensorSpec, unfold: Preprocess | None) -> Array:
    values = tensor
    if unfold is not None:
        values = np.asarray(unfold.std) * tensor + np.asarray(unfold.mean)
        if spec.dtype == "uint8":
            values = np.clip(np.rint(values), 0, 255)
    values = values if spec.layout == "NHWC" else values.transpose(2, 0, 1)
    return np.ascontiguousarray(values.reshape(spec.shape).astype(spec.numpy_dtype))


def fits(tensor: Array, contract: Contract) -> bool:
    """Say whether a dump (H, W, C) can be given to the model at all."""
    return tensor.shape == (*contract.size, contract.channels)
