"""Make an ensemble: the average of several classifiers, or their vote, as one bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgesdk.together.members import Part, check_parts, largest_input, together_variants
from edgesdk.together.write import place_of, write_together
from edgesdk_converters.golden.golden_pictures import FEWEST, golden_pictures
from edgesdk_targets.bundle.manifest import Variant
from edgesdk_targets.errors import InputError
from edgesdk_targets.golden.golden_file import FOLDER


@dataclass(frozen=True, slots=True)
class Ensemble:
    """An ensemble that was written."""

    path: Path
    digest: str
    variants: tuple[Variant, ...]


def make_ensemble(
    parts: Sequence[Part],
    rule: Literal["average", "vote"],
    output: Path,
    *,
    target: str | None = None,
    name: str | None = None,
    version: str | None = None,
) -> Ensemble:
    """Write a bundle in which all members are asked about each picture.

    Args:
        output: a `.edgebundle` file, or a folder.

    Raises:
        InputError: the models do not go together.
        WrongTarget: none of the variants can run here.
    """
    if len(parts) < 2:
        raise InputError("One model alone is no ensemble.", hint="Give two bundles or more.")
    check_parts(parts)
    path, called, number = place_of(output, parts, rule, name, version)
    variants = together_variants(parts, rule, target=target)
    first = parts[0].manifest
    kept = sorted(place for place in first.files if place.startswith(f"{FOLDER}/") and place.endswith(".png"))
    pictures = [parts[0].bundle.read(place) for place in kept]
    if not pictures:
        pictures = golden_pictures([], largest_input(parts))[:FEWEST]
    digest = write_together(path, called, number, parts, variants, pictures, report={"rule": rule})
    return Ensemble(path, digest, tuple(variants))
