"""How long a model under compression takes on a runtime: converted for it, and measured in a process of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesdk.benchmark.measure import Plan, measure
from edgesdk.benchmark.runnable import runnable
from edgesdk.benchmark.subject import bundle_subject
from edgesdk.compression.subject import Subject
from edgesdk_converters.convert import convert
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.card import CardFile
from edgesdk_targets.errors import InputError

# Targets whose first runtime is the one that is asked for.
_TARGETS = {"onnxruntime": "generic-onnx", "openvino": "x86-cpu", "litert": "rpi5"}
_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Timing:
    """Measures models on this machine.

    Attributes:
        target: whose own runtime is asked where none is named.
    """

    card: CardFile
    target: str
    say: Callable[[str], None]

    def latency_ms(self, subject: Subject, runtime: str | None) -> float:
        """Return the median time of one inference, in float, with one thread.

        Raises:
            InputError: the model cannot be had on this runtime.
            ConversionError, ChildFailed: it cannot be converted, or does not run.
        """
        target = _TARGETS[runtime] if runtime else self.target
        with tempfile.TemporaryDirectory(prefix="edgesdk-timing-") as folder:
            made = convert(
                subject.module, target, card=live_card(self.card), precision="fp32", output=Path(folder), cache=None
            )
            variant = made.variants[0]
            if runtime and variant.runtime.value != runtime:
                raise InputError(
                    f"The model cannot be measured on {runtime}: it was converted for {variant.runtime.value}.",
                    hint=f"Name another `runtime`. {'; '.join(variant.notes)}",
                )
            with open_bundle(made.path) as bundle:
                variant, own = runnable(bundle.manifest).variants[0]
                found = measure(bundle_subject(bundle, variant, runtime=own), Plan(seconds=_SECONDS, threads=1))
        self.say(f"measured: {found.latency.p50:.3f} ms on {variant.runtime.value}")
        return found.latency.p50


def live_card(card: CardFile) -> dict[str, Any]:
    """Return a card's content for a live module: no paths, no code."""
    content = card.card.model_dump(mode="json", exclude_unset=True)
    for name in ("source", "factory", "factory_args", "code"):
        content.pop(name, None)
    return {**content, "labels": list(card.labels)}
