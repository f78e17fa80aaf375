"""Prove one artifact: compare it with the source, ask the gate, and say on what it has run."""

from __future__ import annotations

from collections.abc import Sequence

from edgesdk_converters.artifact import Artifact
from edgesdk_converters.proving.compare import compare, runtime_here
from edgesdk_converters.proving.gate import Gate, Verdict
from edgesdk_converters.proving.predictor import Predictor
from edgesdk_converters.quiet import quiet
from edgesdk_converters.reference import Reference
from edgesdk_converters.routes import Route
from edgesdk_converters.source import Source
from edgesdk_converters.workshop import Progress
from edgesdk_targets.bundle.manifest import Status, Variant
from edgesdk_targets.decode.postprocess import judged_with
from edgesdk_targets.errors import GateFailed, InputError, ParityError, StepFailed
from edgesdk_targets.session import Session, open_files
from edgesdk_targets.target import Precision, Runtime, Target
from edgesdk_targets.tensor import Array
from edgesdk_targets.variant_choice import is_here, this_host


class Proof:
    """What artifacts of one source are measured against.

    Args:
        pictures: on which parity is measured, (H, W, 3) uint8 BGR.
        gate: None leaves accuracy unmeasured.
        batch: pictures of one inference of the artifacts; source and reference take one.
    """

    def __init__(
        self,
        source: Source,
        reference: Reference,
        pictures: Sequence[Array],
        gate: Gate | None,
        say: Progress,
        *,
        batch: int = 1,
    ) -> None:
        self.source = source
        self.reference = reference
        self.pictures = pictures
        self._gate = gate
        self._batch = batch
        self._say = say
        # One function for all artifacts: a gate asks the same model only once.
        self._asked: Predictor | None = None

    def prove(
        self, target: Target, route: Route, precision: Precision, artifact: Artifact, notes: Sequence[str]
    ) -> Variant:
        """Describe an artifact as a variant, once it is shown to be good.

        Args:
            precision: what the artifact turned out to be; a repaired int8 one is mixed.
            notes: why earlier runtimes were not taken.

        Raises:
            StepFailed: it is too large for the target.
            ParityError: it answers differently from the source.
            GateFailed: it is less accurate than allowed.
            InputError: the labels do not fit the pictures.
            SessionFailed: its runtime does not run it.
        """
        _check_size(target, artifact)
        variant = Variant(
            id=f"{target.name}-{route.runtime.value}-{precision.value}{f'-b{self._batch}' if self._batch > 1 else ''}",
            target=target.name,
            runtime=route.runtime,
            precision=precision,
            effective_precision=artifact.effective_precision,
            files={role: role for role in artifact.files},
            inputs=artifact.inputs,
            outputs=artifact.outputs,
            folded=artifact.folded,
            notes=(*notes, *artifact.notes),
            batch=self._batch if self._batch > 1 else None,
        )
        runtime = runtime_here(route.runtime)
        if runtime is None:
            note = f"not compared: {route.runtime.value} is not installed here"
            return variant.model_copy(update={"notes": (*variant.notes, note)})
        parity = compare(self.reference, self.source.card, artifact, variant, runtime, self.pictures)
        if not parity.passed:
            worst = parity.worst
            raise ParityError(
                f"{variant.id} answers differently from the source: {worst.name} has {worst.sqnr_db:.1f} dB "
                f"(at least {parity.limit_db:g}), worst difference {worst.max_abs:.3g}.",
                hint="Choose --precision fp32, or another target.",
            )
        found = {
            "parity": {**parity.to_json(), "runtime": runtime.value},
            "status": _status(target, route.runtime, runtime),
        }
        verdict = self._judge(variant, artifact, runtime)
        if verdict is not None:
            said = {"outcome": verdict.outcome, "reason": verdict.reason, "excess": round(verdict.excess, 6)}
            found["accuracy"] = {**verdict.report, **said}
        return variant.model_copy(update=found)

    def _judge(self, variant: Variant, artifact: Artifact, runtime: Runtime) -> Verdict | None:
        """Ask the gate; a failure is raised."""
        if self._gate is None:
            return None
        self._say(f"{variant.id}: measuring accuracy")
        if self._asked is None:
            self._asked = self._predictor(self.reference, folded=False)
        session = self.open(artifact, variant, runtime)
        try:
            verdict = self._gate.judge(variant.id, self._asked, self._predictor(session, folded=variant.folded))
        finally:
            session.close()
        self._say(f"{variant.id}: {verdict.outcome}: {verdict.reason}")
        if verdict.report.get("labels_misplaced"):
            # No artifact could pass, and no tier of INT8 would mend it.
            raise InputError(f"--data cannot be used: {verdict.reason}", hint="Correct the labels.")
        if verdict.outcome == "fail":
            raise GateFailed(
                f"{variant.id} is not accurate enough: {verdict.reason}",
                hint="Allow more with --max-drop, keep layers in float (--keep-float), or use --precision fp16.",
                excess=verdict.excess,
            )
        return verdict

    def open(self, artifact: Artifact, variant: Variant, runtime: Runtime) -> Session:
        """Load an artifact; the caller closes it."""
        with quiet("compare"):  # LiteRT greets on stderr
            return open_files(artifact.files, variant, self.reference.inputs, self.reference.outputs, runtime=runtime)

    def _predictor(self, model: Reference | Session, *, folded: bool) -> Predictor:
        card, labels = self.source.card, self.source.card_file.labels
        judged = judged_with(card.task)
        return Predictor(model.run, model.inputs, model.outputs, card, labels, folded=folded, postprocess=judged)


def _check_size(target: Target, artifact: Artifact) -> None:
    size = sum(len(data) for data in artifact.files.values())
    if size > target.max_bundle_bytes:
        raise StepFailed(
            f"its files are {size} bytes, {target.name} takes {int(target.max_bundle_bytes)}.",
            hint="Use --precision int8 or fp16, or a smaller model.",
        )


def _status(target: Target, runtime: Runtime, used: Runtime) -> Status:
    """Say on what the variant has run; never more than is true."""
    if used is not runtime:
        return "built only"
    return "measured" if is_here(target.name, this_host()) else "simulated"
