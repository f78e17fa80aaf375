"""What is put side by side: variants of bundles, and models that are not converted, by their names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgesdk.evaluate.subject import is_bundle
from edgesdk_targets.errors import InputError

if TYPE_CHECKING:
    from edgesdk.benchmark.subject import Subject
    from edgesdk.evaluate.answers import Predict
    from edgesdk.evaluate.dataset import Dataset
    from edgesdk_targets.bundle.bundle import Bundle
    from edgesdk_targets.bundle.manifest import Variant
    from edgesdk_targets.target import Runtime


@dataclass(frozen=True, slots=True)
class VariantPart:
    """A variant of a bundle; without a runtime it cannot run here."""

    bundle: Bundle
    variant: Variant
    runtime: Runtime | None
    why_not: str = ""

    @property
    def model(self) -> str:
        return self.bundle.manifest.name

    @property
    def meaning(self) -> tuple[str, tuple[str, ...]]:
        """Task and labels."""
        return self.bundle.manifest.task, self.bundle.manifest.labels

    @property
    def size_bytes(self) -> int:
        return self.bundle.manifest.bytes_of(self.variant)

    def subject(self, name: str, shown: Path | None) -> Subject:
        """Describe it to be timed.

        Args:
            shown: a picture as the camera's are: what members' own pictures take to be prepared is part of an inference, and
                hangs on its size. Nothing else does, and is timed by the bundle's own.

        Raises:
            InputError: the picture is needed, and cannot be read.
        """
        from edgesdk.benchmark.subject import bundle_subject
        from edgesdk_targets.preprocess.image_file import picture_bytes

        picture = picture_bytes(shown) if shown is not None and self.bundle.manifest.own_preprocess else None
        return bundle_subject(self.bundle, self.variant, runtime=self.runtime, name=name, picture=picture)

    @contextmanager
    def answering(self, threads: int) -> Iterator[Predict]:
        """Load it for its figures: as it answers on the device, with the scores of every class."""
        from edgesdk.evaluate.answers import each_alone
        from edgesdk_targets.decode.postprocess import measured_with
        from edgesdk_targets.model import load_model
        from edgesdk_targets.session import SessionOptions

        scores = measured_with(self.bundle.manifest.task)
        options = SessionOptions(threads=threads)
        with load_model(self.bundle, variant=self.variant.id, options=options, postprocess=scores, probe=True) as model:
            yield each_alone(model)


@dataclass(frozen=True, slots=True)
class SourcePart:
    """A model that is not converted: a card, an .onnx or a .pt2; it has figures, and no time on a device."""

    path: Path
    model: str
    meaning: tuple[str, tuple[str, ...]]
    size_bytes: int

    @contextmanager
    def answering(self, threads: int) -> Iterator[Predict]:
        """Load it as `convert` would."""
        from edgesdk.evaluate.subject import open_subject

        with open_subject(self.path, threads=threads) as subject:
            yield subject.predict


Part = VariantPart | SourcePart


def open_parts(artifacts: Sequence[str], target: str | None, stack: ExitStack) -> dict[str, Part]:
    """Open what is to be compared, and name each variant that is meant.

    Raises:
        InputError, BundleError: something cannot be opened, or nothing of it fits the target.
    """
    from edgesdk.benchmark.runnable import runnable
    from edgesdk_targets.bundle.bundle import open_bundle

    parts: dict[str, Part] = {}
    for text in dict.fromkeys(artifacts):
        path, variant_id = split_artifact(text)
        if variant_id is None and not is_bundle(path):
            parts[str(path)] = _source(path)
            continue
        bundle = stack.enter_context(open_bundle(path))
        found = runnable(bundle.manifest, target=target, variant_id=variant_id)
        for variant, runtime in found.variants:
            parts[f"{path}:{variant.id}"] = VariantPart(bundle, variant, runtime)
        for variant, reason in found.missing:
            parts[f"{path}:{variant.id}"] = VariantPart(bundle, variant, None, reason)
    return _short_names(parts)


def open_labelled(data: Path | None, parts: dict[str, Part]) -> Dataset | None:
    """Read the labelled data for all parts; None where none are given.

    Raises:
        InputError: the parts have different tasks or labels, or the data do not fit them.
    """
    if data is None:
        return None
    from edgesdk.evaluate.dataset import open_dataset

    kinds = {part.meaning for part in parts.values()}
    if len(kinds) > 1:
        raise InputError(
            "The models have different tasks or labels.", hint="Compare models of one task, or leave --data out."
        )
    task, labels = kinds.pop()
    return open_dataset(data, task=task, labels=labels)


def first_picture(dataset: Dataset) -> Path | None:
    """Return the first picture that can be decoded, to time with; a damaged one is told with the figures, by its name."""
    from edgesdk_targets.preprocess.image_file import read_image

    for sample in dataset.samples:
        with suppress(InputError):
            read_image(sample.path)
            return sample.path
    return None


def _source(path: Path) -> SourcePart:
    from edgesdk_converters.quiet import quiet
    from edgesdk_converters.source import resolve_source

    with quiet("compare"):
        source = resolve_source(path)
    card = source.card
    size = source.path.stat().st_size if source.path else 0
    return SourcePart(path, card.name, (card.task, source.card_file.labels), size)


def split_artifact(text: str) -> tuple[Path, str | None]:
    """Read BUNDLE or BUNDLE:VARIANT; a bundle's own name may hold a colon."""
    if Path(text).exists() or ":" not in text:
        return Path(text), None
    path, _, variant = text.rpartition(":")
    return Path(path), variant


def _short_names(parts: dict[str, Part]) -> dict[str, Part]:
    """Leave out of the names what all share: the bundle where there is one, else the folders where they do not matter."""
    paths = {part.bundle.path if isinstance(part, VariantPart) else part.path for part in parts.values()}
    alone = len(paths) == 1
    named: dict[str, Part] = {}
    for part in parts.values():
        if isinstance(part, SourcePart):
            named[part.path.name] = part
        else:
            named[part.variant.id if alone else f"{part.bundle.path.name}:{part.variant.id}"] = part
    return named if len(named) == len(parts) else parts
