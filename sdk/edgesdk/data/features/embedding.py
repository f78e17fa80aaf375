"""What a model sees in a picture: its own backbone, from a card, a bundle's ONNX variant or an .onnx file."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from edgesdk_converters.calibration.features import backbone_features
from edgesdk_converters.convert import convert
from edgesdk_converters.steps.parse_onnx import input_shapes, parse_onnx
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.apply import Preprocessor
from edgesdk_targets.preprocess.spec import PRESETS, Preprocess
from edgesdk_targets.target import Precision, Runtime
from edgesdk_targets.tensor import Array, TensorSpec

_CARDS = {".yaml", ".yml"}


def embedding_of(model: Path, preset: str | None = None) -> Callable[[Array], Array]:
    """Return picture, (H, W, 3) uint8 BGR → (D,) float32; safe on several threads, each with a session of its own.

    Args:
        model: a card (.yaml), which is converted first, a bundle with a variant for ONNX Runtime, or an .onnx file with one picture
            as input.
        preset: of preprocessing, for an .onnx file, which does not say it.

    Raises:
        InputError, BundleError: it is none of these, or its preprocessing is not known.
        ConversionError: the card's model cannot be converted.
        StepFailed: ONNX Runtime cannot run it.
    """
    if model.suffix.lower() in _CARDS:
        content, spec, tensor, folded = _of_card(model)
    else:
        content, spec, tensor, folded = (
            _of_file(model, preset) if model.suffix.lower() == ".onnx" else _of_bundle(model)
        )
    own = threading.local()

    def features(picture: Array) -> Array:
        if not hasattr(own, "of_input"):
            own.of_input = backbone_features(content, tensor.name)
            own.preprocessor = Preprocessor(spec, tensor, folded=folded)
            own.prepared = tensor.empty()
        own.preprocessor.into(picture, own.prepared)
        answer: Array = own.of_input(own.prepared)
        return answer

    return features


def _of_card(path: Path) -> tuple[bytes, Preprocess, TensorSpec, bool]:
    with tempfile.TemporaryDirectory(prefix="edgesdk-features-") as folder:
        made = convert(path, "generic-onnx", precision="fp32", tune=False, output=Path(folder))
        return _of_bundle(made.path)


def _of_bundle(path: Path) -> tuple[bytes, Preprocess, TensorSpec, bool]:
    with open_bundle(path) as bundle:
        manifest = bundle.manifest
        if manifest.preprocess is None:
            raise InputError(f"The model in {path} takes no pictures.", hint="Give a model that does.")
        alone = [v for v in manifest.variants if v.together is None and v.batch is None]
        variants = [v for v in alone if v.runtime is Runtime.ONNXRUNTIME]
        if not variants:
            raise InputError(
                f"{path} has no variant of one model and one picture for ONNX Runtime.",
                hint="Convert it with --target generic-onnx, too.",
            )
        variant = min(variants, key=lambda v: v.precision is not Precision.FP32)
        content = bundle.read(variant.files["model"])
        states = {state.input for state in manifest.state}
        place = next(i for i, spec in enumerate(manifest.inputs) if spec.name not in states)
        name = [value.name for value in parse_onnx(content).graph.input][place]
        tensor = variant.inputs[place].model_copy(update={"name": name})
        return content, manifest.preprocess, tensor, variant.folded


def _of_file(path: Path, preset: str | None) -> tuple[bytes, Preprocess, TensorSpec, bool]:
    if preset is None:
        raise InputError(
            f"{path} does not say how pictures are prepared.",
            hint=f"Add --preset: {', '.join(PRESETS)}; or give a bundle.",
        )
    if preset not in PRESETS:
        raise InputError(f"There is no preset {preset!r}.", hint=f"Known are {', '.join(PRESETS)}.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.", hint="Check the path.") from error
    shapes = input_shapes(parse_onnx(content))
    found = next(((name, shape) for name, shape in shapes.items() if len(shape) == 4), None)
    if found is None:
        raise InputError(f"{path} takes no picture: no input has four dimensions.", hint="Give a model that does.")
    name, shape = found
    last = shape[3] in {1, 3} and shape[1] not in {1, 3}
    size = (shape[1], shape[2]) if last else (shape[2], shape[3])
    spec = Preprocess(**{**PRESETS[preset], "size": size})
    return content, spec, TensorSpec(name=name, shape=shape, layout="NHWC" if last else "NCHW"), False
