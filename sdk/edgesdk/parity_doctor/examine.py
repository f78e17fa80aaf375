"""The parity doctor: why does an application's model answer differently from the bundle?"""

from __future__ import annotations

from pathlib import Path

from edgesdk.parity_doctor.answers import answer_all, fits
from edgesdk.parity_doctor.diagnosis import Diagnosis, Parity
from edgesdk.parity_doctor.dump import read_dump, read_dumps
from edgesdk.parity_doctor.examine_input import contract_of, examine_input
from edgesdk.parity_doctor.examine_outputs import examine_outputs
from edgesdk.parity_doctor.pixels import Picture
from edgesdk.parity_doctor.predict import reference
from edgesdk.parity_doctor.reading import Contract, readings
from edgesdk_targets.bundle.bundle import Bundle, open_bundle
from edgesdk_targets.preprocess.image_file import picture_bytes
from edgesdk_targets.tensor import Array


def examine_parity(
    bundle: Path, tensor: Path, image: Path, outputs: Path | None = None, *, variant: str | None = None
) -> Parity:
    """Name the mistakes of an application.

    Args:
        bundle: the converted model that answers well.
        tensor: .npy of what the application fed for this picture, in any layout, type or scale.
        image: the picture file.
        outputs: .npy or .npz of what the application's model answered.
        variant: whose input and answers to compare with; None for the manifest's.

    Raises:
        InputError: a file cannot be read, is no picture's tensor, or the bundle says nothing of preprocessing.
        BundleError: the bundle is damaged.
    """
    dump = read_dump(tensor)
    given = read_dumps(outputs) if outputs is not None else None
    picture = Picture.from_bytes(picture_bytes(image), str(image))
    with open_bundle(bundle) as opened:
        contract, spec = contract_of(opened.manifest, dump)
        of_input = examine_input(dump, contract, spec, picture)
        found: tuple[Diagnosis, ...] = ()
        if given is not None:
            tensors = _tensors(opened, dump, contract, picture)
            found = examine_outputs(opened.manifest, given, answer_all(opened, tensors, variant))
    return Parity(of_input, found)


def _tensors(bundle: Bundle, dump: Array, contract: Contract, picture: Picture) -> dict[str, Array]:
    """Return what the bundle's model is asked: the dump as it is where that is possible, and the right tensor."""
    spec = bundle.manifest.preprocess
    assert spec is not None  # noqa: S101  (contract_of has asked)
    tensors: dict[str, Array] = {}
    as_it_is = readings(dump, contract)[0].values
    if fits(as_it_is, contract) and contract.normalised:
        tensors["your tensor"] = as_it_is
    tensors["the picture, prepared as the bundle says"] = reference(spec, picture)
    return tensors
