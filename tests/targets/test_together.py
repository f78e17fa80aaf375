"""Several models as one session: who is asked, with which pixels, and what their answers come to, on each runtime."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from edgesdk_targets.bundle.manifest import Manifest, Variant
from edgesdk_targets.decode.activation import softmax
from edgesdk_targets.errors import BadBundle, SessionFailed
from edgesdk_targets.session import open_files
from edgesdk_targets.target import Precision, Runtime
from edgesdk_targets.tensor import Array, TensorSpec
from edgesdk_targets.together.same_picture import SamePicture
from edgesdk_targets.together.session import TogetherBinding
from edgesdk_targets.together.spec import OUTPUT, Member, Rule, Together
from edgesdk_testkit.tiny_bundles import LABELS
from edgesdk_testkit.tiny_models import CNN, MEAN, PIXELS, STD, WIDE, TinyModel

RUNTIMES = [Runtime.ONNXRUNTIME, Runtime.OPENVINO, Runtime.LITERT]
PICTURE = np.random.default_rng(4).integers(0, 256, (1, 16, 16, 3), np.uint8)


def _member(model: TinyModel, runtime: Runtime, mean: float = MEAN) -> Member:
    file = model.file(runtime)
    return Member(
        id=f"{model.name}-variant",
        name=model.name,
        version="1.0.0",
        digest="sha256:0",
        precision=Precision.FP32,
        inputs=file.inputs,
        outputs=file.outputs,
        folded=model.folded,
        mean=(mean,) * 3,
        std=(STD,) * 3,
    )


def _variant(models: list[TinyModel], runtime: Runtime, rule: Rule, threshold: float | None, mean: float) -> Variant:
    members = [_member(models[0], runtime), *(_member(model, runtime, mean) for model in models[1:])]
    roles = {f"{place}/{role}": role for place, model in enumerate(models) for role in model.file(runtime).files}
    return Variant(
        id="several",
        target="generic-onnx",
        runtime=runtime,
        precision=Precision.FP32,
        files=roles,
        inputs=members[0].inputs,
        outputs=(TensorSpec(name=OUTPUT, shape=(1, 5)),),
        folded=members[0].folded,
        together=Together(rule=rule, members=tuple(members), threshold=threshold),
    )


def _files(models: list[TinyModel], runtime: Runtime) -> dict[str, bytes]:
    return {f"{i}/{role}": data for i, m in enumerate(models) for role, data in m.file(runtime).files.items()}


def _answer(
    models: list[TinyModel], runtime: Runtime, rule: Rule, threshold: float | None = None, mean: float = MEAN
) -> Array:
    variant = _variant(models, runtime, rule, threshold, mean)
    session = open_files(_files(models, runtime), variant, models[0].inputs, variant.outputs)
    try:
        return np.array(session.run({models[0].inputs[0].name: _fed(models[0])})[OUTPUT][0])
    finally:
        session.close()


def _fed(model: TinyModel, mean: float = MEAN) -> Array:
    """Return the picture as a model takes it."""
    if model.folded:
        return PICTURE
    return ((PICTURE.astype(np.float32) - mean) / STD).transpose(0, 3, 1, 2).astype(np.float32).copy()


def _alone(model: TinyModel, mean: float = MEAN) -> Array:
    feeds: Mapping[str, Array] = {model.inputs[0].name: _fed(model, mean)}
    return softmax(next(iter(model.reference(feeds).values())).reshape(-1).astype(np.float32))


@pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda r: r.value)
class TestRules:
    def test_a_cascade_asks_the_second_only_below_the_threshold(self, runtime: Runtime) -> None:
        sure = float(_alone(CNN).max())
        # The second is the same network, told that its pixels have another mean: its answer is another.
        first, second = _alone(CNN), _alone(CNN, mean=60.0)
        assert np.abs(first - second).max() > 0.01
        kept = _answer([CNN, CNN], runtime, "cascade", sure - 0.01, mean=60.0)
        passed = _answer([CNN, CNN], runtime, "cascade", min(1.0, sure + 0.01), mean=60.0)
        np.testing.assert_allclose(kept, first, atol=2e-3)
        np.testing.assert_allclose(passed, second, atol=2e-3)

    @pytest.mark.parametrize("models", [[CNN, PIXELS], [PIXELS, CNN]], ids=["float-first", "pixels-first"])
    def test_each_member_gets_the_same_pixels_in_its_own_form(self, runtime: Runtime, models: list[TinyModel]) -> None:
        """CNN and PIXELS are one network: their mean is what either answers alone."""
        np.testing.assert_allclose(_answer(models, runtime, "average"), _alone(CNN), atol=2e-3)

    def test_a_vote_goes_to_the_class_that_most_answer(self, runtime: Runtime) -> None:
        models = [CNN, CNN, CNN]
        voted = _answer(models, runtime, "vote", mean=60.0)
        assert voted.sum() == pytest.approx(1.0, abs=1e-4)
        assert int(voted.argmax()) == int(_alone(CNN, mean=60.0).argmax())


class TestBinding:
    def test_who_measures_says_who_is_asked(self) -> None:
        variant = _variant([CNN, CNN], Runtime.ONNXRUNTIME, "cascade", 0.0, 60.0)
        session = open_files(_files([CNN, CNN], Runtime.ONNXRUNTIME), variant, CNN.inputs, variant.outputs)
        binding = session.bind()[0]
        assert isinstance(binding, TogetherBinding)
        binding.inputs[CNN.inputs[0].name][...] = _fed(CNN)
        answers = [np.array(binding.run(in_doubt=doubt)[OUTPUT]) for doubt in (False, True, None)]
        session.close()
        assert np.abs(answers[0] - answers[1]).max() > 0.01
        np.testing.assert_array_equal(answers[0], answers[2])

    def test_pictures_of_another_size_are_refused(self) -> None:
        with pytest.raises(SessionFailed, match="sees pictures of"):
            SamePicture(_member(CNN, Runtime.ONNXRUNTIME), _member(WIDE, Runtime.ONNXRUNTIME))

    def test_pixels_come_through_a_float_input_unchanged(self) -> None:
        first, second = _member(CNN, Runtime.ONNXRUNTIME), _member(PIXELS, Runtime.ONNXRUNTIME)
        into = np.zeros(second.inputs[0].shape, np.uint8)
        SamePicture(first, second).write(_fed(CNN), into)
        np.testing.assert_array_equal(into, PICTURE)


class TestManifest:
    def _manifest(self, variant: Variant) -> Manifest:
        return Manifest(
            name="both",
            version="1.0.0",
            task="classify",
            labels=LABELS,
            inputs=CNN.inputs,
            outputs=variant.outputs,
            variants=(variant,),
            files={path: {"sha256": "0" * 64, "size": 0} for path in set(variant.files.values())},
        )

    def test_it_comes_back_as_it_was(self) -> None:
        made = self._manifest(_variant([CNN, PIXELS], Runtime.ONNXRUNTIME, "cascade", 0.7, MEAN))
        assert Manifest.from_bytes(made.to_bytes()) == made

    def test_a_single_model_says_nothing_of_it(self) -> None:
        assert (
            b"together"
            not in self._manifest(
                _variant([CNN, CNN], Runtime.ONNXRUNTIME, "cascade", 0.7, MEAN).model_copy(
                    update={"together": None, "files": {"model": "m"}}
                )
            ).to_bytes()
        )

    def test_a_member_without_its_model_is_refused(self) -> None:
        made = self._manifest(_variant([CNN, PIXELS], Runtime.ONNXRUNTIME, "cascade", 0.7, MEAN))
        text = made.to_bytes().replace(b'"1/model":', b'"1/other":')
        with pytest.raises(BadBundle, match="role 'model'"):
            Manifest.from_bytes(text)

    def test_a_cascade_without_threshold_is_refused(self) -> None:
        members = (_member(CNN, Runtime.ONNXRUNTIME),) * 2
        with pytest.raises(ValueError, match="a threshold"):
            Together(rule="cascade", members=members)


def test_an_agent_that_does_not_know_it_refuses_it() -> None:
    """Files of members have no role `model`: whoever ignores `together` finds no model, and not the first one alone."""
    variant = _variant([CNN, PIXELS], Runtime.ONNXRUNTIME, "cascade", 0.7, MEAN)
    assert "model" not in variant.files
