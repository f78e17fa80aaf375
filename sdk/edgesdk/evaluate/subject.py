"""What is measured: a variant of a bundle by its runtime, or a model as its card describes it, in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgesdk_targets.model import Model
    from edgesdk_targets.results import Result
    from edgesdk_targets.tensor import Array


@dataclass(frozen=True, slots=True)
class Subject:
    """A model that answers.

    Attributes:
        model: what it is called where several models are meant.
        variant: of a bundle; of a card the card itself.
        runtime: what runs it.
        digest: of the bundle; empty for a card.
        score_threshold: of the deployed detector.
        predict: answers for one picture (H, W, 3) uint8 BGR.
    """

    model: str
    variant: str
    runtime: str
    digest: str
    task: str
    labels: tuple[str, ...]
    score_threshold: float
    predict: Callable[[Array], Result]


def is_bundle(path: Path) -> bool:
    """Say whether a path is meant as a bundle; else it is a model card, an .onnx, or a .pt2."""
    return path.suffix == ".edgebundle" or path.is_dir() or path.suffix not in {".yaml", ".yml", ".onnx", ".pt2"}


@contextmanager
def open_subject(
    path: str | Path,
    *,
    target: str | None = None,
    variant: str | None = None,
    threads: int = 0,
    chosen: Callable[[Model], None] | None = None,
) -> Iterator[Subject]:
    """Load a variant of a bundle, or a model by its card, as it is measured: with the scores of every class.

    Args:
        path: a bundle; or a card, an .onnx or a .pt2 that is not converted.
        target, variant: of a bundle; the variant that fits this machine unless given.
        threads: of one inference; 0 for all cores.
        chosen: told which variant runs, and why no other does, before it is asked anything.

    Raises:
        InputError: a target or variant is named for a card, or the model does not load.
        BundleError: the bundle is damaged, or nothing in it can run here.
        MissingExtra: what runs it is not installed.
    """
    path = Path(path)
    if not is_bundle(path):
        yield _of_source(path, target, variant, threads)
        return
    from edgesdk.evaluate.answers import each_alone
    from edgesdk_targets.bundle.bundle import open_bundle
    from edgesdk_targets.decode.postprocess import measured_with
    from edgesdk_targets.model import load_model
    from edgesdk_targets.session import SessionOptions

    with open_bundle(path) as bundle:
        threshold = bundle.manifest.postprocess.score_threshold
        settings = measured_with(bundle.manifest.task)
        model = load_model(
            bundle, target=target, variant=variant, options=SessionOptions(threads=threads), postprocess=settings
        )
    with model:
        if chosen is not None:
            chosen(model)
        manifest = model.manifest
        yield Subject(
            path.name,
            model.variant.id,
            model.runtime.value,
            model.digest,
            manifest.task,
            manifest.labels,
            threshold,
            each_alone(model),
        )


def _of_source(path: Path, target: str | None, variant: str | None, threads: int) -> Subject:
    """Load a model that is not converted, as `convert` would."""
    from edgesdk_converters.proving.predictor import source_predictor
    from edgesdk_converters.quiet import quiet
    from edgesdk_converters.source import resolve_source
    from edgesdk_targets.decode.postprocess import measured_with
    from edgesdk_targets.errors import InputError

    if target is not None or variant is not None:
        raise InputError(f"{path} is no bundle: it has no variants.", hint="Leave --target and --variant out.")
    with quiet("evaluate"):
        source = resolve_source(path)
        if threads and not source.is_onnx:
            _set_threads(threads)
        predict = source_predictor(source, measured_with(source.card.task))
    card, labels = source.card, source.card_file.labels
    runtime = "onnxruntime, not converted" if source.is_onnx else "pytorch"
    threshold = card.postprocess.score_threshold
    return Subject(path.name, path.name, runtime, "", card.task, labels, threshold, predict)


def _set_threads(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)
