"""A golden set measures at build how near an artifact in INT8 is to its source; another program's rounding keeps to that."""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from edgesdk_converters.artifact import Artifact
from edgesdk_converters.golden.golden_pictures import golden_pictures
from edgesdk_converters.golden.golden_set import GoldenModel, golden_files
from edgesdk_targets.bundle.manifest import Variant
from edgesdk_targets.decode.postprocess import Postprocess
from edgesdk_targets.errors import ConversionError
from edgesdk_targets.golden.exact_input import exact_pixels, input_of
from edgesdk_targets.golden.golden_file import INDEX, GoldenSet
from edgesdk_targets.golden.output_sample import Mark, near_to, noise_db, take
from edgesdk_targets.golden.staged_run import Meaning
from edgesdk_targets.preprocess.image_file import decode_image
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.target import Precision, Runtime
from edgesdk_targets.tensor import Array, TensorSpec

SIZE = (8, 8)
PREPROCESS = Preprocess(size=SIZE)
MEANING = Meaning("classify", PREPROCESS, Postprocess(), tuple(f"class {n}" for n in range(64)), ())
# Coarse enough for a distance to the source that is usual for INT8.
STEP = 0.1
WIDTHS = (3 * SIZE[0] * SIZE[1], 256, 256, 256, 64)
_RNG = np.random.default_rng(11)
WEIGHTS = [_RNG.normal(0, (2 / a) ** 0.5, (b, a)).astype(np.float32) for a, b in itertools.pairwise(WIDTHS)]


class Network:
    """Four layers; in INT8 what is between them is rounded.

    Args:
        step: what is between two layers is rounded to; 0 for float.
        sums: a layer's sums are rounded to before, as in a program that adds up in fewer bits.
        factor: of the second layer's weights.
    """

    inputs = (TensorSpec(name="image", shape=(1, 3, *SIZE), dtype="float32", layout="NCHW"),)
    outputs = (TensorSpec(name="logits", shape=(1, 64), dtype="float32"),)

    def __init__(self, step: float = 0.0, sums: float = 0.0, factor: float = 1.0) -> None:
        self._step = step
        self._sums = sums
        self._weights = [w * np.float32(factor) if place == 1 else w for place, w in enumerate(WEIGHTS)]

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        x = np.asarray(feeds["image"], np.float32).reshape(-1)
        for place, weights in enumerate(self._weights):
            x = _rounded(weights @ x, self._sums)
            if place < len(WEIGHTS) - 1:
                x = _rounded(np.maximum(x, 0), self._step)
        return {"logits": x[None]}

    def close(self) -> None:
        pass


def _rounded(values: Array, step: float) -> Array:
    rounded: Array = (np.rint(values / step) * step).astype(np.float32) if step else values
    return rounded


FLOAT, BUILT = Network(), Network(STEP)


def variant(precision: Precision) -> Variant:
    return Variant(
        id=f"generic-onnx-onnxruntime-{precision.value}",
        target="generic-onnx",
        runtime=Runtime.ONNXRUNTIME,
        precision=precision,
        files={"model": f"models/{precision.value}.onnx"},
        inputs=Network.inputs,
        outputs=Network.outputs,
    )


def made(precisions: Sequence[Precision], artifact: Network) -> tuple[GoldenSet, dict[str, bytes]]:
    def opened(_artifact: Artifact, one: Variant, _runtime: Runtime) -> Network:
        return FLOAT if one.precision is Precision.FP32 else artifact

    pictures = golden_pictures((), SIZE)
    model = GoldenModel(FLOAT, False, MEANING, PREPROCESS, pictures, opened)  # type: ignore[arg-type]
    files = golden_files(model, [(variant(one), Artifact({}, Network.inputs, Network.outputs)) for one in precisions])
    return GoldenSet.model_validate_json(files[INDEX]), files


def array(files: Mapping[str, bytes], name: str | None) -> Array:
    assert name is not None
    read: Array = np.load(io.BytesIO(files[name]))
    return read


def answers(golden: GoldenSet, files: Mapping[str, bytes], network: Network) -> Array:
    """Return what a network answers to the golden pictures, the values that are kept."""
    rows = []
    for picture, index in zip(golden.pictures, array(files, "golden/index.npy"), strict=True):
        pixels = exact_pixels(decode_image(files[picture.file]), golden.preprocess)
        outputs = network.run({"image": input_of(pixels, golden.preprocess, Network.inputs[0], folded=False)})
        row = take(outputs, golden.groups, golden.counts, index)
        assert row is not None
        rows.append(row)
    return np.stack(rows)


@pytest.fixture(scope="module")
def quantised() -> tuple[GoldenSet, dict[str, bytes]]:
    return made([Precision.FP32, Precision.INT8], BUILT)


def marks(golden: GoldenSet, files: Mapping[str, bytes]) -> list[Mark]:
    own = golden.variants["generic-onnx-onnxruntime-int8"]
    (limit,), (source_limit,) = own.limits.values(), own.source_limits.values()
    return [Mark(array(files, own.outputs), limit), Mark(array(files, golden.source), source_limit)]


def test_an_int8_variant_may_be_as_near_to_its_source_as_it_was(quantised: tuple[GoldenSet, dict[str, bytes]]) -> None:
    golden, files = quantised
    own, to_source = marks(golden, files)
    worst = noise_db(to_source.values, own.values).min()
    # Over the pictures themselves and three trifles of each: a little worse than over the pictures alone.
    assert worst - 4 < to_source.limit.db <= worst - 1 + 1e-9
    assert to_source.limit.db > own.limit.db
    assert np.array_equal(to_source.values, answers(golden, files, FLOAT))


def test_another_programs_rounding_is_near_to_the_source_where_it_is_not_to_the_first_program(
    quantised: tuple[GoldenSet, dict[str, bytes]],
) -> None:
    golden, files = quantised
    other = answers(golden, files, Network(STEP, sums=STEP / 4))
    own, to_source = marks(golden, files)
    assert near_to([own], other)[2].any()
    assert not near_to([own, to_source], other)[2].any()


def test_a_program_that_is_worse_is_not_near(quantised: tuple[GoldenSet, dict[str, bytes]]) -> None:
    """Sums in halves of a step: every other one lies between two steps, and all of those go the same way."""
    golden, files = quantised
    worse = answers(golden, files, Network(STEP, sums=STEP / 2))
    assert near_to(marks(golden, files), worse)[2].any()


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.1, 1.5])
def test_other_weights_are_not_near(factor: float, quantised: tuple[GoldenSet, dict[str, bytes]]) -> None:
    golden, files = quantised
    wrong = answers(golden, files, Network(STEP, factor=factor))
    assert near_to(marks(golden, files), wrong)[2].any()


def test_a_variant_in_float_is_held_to_its_own_answers_alone(quantised: tuple[GoldenSet, dict[str, bytes]]) -> None:
    golden, _ = quantised
    assert golden.variants["generic-onnx-onnxruntime-fp32"].source_limits == {}
    alone, files = made([Precision.FP32], BUILT)
    assert alone.source is None
    assert "golden/source.npy" not in files


def test_an_artifact_that_breaks_at_a_trifle_is_refused() -> None:
    class Breaking(Network):
        """Answers the second question with no number."""

        asked = 0

        def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
            self.asked += 1
            found = super().run(feeds)
            return {"logits": found["logits"] * np.float32(np.nan)} if self.asked == 2 else found

    with pytest.raises(ConversionError, match="not finite"):
        made([Precision.INT8], Breaking(STEP))
