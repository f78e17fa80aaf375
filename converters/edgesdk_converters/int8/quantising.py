"""Build an INT8 artifact that is good enough, keeping as little as possible in float."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from edgesdk_converters.artifact import Artifact
from edgesdk_converters.families.build import build
from edgesdk_converters.int8.attempts import helped, measured_beyond, most_telling
from edgesdk_converters.int8.calibrating import Calibrating
from edgesdk_converters.int8.order import Int8Order
from edgesdk_converters.int8.tiers import Tier, tiers
from edgesdk_converters.packing import Built
from edgesdk_converters.proving.compare import runtime_here
from edgesdk_converters.proving.proof import Proof
from edgesdk_converters.proving.speed import EVEN, time_ratio
from edgesdk_converters.routes import Route
from edgesdk_converters.steps.int8_onnx_regions import depthwise_nodes, head_nodes, nodes_matching
from edgesdk_converters.workshop import Progress, Workshop
from edgesdk_targets.bundle.manifest import Variant
from edgesdk_targets.errors import EdgeError, GateFailed, ParityError, StepFailed
from edgesdk_targets.target import Precision, Runtime, Target

if TYPE_CHECKING:
    from edgesdk_converters.int8.tuning import Tuned
    from edgesdk_converters.steps.int8_onnx_drift import Style
    from edgesdk_converters.steps.sensitivity_onnx import Sensitivity

_LAST_RESORTS = {Runtime.OPENVINO: "NNCF's accuracy control", Runtime.LITERT: "ranges found while running"}


class Quantiser:
    """Walks the tiers of INT8 for one model.

    Args:
        keep_float: patterns of names of ONNX nodes that stay in float.
        tune: weights may be chosen for 8 bits.

    Attributes:
        warnings: what the user should know though it is no failure.
    """

    def __init__(
        self,
        workshop: Workshop,
        calibrating: Calibrating,
        keep_float: Sequence[str],
        say: Progress,
        *,
        tune: bool = True,
    ) -> None:
        self._workshop = workshop
        self._calibrating = calibrating
        self._patterns = tuple(keep_float)
        self._say = say
        self._tune = tune
        self._evened: bytes | None = None
        self._tuned: Tuned | None = None
        self._sensitivities: dict[Style, tuple[Sensitivity, ...]] = {}
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
        doubtful: list[Built] = []
        overflows = _overflows(target)
        beyond: dict[str, float] = {}
        for tier in self._tiers(route, beyond, tune=self._tune and not overflows):
            self._say(f"{target.name}: {route.runtime.value} int8, {tier.name}")
            try:
                order = Int8Order(
                    self._calibrating,
                    self._model(tier),
                    tier.keep_float,
                    tier.last_resort,
                    seven_bits=overflows,
                    tuned=tier.tuned,
                )
                artifact = build(self._workshop, route, order)
            except StepFailed as error:
                # Nothing would be left in INT8, say; what was found before, and another way, still count.
                failures.append(error)
                tried.append(f"{tier.name} not built: {error.message}")
                self._say(tried[-1])
                beyond[tier.name] = math.inf
                continue
            precision = Precision.MIXED if tier.mixed else Precision.INT8
            told = (*notes, *tried, *self._said_of(tier))
            try:
                variant = proof.prove(target, route, precision, artifact, told)
            except (ParityError, GateFailed) as error:
                failures.append(error)
                if isinstance(error, GateFailed):
                    beyond[tier.name] = error.excess
                tried.append(f"{tier.name} not taken: {error.message}")
                self._say(tried[-1])
                continue
            if measured_beyond(variant):
                # Too few samples to call it a failure; but one that measures better is to be preferred.
                doubtful.append((variant, artifact))
                beyond[tier.name] = float(variant.accuracy["excess"])
                tried.append(f"{tier.name} not taken: {variant.accuracy['reason']}")
                continue
            self._check_speed(route, proof, variant, artifact, must_be_faster=must_be_faster)
            return variant, artifact
        if not doubtful:
            raise most_telling(failures)
        variant, artifact = min(doubtful, key=lambda built: float(built[0].accuracy["excess"]))
        self._check_speed(route, proof, variant, artifact, must_be_faster=must_be_faster)
        return variant, artifact

    def _tiers(self, route: Route, beyond: Mapping[str, float], *, tune: bool) -> Iterator[Tier]:
        """Yield the tries.

        Args:
            beyond: tier's name → by how much it was beyond the gate's limit, of those tried; infinite where it could not be
                built.
            tune: weights in all their range are wanted, and may be chosen.
        """
        model = self._workshop.onnx()
        style: Style = "symmetric" if route.runtime is Runtime.TENSORRT else "u8s8"
        detects = self._workshop.source.card.task == "detect"
        return tiers(
            kept=nodes_matching(model, self._patterns) if self._patterns else (),
            head=lambda: head_nodes(model) if detects else (),
            light=lambda: depthwise_nodes(model) if style == "symmetric" else (),
            ranking=lambda: [layer.node for layer in self.sensitivities(style)],
            tuning=lambda: tune and self._tuning().gain_db > 0,
            tuning_helps=lambda: helped(beyond),
            mixed_only=route.precision is Precision.MIXED,
            last_resort=_LAST_RESORTS.get(route.runtime),
        )

    def _said_of(self, tier: Tier) -> list[str]:
        """Return what the bundle says of how a tier was made."""
        said = [f"kept in float: {tier.name}"] if tier.mixed else []
        if tier.tuned:
            said.append(f"weights tuned to 8 bits: {self._tuning().gain_db:.1f} dB closer to float")
        return said

    def _model(self, tier: Tier) -> bytes:
        """Return the float model that a tier quantises, for every family the same."""
        if not tier.tuned:
            return self._plain()
        from edgesdk_converters.steps.tuned_weights import with_weights_of

        tuned = self._tuning()
        return with_weights_of(tuned.model, tuned.base, tier.keep_float) if tier.keep_float else tuned.model

    def _tuning(self) -> Tuned:
        """Return the float model with weights chosen for 8 bits, where that pays."""
        if self._tuned is None:
            from edgesdk_converters.int8.tuning import Tuned, tuned_where_better

            model, head = self._plain(), self._workshop.source.card.postprocess.head

            def run() -> dict[str, bytes]:
                made = tuned_where_better(model, self._calibrating.samples(), head)
                return {"model": made.model, "base": made.base, "gain": f"{made.gain_db:.3f}".encode()}

            options = {**self._calibrating.to_json(), "head": head}
            files = self._workshop.step("tuned_weights", model, options, run)
            self._tuned = Tuned(files["model"], files["base"], float(files["gain"]))
        return self._tuned

    def _plain(self) -> bytes:
        """Return the source's float model, its channels evened out where that pays."""
        if self._evened is None:
            from edgesdk_converters.int8.evening import evened_where_better

            model, head = self._workshop.onnx(), self._workshop.source.card.postprocess.head

            def run() -> dict[str, bytes]:
                return {"model": evened_where_better(model, self._calibrating.samples(), head)}

            options = {**self._calibrating.to_json(), "head": head}
            self._evened = self._workshop.step("even_channels", model, options, run)["model"]
        return self._evened

    def sensitivities(self, style: Style = "u8s8") -> tuple[Sensitivity, ...]:
        """Return what each layer costs alone, worst first; measured once for each style."""
        if style not in self._sensitivities:
            from edgesdk_converters.steps.sensitivity_onnx import sensitivities

            self._say("measuring what each layer costs in INT8")
            model = self._plain()
            self._sensitivities[style] = sensitivities(
                model,
                self._calibrating.samples(),
                self._calibrating.ranges(model),
                style=style,
                head=self._workshop.source.card.postprocess.head,
                progress=self._say,
            )
        return self._sensitivities[style]

    def _check_speed(
        self, route: Route, proof: Proof, variant: Variant, artifact: Artifact, *, must_be_faster: bool
    ) -> None:
        """Compare with float on the same runtime, where this host is the kind that the variant is for."""
        if variant.status != "measured" or runtime_here(route.runtime) is not route.runtime:
            return
        plain = build(self._workshop, route.in_float())
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
                # Without the figure, which is another one each time: this goes into the bundle.
                raise StepFailed(
                    f"{variant.id} is slower than fp32 on the converting host.",
                    hint="Ask for it with --precision int8 if its size is what counts.",
                )
            self.warnings.append(f"{said}; fp32 is the better choice here")


def _overflows(target: Target) -> bool:
    """Tell whether a target's processor is said to add 8-bit products in 16 bits: AVX without VNNI."""
    features = target.cpu.features
    return any(name.startswith("avx") for name in features) and not any("vnni" in n or "amx" in n for n in features)
