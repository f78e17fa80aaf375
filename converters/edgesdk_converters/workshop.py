"""Where a source is worked on: steps run through the cache, and what all families start from is made once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

from edgesdk_converters.cache import StepCache, key_of
from edgesdk_converters.reference import OnnxReference, Reference, TorchReference
from edgesdk_converters.source import Source
from edgesdk_converters.steps.node_order import with_named_nodes
from edgesdk_targets.errors import StepFailed

Progress = Callable[[str], None]

_ONNX_TOOLS = ("torch", "onnx", "onnxscript", "onnxruntime")


class Workshop:
    """One source, its float answers, and the steps that were done with it.

    Raises (all methods): StepFailed with what could not be converted; MissingExtra.
    """

    def __init__(self, source: Source, reference: Reference, cache: StepCache, progress: Progress) -> None:
        self.source = source
        self.reference = reference
        self._cache = cache
        self._progress = progress
        self._onnx: bytes | None = None

    def onnx(self) -> bytes:
        """Return the model as static float ONNX, exported once."""
        if self._onnx is None:
            reference = self.reference
            if isinstance(reference, OnnxReference):
                from edgesdk_converters.steps.static_onnx import static_onnx

                content = static_onnx(self.source.content(), reference.inputs)
            else:
                content = self.step("onnx_from_torch", self.torch_key(), {}, self._onnx_from_torch, tools=_ONNX_TOOLS)[
                    "model"
                ]
            self._onnx = with_named_nodes(content)
        return self._onnx

    def torch_key(self) -> object | None:
        """Return what identifies a torch source with its borders; None where it cannot be told."""
        key = self.source.cache_key()
        if key is None:
            return None
        specs = [spec.model_dump() for spec in (*self.reference.inputs, *self.reference.outputs)]
        return [key, specs]

    def step(
        self,
        name: str,
        source: object | None,
        options: Mapping[str, object],
        run: Callable[[], Mapping[str, bytes]],
        *,
        tools: tuple[str, ...] = _ONNX_TOOLS,
    ) -> dict[str, bytes]:
        """Run a step, or take its result from the cache; a source that cannot be identified is always run."""
        self._progress(name)
        if source is None:
            return dict(run())
        part = hashlib.sha256(source).hexdigest() if isinstance(source, bytes) else source
        files, cached = self._cache.get_or_run(key_of(name, part, dict(options), tools=tools), run)
        self._progress(f"{name}: {'from the cache' if cached else 'done'}")
        return files

    def refuse_open_sizes(self, runtime: str) -> None:
        """Refuse a model with an output whose size depends on the picture.

        Raises:
            StepFailed: it has one.
        """
        for spec in self.reference.outputs:
            if spec.dynamic:
                raise StepFailed(
                    f"{runtime}: the size of the output {spec.name!r} depends on the picture (a suppression inside the model).",
                    hint="Export the model without it; edgesdk does the suppression itself.",
                )

    def _onnx_from_torch(self) -> dict[str, bytes]:
        from edgesdk_converters.steps.onnx_from_torch import onnx_from_torch

        reference = self.reference
        assert isinstance(reference, TorchReference)  # noqa: S101  (an ONNX source is never exported)
        model = onnx_from_torch(
            self.source.load(),
            reference.example(),
            input_names=[spec.name for spec in reference.inputs],
            output_names=[spec.name for spec in reference.outputs],
        )
        return {"model": model}
