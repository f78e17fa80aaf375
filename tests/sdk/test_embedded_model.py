"""`edgesdk.Model` as an application sees it: batches, threads, asyncio."""

from __future__ import annotations

import asyncio
import gc
import inspect
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import edgesdk
from edgesdk_targets.errors import InputError
from edgesdk_targets.model import load_model
from edgesdk_targets.session import SessionOptions
from edgesdk_targets.target import Runtime
from edgesdk_targets.tensor import Array
from edgesdk_testkit.pipelines import ScriptedCamera
from edgesdk_testkit.tiny_bundles import write_tiny_bundle
from edgesdk_testkit.tiny_models import STREAM

pytest.importorskip("onnxruntime")
ONNX_ONLY = (("generic-onnx", Runtime.ONNXRUNTIME),)
RANDOM = np.random.default_rng(5)
PICTURES = RANDOM.integers(0, 256, (12, 16, 16, 3), np.uint8)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_tiny_bundle(tmp_path / "cnn-1.0.0.edgebundle", variants=ONNX_ONLY)


def scores(result: edgesdk.Result) -> Array:
    assert isinstance(result, edgesdk.Classification)
    return result.scores[np.argsort(result.class_ids)]


def each(model: edgesdk.Model) -> list[Array]:
    return [scores(model(picture)) for picture in PICTURES]


def same(answers: list[Array], expected: list[Array]) -> bool:
    return len(answers) == len(expected) and all(np.array_equal(a, b) for a, b in zip(answers, expected, strict=True))


class TestHint:
    def test_what_is_best_here_is_measured_and_loaded_and_then_recalled(
        self, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        with caplog.at_level("INFO", "edgesdk_targets.tuning.tuned_loading"):
            for _ in range(2):
                with edgesdk.load(bundle, hint="throughput") as model, edgesdk.load(bundle) as usual:
                    assert same(each(model), each(usual))
        first, second = (record.getMessage() for record in caplog.records)
        assert "measured in" in first
        assert "measured before" in second

    def test_it_takes_no_options_beside_it_and_no_other_word(self, bundle: Path) -> None:
        with pytest.raises(InputError, match="Both"):
            edgesdk.load(bundle, hint="latency", options=SessionOptions(threads=1))
        with pytest.raises(InputError, match="no hint 'fast'"):
            edgesdk.load(bundle, hint="fast")  # type: ignore[arg-type]


class TestBatch:
    @pytest.mark.parametrize("form", [list, tuple, np.asarray])
    def test_it_answers_as_single_calls_do(self, bundle: Path, form: Any) -> None:
        with edgesdk.load(bundle) as model:
            assert same([scores(result) for result in model(form(list(PICTURES)))], each(model))

    @pytest.mark.parametrize("target", ["generic-onnx", "x86-cpu"])
    def test_on_several_lanes_too(self, tmp_path: Path, target: str) -> None:
        if target == "x86-cpu":
            pytest.importorskip("openvino")
        path = write_tiny_bundle(tmp_path / "a", variants=(*ONNX_ONLY, ("x86-cpu", Runtime.OPENVINO)))
        options = SessionOptions(threads=1, streams=2)
        with edgesdk.load(path, target=target, options=options) as model:
            assert model.lanes == 2
            expected = each(model)
            assert same([scores(result) for result in model(PICTURES)], expected)

    def test_another_order_is_another_answer(self, bundle: Path) -> None:
        """Negative control of the comparison above."""
        with edgesdk.load(bundle) as model:
            assert not same([scores(result) for result in model(list(PICTURES[::-1]))], each(model))

    def test_paths_and_arrays(self, bundle: Path, tmp_path: Path) -> None:
        path = tmp_path / "p.png"
        cv2.imwrite(str(path), PICTURES[0])
        with edgesdk.load(bundle) as model:
            answers = [scores(result) for result in model([path, str(path), PICTURES[1]])]
            assert same(answers, [each(model)[i] for i in (0, 0, 1)])
            assert model([]) == []

    def test_a_wrong_picture_in_it_is_refused(self, bundle: Path) -> None:
        with edgesdk.load(bundle) as model, pytest.raises(edgesdk.EdgeError, match="picture"):
            model([PICTURES[0], np.zeros((4, 4), np.float32)])

    def test_of_a_recurrent_model_it_is_the_cameras_next_frames(self, tmp_path: Path) -> None:
        path = write_tiny_bundle(tmp_path / "s", STREAM, variants=ONNX_ONLY)
        with edgesdk.load(path) as model:
            together = [scores(result) for result in model(PICTURES, camera="a")]
            alone = [scores(model(picture, camera="b")) for picture in PICTURES]
            assert same(together, alone)
            # Without the frames before it the last one is answered otherwise.
            assert not np.array_equal(scores(model(PICTURES[-1], camera="c")), together[-1])


class TestLoading:
    @pytest.mark.parametrize(
        ("how", "meant"),
        [
            ({"threads": 2}, "Did you mean options=SessionOptions(threads=2)?"),
            ({"varient": "a"}, "Did you mean 'variant'?"),
            ({"score_threshold": 0.3}, 'Did you mean postprocess={"score_threshold": 0.3}?'),
            ({"qqqqqq": 3}, "One of: options, postprocess, probe, target, variant."),
        ],
    )
    def test_an_unknown_name_is_refused(self, bundle: Path, how: dict[str, Any], meant: str) -> None:
        for load in (edgesdk.load, load_model):
            with pytest.raises(InputError, match=next(iter(how))) as refused:
                load(bundle, **how)
            assert refused.value.hint == meant

    def test_help_names_what_it_takes(self) -> None:
        named = {"bundle", "target", "variant", "options", "postprocess", "probe"}
        assert named <= set(inspect.signature(edgesdk.load).parameters)

    @pytest.mark.parametrize(
        ("values", "said", "hint"),
        [
            (
                {"score_threshold": 7},
                "postprocess.score_threshold ",
                "Give at least 0.0 and at most 1.0; left out, it is 0.25.",
            ),
            (
                {"score_treshold": 0.5},
                "did you mean 'score_threshold'?",
                "Write 'score_threshold', or remove the field.",
            ),
            ({"outputs": {"boxes": 3}}, "postprocess.outputs.boxes ", "Leave it out for the usual one."),
        ],
    )
    def test_a_wrong_value_says_what_fits(self, bundle: Path, values: dict[str, Any], said: str, hint: str) -> None:
        with pytest.raises(InputError) as refused:
            edgesdk.load(bundle, postprocess=values)
        assert said in refused.value.message
        assert "?." not in refused.value.message
        assert refused.value.hint == hint

    @pytest.mark.parametrize("values", [{"threads": -1}, {"streams": 0}])
    def test_wrong_options_are_an_error_of_ours(self, values: dict[str, int]) -> None:
        with pytest.raises(edgesdk.EdgeError, match="threads must be") as refused:
            SessionOptions(**values)  # type: ignore[arg-type]
        assert refused.value.hint

    def test_a_model_says_what_it_is(self, bundle: Path) -> None:
        model = edgesdk.load(bundle)
        with model:
            assert repr(model) == "<Model cnn 1.0.0: generic-onnx-onnxruntime-fp32 by onnxruntime, open>"
        assert repr(model).endswith(", closed>")


def test_threads_get_the_answers_of_their_own_pictures(bundle: Path) -> None:
    with edgesdk.load(bundle) as model:
        expected = each(model)
        wrong: list[int] = []

        def ask(first: int) -> None:
            for turn in range(60):
                number = (first + turn) % len(PICTURES)
                if not np.array_equal(scores(model(PICTURES[number])), expected[number]):
                    wrong.append(number)

        threads = [threading.Thread(target=ask, args=(first,)) for first in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []


class TestAsyncio:
    def test_many_at_once(self, bundle: Path) -> None:
        async def ask(model: edgesdk.Model) -> list[edgesdk.Result]:
            return list(await asyncio.gather(*(model.acall(picture) for picture in PICTURES)))

        with edgesdk.load(bundle) as model:
            assert same([scores(result) for result in asyncio.run(ask(model))], each(model))

    def test_a_batch(self, bundle: Path) -> None:
        with edgesdk.load(bundle) as model:
            answers = asyncio.run(model.acall(list(PICTURES)))
            assert same([scores(result) for result in answers], each(model))

    def test_errors_come_through(self, bundle: Path) -> None:
        with edgesdk.load(bundle) as model, pytest.raises(edgesdk.EdgeError, match="picture"):
            asyncio.run(model.acall(np.zeros((4, 4), np.float32)))

    def test_the_loop_goes_on_and_cancelling_leaves_the_model_usable(
        self, bundle: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model = edgesdk.load(bundle)
        expected = each(model)
        entered, leave = threading.Event(), threading.Event()
        asked: list[int] = []
        infer = model.infer

        def held(*arguments: Any) -> edgesdk.Result:
            asked.append(1)
            entered.set()
            assert leave.wait(20)
            return infer(*arguments)

        monkeypatch.setattr(model, "infer", held)

        async def ask() -> None:
            runs, waits = (asyncio.create_task(model.acall(PICTURES[i])) for i in (0, 1))
            assert await asyncio.to_thread(entered.wait, 20)
            for task in (runs, waits):
                task.cancel()
            for task in (runs, waits):
                with pytest.raises(asyncio.CancelledError):
                    await task
            leave.set()
            monkeypatch.undo()
            answer = await model.acall(PICTURES[2])
            assert np.array_equal(scores(answer), expected[2])

        asyncio.run(ask())
        model.close()
        # The one that waited was never run.
        assert len(asked) == 1

    def test_a_closed_model(self, bundle: Path) -> None:
        model = edgesdk.load(bundle)
        model.close()
        with pytest.raises(edgesdk.EdgeError, match="closed"):
            asyncio.run(model.acall(PICTURES[0]))


class TestStream:
    SOURCE = "conveyor:?seed=2&frames=12&live=0"

    def test_a_loop_over_a_source(self, bundle: Path) -> None:
        seen: list[edgesdk.FrameResult] = []
        with edgesdk.load(bundle) as model:
            with edgesdk.Pipeline(model, self.SOURCE, on_result=seen.append) as pipeline:
                pipeline.wait()
            looped = list(model.stream(self.SOURCE))
        assert [frame.seq for frame in looped] == list(range(12))
        assert same([scores(frame.result) for frame in looped], [scores(frame.result) for frame in seen])

    def test_leaving_the_loop_stops_the_threads(self, bundle: Path) -> None:
        with edgesdk.load(bundle) as model:
            frames = model.stream("conveyor:?fps=200")
            assert next(frames).seq == 0
            frames.close()  # type: ignore[attr-defined]  # what leaving a `for` does to a generator
            assert not [thread for thread in threading.enumerate() if "capture" in thread.name]

    def test_under_asyncio(self, bundle: Path) -> None:
        async def seen(model: edgesdk.Model) -> list[int]:
            return [frame.seq async for frame in model.astream(self.SOURCE)]

        with edgesdk.load(bundle) as model:
            assert asyncio.run(seen(model)) == list(range(12))

    @pytest.mark.parametrize("form", ["stream", "astream"])
    def test_a_loop_that_is_never_begun_lets_go_of_its_camera(self, bundle: Path, form: str) -> None:
        camera = ScriptedCamera(None)
        with edgesdk.load(bundle) as model:
            frames = getattr(model, form)(camera)
            assert camera.closed == 0
            del frames
            gc.collect()
            assert camera.closed > 0

    @pytest.mark.parametrize("source", [None, [1], 3.5])
    def test_what_is_no_source_is_refused(self, bundle: Path, source: Any) -> None:
        with edgesdk.load(bundle) as model, pytest.raises(InputError, match="is no source") as caught:
            model.stream(source)
        assert "a camera's number" in caught.value.hint

    @pytest.mark.parametrize("form", ["stream", "astream"])
    def test_a_callback_beside_the_loop_is_refused_before_a_camera_is_opened(self, bundle: Path, form: str) -> None:
        with edgesdk.load(bundle) as model, pytest.raises(InputError, match="cannot go to `on_result`"):
            getattr(model, form)("absent.mp4", on_result=print)

    def test_an_unknown_source(self, bundle: Path) -> None:
        with edgesdk.load(bundle) as model, pytest.raises(edgesdk.EdgeError):
            model.stream("absent.mp4")

    def test_an_unknown_option_names_the_known_ones(self, bundle: Path) -> None:
        with edgesdk.load(bundle) as model:
            with pytest.raises(edgesdk.EdgeError, match="no option 'foo'") as caught:
                model.stream(self.SOURCE, foo=1)
            assert "detect_fps" in caught.value.hint

    def test_a_camera_that_is_down_at_the_start_is_told_and_the_others_go_on(
        self, bundle: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        failed: list[tuple[str, str]] = []
        sources = {"belt": self.SOURCE, "gone": "http://u:secret@127.0.0.1:9/x"}
        with edgesdk.load(bundle) as model:
            frames = model.stream(
                sources, attempts=1, on_camera_error=lambda name, error: failed.append((name, error.message))
            )
            assert [frame.camera for frame in frames] == ["belt"] * 12
            with pytest.raises(edgesdk.EdgeError, match="nobody answers there"):
                model.stream({"one": sources["gone"], "two": sources["gone"]})
        assert [name for name, _ in failed] == ["gone"]
        assert "did not answer after 1 attempts" in failed[0][1]
        assert "gone: http://" in caplog.text
        assert "secret" not in caplog.text + failed[0][1]
