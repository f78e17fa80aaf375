"""What every runtime's session keeps to. A backend's test subclasses `SessionContract` and gives `runtime`."""

from __future__ import annotations

import os
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from edgesdk_targets.errors import InputError, MissingExtra, SessionFailed
from edgesdk_targets.session import RUNTIMES, Binding, Load, Session, SessionOptions, computes_on_caller
from edgesdk_targets.target import Precision, Runtime
from edgesdk_targets.tensor import Array, TensorSpec
from edgesdk_testkit.tiny_models import CNN, PIXELS, STREAM, WIDE, TinyFile, TinyModel

RUNS = 50
ROUNDS = 20


class SessionContract:
    """Rules of `Session` and `Binding`.

    Attributes:
        runtime: which form of the tiny models is loaded.
        atol: how far an answer may be from numpy's.
        computes_on_caller: with one thread, the one that runs a binding does all of the work.
    """

    runtime: ClassVar[Runtime]
    atol: ClassVar[float] = 1e-5
    computes_on_caller: ClassVar[bool] = False

    def open(self, load: Load) -> Session:
        """Open a session with this backend."""
        raise NotImplementedError

    def load(
        self,
        model: TinyModel,
        file: TinyFile | None = None,
        *,
        threads: int = 0,
        streams: int = 1,
        precision: str = "f32",
    ) -> Load:
        from edgesdk_targets.bundle.manifest import Variant

        file = file or model.file(self.runtime)
        variant = Variant(
            id="tiny",
            target="any",
            runtime=self.runtime,
            precision=Precision.FP32,
            effective_precision=precision,
            files={role: role for role in file.files},
            inputs=file.inputs,
            outputs=file.outputs,
        )
        return Load(file.files, variant, model.inputs, model.outputs, SessionOptions(threads=threads, streams=streams))

    @pytest.fixture(params=[CNN, PIXELS, STREAM], ids=lambda model: model.name)
    def model(self, request: pytest.FixtureRequest) -> TinyModel:
        model: TinyModel = request.param
        return model

    @pytest.fixture
    def session(self, model: TinyModel) -> Iterator[Session]:
        session = self.open(self.load(model))
        yield session
        session.close()

    def check(self, model: TinyModel, feeds: dict[str, Array], outputs: object) -> None:
        expected = model.reference(feeds)
        assert isinstance(outputs, dict)
        assert list(outputs) == list(expected)
        for name, array in expected.items():
            assert outputs[name].dtype == array.dtype
            np.testing.assert_allclose(outputs[name], array, atol=self.atol, rtol=1e-4, err_msg=name)

    def test_run_answers_as_numpy_does(self, session: Session, model: TinyModel) -> None:
        for seed in range(3):
            feeds = model.feeds(seed)
            self.check(model, feeds, session.run(feeds))

    def test_whoever_waits_for_the_library_is_told(self) -> None:
        told: list[str] = []
        load = self.load(CNN)
        self.open(replace(load, options=replace(load.options, on_import=lambda: told.append("there")))).close()
        assert told

    def test_run_does_not_change_its_feeds(self, session: Session, model: TinyModel) -> None:
        feeds = model.feeds()
        before = {name: array.copy() for name, array in feeds.items()}
        session.run(feeds)
        for name, array in before.items():
            np.testing.assert_array_equal(feeds[name], array)

    def test_run_takes_arrays_that_are_not_contiguous(self, session: Session, model: TinyModel) -> None:
        feeds = model.feeds(4)
        self.check(model, feeds, session.run({name: np.asfortranarray(array) for name, array in feeds.items()}))

    def test_tensors_have_the_manifests_names_and_order(self, session: Session, model: TinyModel) -> None:
        assert session.inputs == model.inputs
        assert session.outputs == model.outputs

    def test_bound_arrays_are_writable_and_of_the_right_kind(self, session: Session, model: TinyModel) -> None:
        (binding,) = session.bind()
        assert list(binding.inputs) == [spec.name for spec in model.inputs]
        for spec in model.inputs:
            array = binding.inputs[spec.name]
            assert (array.shape, array.dtype) == (spec.shape, spec.numpy_dtype)
            assert array.flags.c_contiguous
            assert array.flags.writeable

    def test_what_is_written_is_what_is_inferred(self, session: Session, model: TinyModel) -> None:
        (binding,) = session.bind()
        for seed in range(3):
            feeds = model.feeds(seed)
            for name, array in feeds.items():
                binding.inputs[name][...] = array
            self.check(model, feeds, binding.run())

    def test_inputs_keep_their_content_when_run(self, session: Session, model: TinyModel) -> None:
        (binding,) = session.bind()
        feeds = model.feeds(5)
        for name, array in feeds.items():
            binding.inputs[name][...] = array
        binding.run()
        self.check(model, feeds, binding.run())
        for name, array in feeds.items():
            np.testing.assert_array_equal(binding.inputs[name], array)

    def test_outputs_are_the_same_memory_each_run(self, session: Session, model: TinyModel) -> None:
        (binding,) = session.bind()
        first = {name: array.__array_interface__["data"][0] for name, array in binding.run().items()}
        again = {name: array.__array_interface__["data"][0] for name, array in binding.run().items()}
        assert first == again

    def test_a_run_allocates_nothing_of_frame_size(self) -> None:
        session = self.open(self.load(WIDE))
        (binding,) = session.bind()
        frame = WIDE.inputs[0].size_bytes
        picture = np.ones_like(binding.inputs["image"])
        steps: list[Callable[[], object]] = [
            lambda: np.copyto(binding.inputs["image"], picture),
            binding.run,
        ]
        for step in steps:
            assert self._peak(step) < frame // 8
        # Negative control: the instrument sees a copy.
        assert self._peak(binding.inputs["image"].copy) >= frame
        session.close()

    @staticmethod
    def _peak(step: Callable[[], object]) -> int:
        """Return the most memory that one of many steps held beyond what there was before."""
        step()
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            for _ in range(RUNS):
                step()
            return tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()

    def test_slots_are_independent(self, session: Session, model: TinyModel) -> None:
        slots = session.bind(2)
        feeds = [model.feeds(seed) for seed in (10, 11)]
        for slot, feed in zip(slots, feeds, strict=True):
            for name, array in feed.items():
                slot.inputs[name][...] = array
        first = slots[0].run()
        self.check(model, feeds[0], first)
        second = slots[1].run()
        self.check(model, feeds[1], second)
        # Neither the other slot's run, nor writing into it, touches this one's answer.
        for array in slots[1].inputs.values():
            array[...] = 0
        slots[1].run()
        self.check(model, feeds[0], first)
        self.check(model, feeds[0], slots[0].run())

    @pytest.mark.parametrize("streams", [1, 2, 4])
    def test_bindings_run_at_the_same_time(self, model: TinyModel, streams: int) -> None:
        """Each from a thread of its own, one more than there are streams: bit for bit the answers of one at a time."""
        session = self.open(self.load(model, threads=1, streams=streams))
        # A runtime may let no more than there are cores.
        assert min(streams, len(os.sched_getaffinity(0))) <= session.streams <= streams
        slots = session.bind(streams + 1)
        feeds = [[model.feeds(100 * place + turn) for turn in range(ROUNDS)] for place in range(len(slots))]
        alone = [[_run(slots[place], frame) for frame in frames] for place, frames in enumerate(feeds)]
        self.check(model, feeds[0][0], alone[0][0])
        together: list[list[dict[str, Array]]] = [[] for _ in slots]
        barrier = threading.Barrier(len(slots))

        def run(place: int) -> None:
            for frame in feeds[place]:
                barrier.wait(30)
                together[place].append(_run(slots[place], frame))

        with ThreadPoolExecutor(len(slots)) as threads:
            for ended in [threads.submit(run, place) for place in range(len(slots))]:
                ended.result(60)
        session.close()
        for place, frames in enumerate(alone):
            for turn, expected in enumerate(frames):
                for name, array in expected.items():
                    np.testing.assert_array_equal(together[place][turn][name], array, err_msg=f"{place} {turn} {name}")

    @pytest.mark.parametrize(("threads", "on_caller"), [(1, True), (2, False)])
    def test_says_whether_the_thread_that_runs_it_does_the_work(self, threads: int, on_caller: bool) -> None:
        session = self.open(self.load(CNN, threads=threads))
        assert computes_on_caller(session) is (on_caller and self.computes_on_caller)
        session.close()

    def test_streams_are_one_unless_asked_for(self, session: Session) -> None:
        assert session.streams == 1

    def test_run_and_bindings_do_not_disturb_each_other(self, session: Session, model: TinyModel) -> None:
        (binding,) = session.bind()
        held, other = model.feeds(20), model.feeds(21)
        for name, array in held.items():
            binding.inputs[name][...] = array
        self.check(model, other, session.run(other))
        self.check(model, held, binding.run())

    def test_feeds_that_do_not_fit_are_refused(self, session: Session, model: TinyModel) -> None:
        good = model.feeds()
        name = model.inputs[0].name
        wrong: list[dict[str, object]] = [
            {},
            {k: v for k, v in good.items() if k != name},
            {**good, "other": good[name]},
            {**good, name: good[name][..., :-1]},
            {**good, name: good[name][0]},
            {**good, name: good[name].astype(np.float64)},
            {**good, name: good[name].tolist()},
        ]
        for feeds in wrong:
            with pytest.raises(InputError):
                session.run(feeds)  # type: ignore[arg-type]
        self.check(model, good, session.run(good))

    @pytest.mark.parametrize("threads", [1, 2])
    def test_takes_the_number_of_threads(self, model: TinyModel, threads: int) -> None:
        session = self.open(self.load(model, threads=threads))
        feeds = model.feeds()
        self.check(model, feeds, session.run(feeds))
        session.close()

    def test_a_closed_session_says_so(self, model: TinyModel) -> None:
        session = self.open(self.load(model))
        (binding,) = session.bind()
        outputs = binding.run()
        session.close()
        session.close()
        for act in (lambda: session.run(model.feeds()), session.bind, binding.run):
            with pytest.raises(SessionFailed, match="closed"):
                act()
        # Arrays that somebody still holds are memory, not a trap.
        for array in (*binding.inputs.values(), *outputs.values()):
            assert array.copy().shape == array.shape

    @pytest.mark.parametrize("kind", ["empty", "text", "random", "cut"])
    def test_a_file_that_is_no_model_is_refused(self, kind: str) -> None:
        file = CNN.file(self.runtime)
        good = file.files["model"]
        content = {
            "empty": b"",
            "text": b"this is not a model\n" * 20,
            "random": np.random.default_rng(0).bytes(2000),
            "cut": good[: len(good) // 2],
        }[kind]
        with pytest.raises(SessionFailed) as raised:
            self.open(self.load(CNN, TinyFile({**file.files, "model": content}, file.inputs, file.outputs)))
        assert raised.value.hint
        assert "\n" not in raised.value.message

    def test_a_runtime_that_is_not_installed_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        entry = RUNTIMES[self.runtime]
        for package in entry.packages:
            monkeypatch.setitem(sys.modules, package, None)
        load = self.load(CNN)
        with pytest.raises(MissingExtra) as raised:
            self.open(load)
        assert raised.value.extra == entry.extra

    def test_a_manifest_that_differs_from_the_file_is_refused(self) -> None:
        file = CNN.file(self.runtime)
        (image,), (logits,) = file.inputs, file.outputs

        def refused(inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> str:
            with pytest.raises(SessionFailed) as raised:
                self.open(self.load(CNN, TinyFile(file.files, inputs, outputs)))
            return raised.value.message

        smaller = logits.model_copy(update={"shape": (1, 4)})
        assert "[1, 5]" in refused(file.inputs, (smaller,))
        assert "absent" in refused((image.model_copy(update={"name": "absent"}),), file.outputs)
        assert "uint8" in refused((image.model_copy(update={"dtype": "uint8"}),), file.outputs)
        larger = image.model_copy(update={"shape": (1, 3, 32, 32)})
        assert "[1, 3, 32, 32]" in refused((larger,), file.outputs)


def _run(binding: Binding, feeds: dict[str, Array]) -> dict[str, Array]:
    """Fill a binding, run it, and keep its answer."""
    for name, array in feeds.items():
        binding.inputs[name][...] = array
    return {name: array.copy() for name, array in binding.run().items()}
