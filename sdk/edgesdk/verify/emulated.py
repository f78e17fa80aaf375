"""Verify a bundle on an emulated board, by the board's own builds of the runtimes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgesdk.emulate.root import EmulatedBoard
from edgesdk.emulate.verify import BoardAnswers, verify_on_board
from edgesdk.verify.subject import need_golden, open_data
from edgesdk.verify.verification import Verdict, Verification, VerifiedVariant
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.bundle.manifest import Manifest, Variant
from edgesdk_targets.decode.postprocess import measured_with
from edgesdk_targets.errors import WrongTarget
from edgesdk_targets.target import Runtime
from edgesdk_targets.variant_choice import Host, choose_variants

if TYPE_CHECKING:
    from edgesdk.evaluate.dataset import Dataset

Say = Callable[[str], None]
_RUNTIMES = frozenset({Runtime.LITERT, Runtime.ONNXRUNTIME, Runtime.OPENVINO})


def verify_emulated(
    bundle: Path,
    emulated: EmulatedBoard,
    *,
    target: str | None = None,
    variant: str | None = None,
    data: Path | None = None,
    say: Say,
) -> Verification:
    """Check a board's variants by its own builds of the runtimes, under emulation.

    Args:
        target, variant: another target's variants, or this variant; the board's own otherwise.
        data: labelled pictures to evaluate on as well.

    Raises:
        BundleError: the bundle is damaged, has no golden set, or nothing in it runs on the board.
        InputError: the data cannot be used.
    """
    with open_bundle(bundle) as opened:
        need_golden(opened)
        manifest, digest = opened.manifest, opened.digest
    asked = _for_board(manifest, emulated.board.target, target, variant)
    dataset = open_data(manifest, data)
    say(f"{', '.join(one.id for one in asked)} on {emulated.board.cpu}")
    answers = verify_on_board(
        emulated,
        bundle,
        [one.id for one in asked],
        task=manifest.task,
        labels=manifest.labels,
        pictures=_pictures(dataset),
        postprocess=measured_with(manifest.task),
    )
    found = [_from_board(one, answer, dataset) for one, answer in zip(asked, answers, strict=True)]
    return Verification(manifest, digest, tuple(found))


def _for_board(manifest: Manifest, board: str, target: str | None, variant: str | None) -> list[Variant]:
    """Return the variants to check: those asked for, else the board's own, else those for any machine.

    Raises:
        WrongTarget: there is none.
    """
    host = Host(board, "aarch64")
    choice = choose_variants(
        manifest, target=target, variant_id=variant, host=host, installed=lambda runtime: runtime in _RUNTIMES
    )
    asked = list({candidate.variant.id: candidate.variant for candidate in choice.candidates}.values())
    if target is None and variant is None:
        own = [one for one in asked if one.target == board]
        asked = own or [one for one in asked if one.target == "generic-onnx"]
    if not asked:
        raise WrongTarget(
            f"{manifest.name} {manifest.version} has no variant for {board}.",
            hint=f"Convert it with --target {board}, or name another variant with --variant.",
        )
    return asked


def _pictures(dataset: Dataset | None) -> Sequence[Path]:
    if dataset is None:
        return ()
    from edgesdk.evaluate.answers import paths_of

    return [picture for picture in paths_of(dataset) if isinstance(picture, Path)]


def _from_board(variant: Variant, answers: BoardAnswers, dataset: Dataset | None) -> VerifiedVariant:
    golden = dict(answers.golden) if answers.golden is not None else None
    if answers.problem is not None:
        # On the board itself it would be the same, so it is no "cannot run here".
        return VerifiedVariant(
            variant, "emulated", "fail", answers.runtime, golden, problem=answers.problem, hint=answers.hint
        )
    scores = None
    if dataset is not None:
        from edgesdk.evaluate.evaluate import evaluate

        results = iter(answers.results)
        scores = evaluate(lambda _image: next(results), dataset)
    verdict: Verdict = "pass" if golden is not None and golden["verdict"] == "pass" else "fail"
    return VerifiedVariant(variant, "emulated", verdict, answers.runtime, golden, scores)
