"""Build an INT8 artifact that is good enough, keeping as little as possible in float."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgesdk_converters.artifact import Artifact, Int8Order, Progress, Workshop
from edgesdk_converters.calibrating import Calibrating
from edgesdk_converters.compare import runtime_here
from edgesdk_converters.packing import Built
from edgesdk_converters.proof import Proof
from edgesdk_converters.routes import Route
from edgesdk_converters.speed import EVEN, time_ratio
from edgesdk_converters.steps.int8_onnx_regions import head_nodes, nodes_matching
from edgesdk_converters.tiers import tiers
from edgesdk_targets.bundle.manifest import Variant
from edgesdk_targets.errors import EdgeError, GateFailed, ParityError, StepFailed
from edgesdk_targets.target import Precision, Target

if TYPE_CHECKING:
    from edgesdk_converters.steps.sensitivity_onnx import Sensitivity


class Quantiser:
    """Walks the tiers of INT8 for one model.

    Args:
        keep_float: patterns of names of ONNX nodes that stay in float.

    Attributes:
        warnings: what the user should know though it is no failure.
    """

    def __init__(self, workshop: Workshop, calibrating: Calibrating, keep_float: Sequence[str], say: Progress) -> None:
        self._workshop = workshop
        self._calibrating = calibrating
        self._patterns = tuple(keep_float)
        self._say = say
        self._sensitivities: tuple[Sensitivity, ...] | None = None
        self.warnings: list[str] = []

    def build(self, target: Target, route: Route, proof: Proof, notes: Sequence[str], *, must_be_faster: bool) -> Built:
        """Return the first artifact of the tiers that passes parity and gate.

        Args:
            must_be_faster: one that is slower than float on this host, where this host is the target, is refused.

        Raises:
            ParityError, GateFailed: none passes; the message tells what the best one lacked.
            StepFailed: it cannot be built, or is slower than float.
        """
        failures: list[EdgeError] = []
        tried: list[str] = []
        model = self._workshop.onnx()
        kept = nodes_matching(model, self._patterns) if self._patterns else ()
        for tier in tiers(
            kept=kept,
            head=lambda: head_nodes(model),
            ranking=lambda: [layer.node for layer in self.sensitivities()],
            mixed_only=route.precision is Precision.MIXED,
        ):
            self._say(f"{target.name}: {route.runtime.value} int8, {tier.name}")
            artifact = self._workshop.build(route, Int8Order(self._calibrating, tier.keep_float))
            precision = Precision.MIXED if tier.mixed else Precision.INT8
            try:
                told = (*notes, *tried, *([f"kept in float: {tier.name}"] if tier.mixed else []))
                variant = proof.prove(target, route, precision, artifact, told)
            except (ParityError, GateFailed) as error:
                failures.append(error)
                tried.append(f"{tier.name} not taken: {error.message}")
                self._say(tried[-1])
                continue
            self._check_speed(route, proof, variant, artifact, must_be_faster=must_be_faster)
            return variant, artifact
        raise failures[-1]

    def sensitivities(self) -> tuple[Sensitivity, ...]:
        """Return what each layer costs alone, worst first; measured once."""
        if self._sensitivities is None:
            from edgesdk_converters.steps.sensitivity_onnx import sensitivities

            self._say("measuring what each layer costs in INT8")
            model = self._workshop.onnx()
            ranges = self._calibrating.ranges(model)
            head = self._workshop.source.card.postprocess.head
            self._sensitivities = sensitivities(
                model, self._calibrating.samples(), ranges, head=head, progress=self._say
            )
        return self._sensitivities

    def _check_speed(
        self, route: Route, proof: Proof, variant: Variant, artifact: Artifact, *, must_be_faster: bool
    ) -> None:
        """Compare with float on the same runtime, where this host is the kind that the variant is for."""
        if variant.status != "measured" or runtime_here(route.runtime) is not route.runtime:
            return
        plain = self._workshop.build(route.in_float())
        float_variant = variant.model_copy(
            update={
                "inputs": plain.inputs,
                "outputs": plain.outputs,
                "folded": plain.folded,
                "precision": Precision.FP32,
            }
        )
        ratio = time_ratio(proof.reference, (variant, artifact), (float_variant, plain))
        said = f"{variant.id} takes {ratio:.2f} times as long as fp32 on this host"
        self._say(said)
        if ratio > 1 + EVEN:
            if must_be_faster:
                raise StepFailed(f"{said}.", hint="Ask for it with --precision int8 if its size is what counts.")
            self.warnings.append(f"{said}; fp32 is the better choice here")
