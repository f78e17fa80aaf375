"""How long a model under compression takes on a runtime: converted for it, and measured in a process of its own."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from torch import nn

from edgesdk.benchmark.artifact_bytes import artifact_bytes
from edgesdk.benchmark.measure import Plan, measure
from edgesdk.benchmark.runnable import runnable
from edgesdk.benchmark.subject import bundle_subject
from edgesdk.compression.subject import Subject
from edgesdk_converters.convert import convert
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.card import CardFile
from edgesdk_targets.errors import EdgeError, InputError

# Targets whose first runtime is the one that is asked for.
_TARGETS = {"onnxruntime": "generic-onnx", "openvino": "x86-cpu", "litert": "rpi5"}
_SECONDS = 1.0
_TURNS = 2
# The ranges that more pictures would give change no time.
_CALIBRATED_WITH = 8


@dataclass(frozen=True, slots=True)
class Timing:
    """Measures models on this machine.

    Attributes:
        target: whose own runtime is asked where none is named.
        precision: of the artifact that is made in the end: its time is what counts.
        calibrate: pictures for INT8.
        bundles: of models that are still there, by runtime.
    """

    card: CardFile
    target: str
    say: Callable[[str], None]
    precision: str = "fp32"
    calibrate: Path | None = None
    bundles: MutableMapping[nn.Module, dict[str | None, bytes]] = field(default_factory=WeakKeyDictionary)

    def latency_ms(self, subject: Subject, runtime: str | None) -> float:
        """Return the median time of one inference with one thread, in the precision of the artifact.

        Raises:
            InputError: the model cannot be had on this runtime in this precision.
            ConversionError, ChildFailed: it cannot be converted, or does not run.
        """
        with tempfile.TemporaryDirectory(prefix="edgesdk-timing-") as folder:
            place = Path(folder) / "measured.edgebundle"
            place.write_bytes(self._converted(subject.module, runtime))
            with open_bundle(place) as bundle:
                variant, own = runnable(bundle.manifest).variants[0]
                found = measure(bundle_subject(bundle, variant, runtime=own), Plan(seconds=_SECONDS, threads=1))
        self.say(f"measured: {found.latency.p50:.3f} ms on {variant.runtime.value} in {variant.precision.value}")
        return found.latency.p50

    def brought(self, before: Subject, after: Subject) -> dict[str, Any]:
        """Return what a pass brings on each runtime: the time of each turn, and the artifact's bytes, unpacked and in a bundle.

        Both are measured by turns: other work here makes both slower. `faster` and `slower` are said only where no turn of one
        lies among those of the other. A runtime that cannot be asked is left out.
        """
        found: dict[str, Any] = {}
        for runtime in _TARGETS:
            try:
                turns = [[self.latency_ms(one, runtime) for one in (before, after)] for _ in range(_TURNS)]
            except EdgeError as error:
                self.say(f"not measured on {runtime}: {error.message}")
                continue
            sizes = [artifact_bytes(io.BytesIO(self._converted(one.module, runtime))) for one in (before, after)]
            rows: dict[str, list[Any]] = {
                "ms": [[round(time, 4) for time in times] for times in zip(*turns, strict=True)]
            }
            rows["unpacked_bytes"] = [size.unpacked for size in sizes]
            rows["deflated_bytes"] = [size.deflated for size in sizes]
            found[runtime] = {name: {"before": one, "after": other} for name, (one, other) in rows.items()}
            found[runtime]["time"] = _told(*rows["ms"])
        return found

    def _converted(self, module: nn.Module, runtime: str | None) -> bytes:
        """Return a module's bundle; of one that is still there the same again, as pruned models are measured beside the whole."""
        known = self.bundles.setdefault(module, {})
        if runtime in known:
            return known[runtime]
        target = _TARGETS[runtime] if runtime else self.target
        with tempfile.TemporaryDirectory(prefix="edgesdk-timing-") as folder:
            made = convert(
                module,
                target,
                card=live_card(self.card),
                precision=self.precision,
                calib_data=self.calibrate,
                calib_count=_CALIBRATED_WITH,
                tune=False,
                output=Path(folder),
                cache=None,
            )
            variant = made.variants[0]
            if (runtime and variant.runtime.value != runtime) or variant.precision.value != self.precision:
                raise InputError(
                    f"The model cannot be measured on {runtime or 'the target'} in {self.precision}: it was converted for "
                    f"{variant.runtime.value} in {variant.precision.value}.",
                    hint=f"Name another `runtime` or `precision`. {'; '.join(variant.notes)}",
                )
            known[runtime] = made.path.read_bytes()
        return known[runtime]


def _told(before: Sequence[float], after: Sequence[float]) -> str:
    if max(after) < min(before):
        return "faster"
    return "slower" if min(after) > max(before) else "no difference beyond its turns"


def timing_for(
    card: CardFile, target: str, precision: str | None, calibrate: Path | None, say: Callable[[str], None]
) -> Timing:
    """Return what measures models of a recipe.

    Args:
        precision: of the recipe's artifact; None is measured in float, and `mixed` as INT8, its fast part.
    """
    quantised = precision in {"int8", "mixed"}
    return Timing(card, target, say, "int8" if quantised else precision or "fp32", calibrate if quantised else None)


def live_card(card: CardFile) -> dict[str, Any]:
    """Return a card's content for a live module: no paths, no code."""
    content = card.card.model_dump(mode="json", exclude_unset=True)
    for name in ("source", "factory", "factory_args", "code"):
        content.pop(name, None)
    return {**content, "labels": list(card.labels)}
