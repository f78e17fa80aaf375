"""Walk one route: run its steps, through the cache, to the files of one variant."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from edgesdk_converters.cache import StepCache, key_of
from edgesdk_converters.reference import OnnxReference, Reference, TorchReference
from edgesdk_converters.routes import Route
from edgesdk_converters.source import Source
from edgesdk_targets.errors import StepFailed
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.target import Precision, Runtime
from edgesdk_targets.tensor import TensorSpec

if TYPE_CHECKING:
    from edgesdk_converters.calibrating import Calibrating
    from edgesdk_converters.steps.openvino_from_onnx import Fold

Progress = Callable[[str], None]

_ONNX_TOOLS = ("torch", "onnx", "onnxscript", "onnxruntime")
_LITERT_TOOLS = ("torch", "onnx", "litert-torch", "litert-converter", "ai-edge-quantizer")


@dataclass(frozen=True, slots=True)
class Artifact:
    """The files of one variant, not yet compared with the source.

    Attributes:
        files: role → content.
        inputs, outputs: by the runtime's own names, in the source's order.
        folded: normalisation is inside; the image input takes pixels.
    """

    files: Mapping[str, bytes]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    folded: bool = False
    effective_precision: str = "f32"
    notes: tuple[str, ...] = ()


class Workshop:
    """Builds artifacts of one source; what several routes share is made once.

    Raises (all methods): StepFailed with what could not be converted; MissingExtra.
    """

    def __init__(self, source: Source, reference: Reference, cache: StepCache, progress: Progress) -> None:
        self._source = source
        self._reference = reference
        self._cache = cache
        self._progress = progress
        self._onnx: bytes | None = None

    def build(self, route: Route) -> Artifact:
        """Run the route's steps."""
        if route.runtime is Runtime.LITERT:
            return self._litert(route.precision)
        if route.runtime is Runtime.OPENVINO:
            return self._openvino(route.precision)
        return self._onnx_family(route)

    def build_int8(self, route: Route, calibrating: Calibrating, keep_float: Sequence[str]) -> Artifact:
        """Run the route's steps to INT8.

        Args:
            keep_float: names of ONNX nodes that stay in float.
        """
        measured = {"pictures": calibrating.digest, "keep_float": list(keep_float)}
        if route.runtime is Runtime.LITERT:
            return self._litert_int8(calibrating, keep_float, measured)
        if route.runtime is Runtime.OPENVINO:
            return self._openvino_int8(calibrating, keep_float, measured)
        model = self.onnx() if route.max_opset is None else self._in_older_opset(self.onnx(), route.max_opset)
        style: Literal["symmetric", "u8s8"] = "symmetric" if route.runtime is Runtime.TENSORRT else "u8s8"
        files = self._step(
            "int8_onnx",
            model,
            {**measured, "style": style},
            lambda: {"model": _int8_onnx(model, calibrating, style, keep_float)},
        )
        artifact = Artifact(files, self._reference.inputs, self._reference.outputs)
        return self._for_tensorrt(artifact, route) if route.runtime is Runtime.TENSORRT else artifact

    def _openvino_int8(
        self, calibrating: Calibrating, keep_float: Sequence[str], measured: Mapping[str, object]
    ) -> Artifact:
        from edgesdk_converters.steps.int8_openvino import int8_openvino

        model, fold = self.onnx(), self._fold()

        def run() -> dict[str, bytes]:
            xml, weights = int8_openvino(model, calibrating.samples(), fold=fold, keep_float=keep_float)
            return {"model": xml, "weights": weights}

        options = {**measured, "fold": [fold.mean, fold.std] if fold else None}
        files = self._step("int8_openvino", model, options, run, tools=("openvino", "nncf"))
        return Artifact(files, self._openvino_inputs(fold), self._reference.outputs, folded=fold is not None)

    def _litert_int8(
        self, calibrating: Calibrating, keep_float: Sequence[str], measured: Mapping[str, object]
    ) -> Artifact:
        from edgesdk_converters.steps.int8_litert import int8_litert

        plain = self._litert(Precision.FP32)
        model = plain.files["model"]
        files = self._step(
            "int8_litert",
            model,
            {**measured, "mode": "static"},
            lambda: {"model": int8_litert(model, calibrating.samples(), mode="static", keep_float=keep_float)},
            tools=_LITERT_TOOLS,
        )
        return replace(plain, files=files)

    def _onnx_family(self, route: Route) -> Artifact:
        model = self.onnx() if route.max_opset is None else self._in_older_opset(self.onnx(), route.max_opset)
        half = route.precision is Precision.FP16
        if half:
            model = self._step("fp16_onnx", model, {}, lambda: {"model": _fp16(model)})["model"]
        artifact = Artifact(
            {"model": model},
            self._reference.inputs,
            self._reference.outputs,
            effective_precision="f16" if half else "f32",
        )
        return self._for_tensorrt(artifact, route) if route.runtime is Runtime.TENSORRT else artifact

    def _in_older_opset(self, model: bytes, newest: int) -> bytes:
        from edgesdk_converters.steps.older_opset import older_opset

        return self._step("older_opset", model, {"newest": newest}, lambda: {"model": older_opset(model, newest)})[
            "model"
        ]

    def _for_tensorrt(self, artifact: Artifact, route: Route) -> Artifact:
        from edgesdk_converters.steps.tensorrt_recipe import build_recipe
        from edgesdk_converters.steps.tensorrt_rtx_check import parser_accepts

        self._refuse_open_sizes("TensorRT")
        verdict = parser_accepts(artifact.files["model"])
        if verdict.status == "refused":
            raise StepFailed(
                f"tensorrt: the parser refuses the model ({verdict.reason}).",
                hint="The next runtime of the target is built.",
            )
        recipe = build_recipe(inputs=artifact.inputs, precision=route.precision, tensorrt=route.tensorrt)
        data = json.dumps(recipe, sort_keys=True, indent=1).encode() + b"\n"
        note = (
            "TensorRT-RTX's parser accepts it"
            if verdict.status == "accepted"
            else f"parser not asked: {verdict.reason}"
        )
        return replace(
            artifact, files={**artifact.files, "recipe": data}, notes=("engine is built on the device", note)
        )

    def _openvino(self, precision: Precision) -> Artifact:
        from edgesdk_converters.steps.openvino_from_onnx import openvino_from_onnx

        model, fold = self.onnx(), self._fold()
        options = {"precision": precision.value, "fold": [fold.mean, fold.std] if fold else None}

        def run() -> dict[str, bytes]:
            xml, weights = openvino_from_onnx(model, precision=_float(precision), fold=fold)
            return {"model": xml, "weights": weights}

        files = self._step("openvino_from_onnx", model, options, run, tools=("openvino",))
        return Artifact(files, self._openvino_inputs(fold), self._reference.outputs, folded=fold is not None)

    def _fold(self) -> Fold | None:
        """Return the normalisation to build into the model, where its first input is the picture."""
        from edgesdk_converters.steps.openvino_from_onnx import Fold

        preprocess = self._source.card.preprocess
        image = self._reference.inputs[0]
        states = {state.input for state in self._source.card.state}
        if preprocess is None or image.name in states or not _can_fold(preprocess, image):
            return None
        return Fold(preprocess.color, preprocess.mean, preprocess.std)

    def _openvino_inputs(self, fold: Fold | None) -> tuple[TensorSpec, ...]:
        image, *others = self._reference.inputs
        if fold is None:
            return (image, *others)
        batch, channels, height, width = image.shape
        pixels = TensorSpec(name=image.name, shape=(batch, height, width, channels), dtype="uint8", layout="NHWC")
        return (pixels, *others)

    def _litert(self, precision: Precision) -> Artifact:
        self._refuse_open_sizes("LiteRT")
        options = {"precision": precision.value}
        if self._source.is_onnx:
            from edgesdk_converters.steps.litert_from_onnx import litert_from_onnx

            model = self.onnx()
            files = self._step(
                "litert_from_onnx",
                model,
                options,
                lambda: {"model": litert_from_onnx(model, precision=_float(precision))},
                tools=_LITERT_TOOLS,
            )
        else:
            files = self._step(
                "litert_from_torch",
                self._torch_key(),
                options,
                lambda: self._litert_from_torch(precision),
                tools=_LITERT_TOOLS,
            )
        own = {
            "inputs": tuple(s.model_copy(update={"name": f"args_{i}"}) for i, s in enumerate(self._reference.inputs)),
            "outputs": tuple(
                s.model_copy(update={"name": f"output_{i}"}) for i, s in enumerate(self._reference.outputs)
            ),
        }
        return Artifact(files, own["inputs"], own["outputs"])

    def _litert_from_torch(self, precision: Precision) -> dict[str, bytes]:
        from edgesdk_converters.steps.litert_from_torch import litert_from_torch

        assert isinstance(self._reference, TorchReference)  # noqa: S101  (an ONNX source went the other way)
        return {"model": litert_from_torch(self._source.load(), self._reference.example(), precision=_float(precision))}

    def onnx(self) -> bytes:
        """Return the model as static float ONNX, exported once."""
        if self._onnx is None:
            reference = self._reference
            if isinstance(reference, OnnxReference):
                from edgesdk_converters.steps.static_onnx import static_onnx

                self._onnx = static_onnx(self._source.content(), reference.inputs)
            else:
                self._onnx = self._step(
                    "onnx_from_torch", self._torch_key(), {}, self._onnx_from_torch, tools=_ONNX_TOOLS
                )["model"]
        return self._onnx

    def _onnx_from_torch(self) -> dict[str, bytes]:
        from edgesdk_converters.steps.onnx_from_torch import onnx_from_torch

        assert isinstance(self._reference, TorchReference)  # noqa: S101  (an ONNX source is never exported)
        model = onnx_from_torch(
            self._source.load(),
            self._reference.example(),
            input_names=[spec.name for spec in self._reference.inputs],
            output_names=[spec.name for spec in self._reference.outputs],
        )
        return {"model": model}

    def _torch_key(self) -> object | None:
        key = self._source.cache_key()
        if key is None:
            return None
        specs = [spec.model_dump() for spec in (*self._reference.inputs, *self._reference.outputs)]
        return [key, specs]

    def _step(
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

    def _refuse_open_sizes(self, runtime: str) -> None:
        for spec in self._reference.outputs:
            if spec.dynamic:
                raise StepFailed(
                    f"{runtime}: the size of the output {spec.name!r} depends on the picture (a suppression inside the model).",
                    hint="Export the model without it; edgesdk does the suppression itself.",
                )


def _float(precision: Precision) -> Literal["fp32", "fp16"]:
    return "fp16" if precision is Precision.FP16 else "fp32"


def _int8_onnx(
    model: bytes, calibrating: Calibrating, style: Literal["symmetric", "u8s8"], keep_float: Sequence[str]
) -> bytes:
    from edgesdk_converters.steps.int8_onnx import int8_onnx

    samples, ranges = calibrating.samples(), calibrating.ranges(model)
    return int8_onnx(model, samples, style=style, keep_float=keep_float, ranges=ranges)


def _fp16(model: bytes) -> bytes:
    from edgesdk_converters.steps.fp16_onnx import fp16_onnx

    return fp16_onnx(model)


def _can_fold(preprocess: Preprocess | None, image: TensorSpec) -> bool:
    return preprocess is not None and image.dtype == "float32" and image.layout == "NCHW" and len(image.shape) == 4
