"""PyTorch eager, one model, as something to time beside the artifacts; opened in a child process only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from edgesdk.benchmark.coverage.nodes import Coverage
from edgesdk.benchmark.lane import Opening
from edgesdk.benchmark.subject import Subject

NAME = "PyTorch eager"


def torch_subject(card: Path) -> Subject:
    """Describe the source model of a card, run by PyTorch as it is."""
    return Subject(NAME, "table.torch_lane:TorchLane", {"card": str(card)})


class TorchLane:
    """A card's module in evaluation mode, without gradients, on one seeded input."""

    picture = None

    def __init__(self, opening: Opening) -> None:
        import torch

        from edgesdk_converters.source import resolve_source

        torch.set_num_threads(opening.threads or 1)
        torch.set_num_interop_threads(1)
        source = resolve_source(opening.options["card"])
        loaded = source.load()
        self._module = loaded.eval() if isinstance(loaded, torch.nn.Module) else loaded.module()
        generator = torch.Generator().manual_seed(0)
        self._inputs = [torch.rand(spec.shape, generator=generator) for spec in source.declared_inputs()]
        self._mode = torch.inference_mode

    def infer(self) -> object:
        with self._mode():
            return self._module(*self._inputs)

    def stages(self) -> Mapping[str, Callable[[], object]]:
        return {}

    def coverage(self) -> Coverage | None:
        return None
