"""Which variants of several bundles can answer together, and the variants that they make (pure but for reading bundles)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgesdk_targets.bundle.bundle import Bundle
from edgesdk_targets.bundle.manifest import Manifest, Status, Variant
from edgesdk_targets.decode.activation import activation_of
from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.target import Precision
from edgesdk_targets.tensor import TensorSpec
from edgesdk_targets.together.spec import OUTPUT, Member, Rule, Together, files_of

_ORDER: tuple[Status, ...] = ("measured", "emulated", "simulated", "built only")


@dataclass(frozen=True, slots=True)
class Part:
    """A bundle that is to be a member.

    Attributes:
        variant_id: which of its variants; None for the first that fits.
    """

    bundle: Bundle
    variant_id: str | None = None

    @property
    def manifest(self) -> Manifest:
        return self.bundle.manifest

    @property
    def variants(self) -> tuple[Variant, ...]:
        chosen = tuple(v for v in self.manifest.variants if self.variant_id in {None, v.id})
        if not chosen:
            ids = ", ".join(v.id for v in self.manifest.variants)
            raise InputError(f"{self.bundle.path} has no variant {self.variant_id!r}.", hint=f"It has: {ids}.")
        return chosen


def check_parts(parts: Sequence[Part]) -> None:
    """Check that bundles can answer together.

    Raises:
        InputError: one is no classifier of single pictures, or they differ in labels.
    """
    first = parts[0].manifest
    for part in parts:
        manifest = part.manifest
        name = f"{manifest.name} {manifest.version}"
        if manifest.task != "classify" or manifest.state or manifest.window or manifest.preprocess is None:
            raise InputError(
                f"{name} is no classifier of single pictures.",
                hint="Only classifiers that take one picture each can answer together.",
            )
        if manifest.labels != first.labels:
            raise InputError(f"{name} has other labels than {first.name}.", hint="Give models with the same classes.")
        if any(variant.together is not None for variant in part.variants):
            raise InputError(f"{name} is several models already.", hint="Give the single models.")


def own_inputs(parts: Sequence[Part]) -> dict[int, TensorSpec]:
    """Return the inputs that parts need of their own, by place, with the names that they get: what sees the picture otherwise
    than the first one, by more than mean and std.
    """
    first = parts[0].manifest
    names = {spec.name for spec in first.inputs}
    found: dict[int, TensorSpec] = {}
    for place, part in enumerate(parts[1:], 1):
        if _same_pixels(part.manifest.preprocess, first.preprocess):
            continue
        name = next(name for n in itertools.count(place + 1) if (name := f"image-{n}") not in names)
        names.add(name)
        found[place] = part.manifest.inputs[0].model_copy(update={"name": name})
    return found


def preprocess_of(part: Part) -> Preprocess:
    """Return how a part prepares pictures."""
    assert part.manifest.preprocess is not None  # noqa: S101  (checked by `check_parts`)
    return part.manifest.preprocess


def largest_input(parts: Sequence[Part]) -> tuple[int, int]:
    """Return height and width of the largest picture that a part sees."""
    return max((preprocess_of(part).size for part in parts), key=math.prod)


def _same_pixels(one: Preprocess | None, other: Preprocess | None) -> bool:
    if one is None or other is None or len(one.mean) != len(other.mean):
        return False
    return one.model_copy(update={"mean": other.mean, "std": other.std}) == other


def together_variants(
    parts: Sequence[Part], rule: Rule, *, threshold: float | None = None, target: str | None = None
) -> list[Variant]:
    """Return one variant for each target and runtime for which every part has one; its files are roles → paths in the parts.

    Args:
        threshold: of a cascade; to be calibrated.
        target: only this one's.

    Raises:
        InputError: there is none.
    """
    made: list[Variant] = []
    for lead in parts[0].variants:
        if target not in {None, lead.target}:
            continue
        chosen = [lead, *(_partner(part, lead) for part in parts[1:])]
        if any(variant is None for variant in chosen):
            continue
        name = f"{lead.target}-{lead.runtime.value}-{rule}"
        if all(name != variant.id for variant in made):
            made.append(_made(parts, [v for v in chosen if v is not None], rule, name, threshold))
    if not made:
        said = "; ".join(
            f"{part.manifest.name}: {', '.join(sorted({f'{v.target} by {v.runtime.value}' for v in part.variants}))}"
            for part in parts
        )
        wanted = f" for {target}" if target else ""
        raise InputError(
            f"The bundles have no target and runtime in common{wanted}. {said}.",
            hint="Convert all of them for the same targets.",
        )
    return made


def read_files(parts: Sequence[Part], variant: Variant) -> dict[str, bytes]:
    """Return a made variant's files by role."""
    together = variant.together
    assert together is not None  # noqa: S101  (made here)
    files: dict[str, bytes] = {}
    for place, part in enumerate(parts):
        for role, path in files_of(variant.files, place).items():
            files[f"{place}/{role}"] = part.bundle.read(path)
    return files


def _partner(part: Part, lead: Variant) -> Variant | None:
    fitting = [v for v in part.variants if v.target == lead.target and v.runtime is lead.runtime]
    # Of the same precision, where there is one.
    return min(fitting, key=lambda v: v.precision is not lead.precision, default=None)


def _made(parts: Sequence[Part], chosen: Sequence[Variant], rule: Rule, name: str, threshold: float | None) -> Variant:
    own = own_inputs(parts)
    members = tuple(
        _member(part, variant, own[place].name if place in own else None)
        for place, (part, variant) in enumerate(zip(parts, chosen, strict=True))
    )
    together = Together(rule=rule, members=members, threshold=threshold)
    lead = chosen[0]
    precisions = {variant.precision for variant in chosen}
    return Variant(
        id=name,
        target=lead.target,
        runtime=lead.runtime,
        precision=precisions.pop() if len(precisions) == 1 else Precision.MIXED,
        effective_precision=lead.effective_precision,
        files={f"{place}/{role}": path for place, v in enumerate(chosen) for role, path in v.files.items()},
        inputs=(
            *lead.inputs,
            *(chosen[place].inputs[0].model_copy(update={"name": spec.name}) for place, spec in own.items()),
        ),
        outputs=(TensorSpec(name=OUTPUT, shape=(1, together.classes)),),
        folded=lead.folded,
        parity=_worst_parity(chosen),
        status=max((variant.status for variant in chosen), key=_ORDER.index),
        together=together,
    )


def _member(part: Part, variant: Variant, picture: str | None) -> Member:
    manifest = part.manifest
    assert manifest.preprocess is not None  # noqa: S101  (checked before)
    if len(variant.inputs) != 1 or len(variant.outputs) != 1:
        raise InputError(
            f"{manifest.name} takes {len(variant.inputs)} inputs and gives {len(variant.outputs)} outputs.",
            hint="Only models with one input and one output can answer together.",
        )
    if variant.batch is not None:
        raise InputError(
            f"{variant.id} of {manifest.name} takes {variant.batch} pictures at once.",
            hint="Models answer together to one picture: convert it without --batch.",
        )
    return Member(
        id=variant.id,
        name=manifest.name,
        version=manifest.version,
        digest=part.bundle.digest,
        precision=variant.precision,
        effective_precision=variant.effective_precision,
        # A runtime hands inputs out by the logical name, under which preprocessing knows them.
        inputs=variant.inputs,
        outputs=variant.outputs,
        folded=variant.folded,
        mean=manifest.preprocess.mean,
        std=manifest.preprocess.std,
        activation=activation_of(manifest.outputs[0].name, manifest.postprocess.activation),
        picture=picture,
    )


def _worst_parity(chosen: Sequence[Variant]) -> dict[str, object]:
    """Return the report of the member that differs most from its source, where all were compared."""
    found: list[tuple[float, dict[str, object]]] = []
    for variant in chosen:
        worst = variant.parity.get("worst")
        value = worst.get("sqnr_db") if isinstance(worst, dict) else None
        if not isinstance(value, (int, float)):
            return {}
        found.append((float(value), dict(variant.parity)))
    return min(found, key=lambda pair: pair[0])[1]
