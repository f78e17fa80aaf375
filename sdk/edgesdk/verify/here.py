"""Verify a bundle on this machine, by the path that the agent takes: each variant is tried in a process of its own first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from edgesdk.verify.subject import need_golden, open_data
from edgesdk.verify.verification import Verdict, Verification, VerifiedVariant
from edgesdk_converters.quiet import quiet
from edgesdk_targets.bundle.bundle import Bundle, open_bundle
from edgesdk_targets.bundle.manifest import Status, Variant
from edgesdk_targets.decode.postprocess import measured_with
from edgesdk_targets.errors import MissingExtra, SessionFailed
from edgesdk_targets.golden.check import check_golden
from edgesdk_targets.model import load_model
from edgesdk_targets.session import SessionOptions
from edgesdk_targets.target import Runtime
from edgesdk_targets.variant_choice import choose_variants, is_here, this_host

if TYPE_CHECKING:
    from edgesdk.evaluate.dataset import Dataset
    from edgesdk.evaluate.scorecard import Scorecard

Say = Callable[[str], None]


def verify_here(
    bundle: Path,
    *,
    target: str | None = None,
    variant: str | None = None,
    data: Path | None = None,
    threads: int = 0,
    say: Say,
) -> Verification:
    """Check every variant that runs on this machine, by the path that the agent takes.

    Args:
        target, variant: only this target's variants, or this variant.
        data: labelled pictures to evaluate on as well.

    Raises:
        BundleError: the bundle is damaged, has no golden set, or nothing in it can run here.
        InputError: the data cannot be used.
    """
    with open_bundle(bundle) as opened:
        need_golden(opened)
        choice = choose_variants(opened.manifest, target=target, variant_id=variant)
        dataset = open_data(opened.manifest, data)
        asked = list({candidate.variant.id: candidate.variant for candidate in choice.candidates}.values())
        options = SessionOptions(threads=threads)
        found = []
        for one in asked:
            say(one.id)
            with quiet("verify"):  # LiteRT greets on stderr
                found.append(_check_here(opened, one, dataset, options))
        checked = {one.id for one in asked}
        asked_for = {one.id for one in opened.manifest.variants if variant in {None, one.id}}
        skipped = [(name, why) for name, why in choice.rejected if name in asked_for - checked]
        return Verification(opened.manifest, opened.digest, tuple(found), tuple(skipped))


def _check_here(bundle: Bundle, variant: Variant, dataset: Dataset | None, options: SessionOptions) -> VerifiedVariant:
    try:
        with load_model(bundle, variant=variant.id, options=options, probe=True) as model:
            runtime, report = model.runtime, check_golden(bundle, model)
        scores = _measure(bundle, variant, dataset, options) if dataset is not None else None
    except (SessionFailed, MissingExtra) as error:
        return VerifiedVariant(variant, "built only", "cannot run", problem=error.message, hint=error.hint)
    verdict: Verdict = "pass" if report.passed else "fail"
    return VerifiedVariant(variant, _status(variant, runtime), verdict, runtime.value, report.to_json(), scores)


def _measure(bundle: Bundle, variant: Variant, dataset: Dataset, options: SessionOptions) -> Scorecard:
    from edgesdk.evaluate.answers import each_alone
    from edgesdk.evaluate.evaluate import evaluate

    settings = measured_with(bundle.manifest.task)
    with load_model(bundle, variant=variant.id, options=options, postprocess=settings, probe=True) as model:
        return evaluate(each_alone(model), dataset)


def _status(variant: Variant, runtime: Runtime) -> Status:
    """Say on what the variant was checked; never more than is true."""
    if runtime is not variant.runtime:
        return "built only"
    return "measured" if is_here(variant.target, this_host()) else "simulated"
