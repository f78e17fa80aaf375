from __future__ import annotations

import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from session_contract import SessionContract

from edgesdk_targets.errors import SessionFailed
from edgesdk_targets.runtimes import litert
from edgesdk_targets.runtimes.litert import open_session
from edgesdk_targets.session import Load, Session
from edgesdk_targets.target import Runtime
from edgesdk_targets.tensor import TensorSpec
from edgesdk_testkit.slots import wait_until
from edgesdk_testkit.tiny_models import CNN, STREAM, TinyFile

pytest.importorskip("ai_edge_litert")


class TestLiteRtSession(SessionContract):
    runtime = Runtime.LITERT
    computes_on_caller = True

    def open(self, load: Load) -> Session:
        return open_session(load)

    def test_a_file_without_a_signature_is_read_by_its_tensors_names(self) -> None:
        assert STREAM.to_tflite is not None
        file = TinyFile({"model": STREAM.to_tflite(False)}, STREAM.inputs, STREAM.outputs)
        session = self.open(self.load(STREAM, file))
        feeds = STREAM.feeds(3)
        self.check(STREAM, feeds, session.run(feeds))

    def test_a_file_with_a_signature_is_read_by_its_tensors_names_too(self) -> None:
        file = STREAM.file(self.runtime)
        session = self.open(self.load(STREAM, TinyFile(file.files, STREAM.inputs, STREAM.outputs)))
        feeds = STREAM.feeds(3)
        self.check(STREAM, feeds, session.run(feeds))

    @pytest.mark.parametrize(("streams", "slots", "interpreters"), [(1, 4, 1), (2, 5, 2), (2, 1, 1), (4, 3, 3)])
    def test_there_are_no_more_interpreters_than_run_at_a_time(
        self, streams: int, slots: int, interpreters: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made: list[object] = []
        new = litert._new_interpreter

        def noted(load: Load) -> object:
            made.append(new(load))
            return made[-1]

        monkeypatch.setattr(litert, "_new_interpreter", noted)
        session = self.open(self.load(CNN, streams=streams))
        for _ in range(slots):
            session.bind()
        assert len(made) == interpreters

    def test_one_more_than_there_are_streams_waits_for_one_of_them(self) -> None:
        """Which of them is at work is asked of the library: each interpreter says when it begins and ends."""
        session = self.open(self.load(CNN, streams=2))
        slots = session.bind(4)
        at_work = AtWork()
        interpreters = [session._idle.get(), session._idle.get()]  # type: ignore[attr-defined]
        for one in interpreters:
            assert one is not None
            one._library = at_work.watched(one._library)
            session._idle.put(one)  # type: ignore[attr-defined]
        with ThreadPoolExecutor(len(slots)) as threads:
            for done in [threads.submit(lambda slot=slot: [slot.run() for _ in range(5)]) for slot in slots]:  # type: ignore[misc]
                done.result(60)
        assert at_work.most == 2

    def test_whoever_waits_is_told_when_the_session_is_closed(self) -> None:
        session = self.open(self.load(CNN))
        slots = session.bind(3)
        held = session._idle.get()  # type: ignore[attr-defined]
        with ThreadPoolExecutor(2) as threads:
            waiting = [threads.submit(slot.run) for slot in slots[:2]]
            both_wait = lambda: len(session._idle.not_empty._waiters) == 2  # type: ignore[attr-defined]  # noqa: E731
            wait_until(both_wait, "both to wait for the interpreter")
            session.close()
            for one in waiting:
                with pytest.raises(SessionFailed, match="closed"):
                    one.result(60)
        session._idle.put(held)  # type: ignore[attr-defined]
        with pytest.raises(SessionFailed, match="closed"):
            slots[2].run()

    def test_arrays_outlive_session_and_binding(self) -> None:
        session = self.open(self.load(CNN))
        (binding,) = session.bind()
        image = binding.inputs["image"]
        image[...] = 3
        session.close()
        del session, binding
        gc.collect()
        assert (image == 3).all()
        image[...] = 4

    def test_outputs_of_open_size_are_refused(self) -> None:
        load = self.load(CNN)
        open_outputs = (TensorSpec(name="logits", shape=(1, -1)),)
        with pytest.raises(SessionFailed, match="size that depends"):
            self.open(Load(load.files, load.variant, load.inputs, open_outputs, load.options))

    def test_dimensions_that_the_file_leaves_open_are_set_from_the_manifest(self) -> None:
        file = TinyFile({"model": _scale_model()}, (_vector("args_0"),), (_vector("output_0"),))
        load = self.load(CNN, file)
        session = self.open(Load(load.files, load.variant, (_vector("x"),), (_vector("y"),), load.options))
        values = np.arange(6, dtype=np.float32)[None]
        np.testing.assert_allclose(session.run({"x": values})["y"], values * 2)


class AtWork:
    """How many interpreters compute at the same time."""

    def __init__(self) -> None:
        self.most = self._now = 0
        self._lock = threading.Lock()

    def watched(self, library: Any) -> Any:
        """Return an interpreter that takes its time, and tells."""

        def invoke() -> None:
            with self._lock:
                self._now += 1
                self.most = max(self.most, self._now)
            time.sleep(0.01)
            library.invoke()
            with self._lock:
                self._now -= 1

        return SimpleNamespace(tensor=library.tensor, invoke=invoke)


def _vector(name: str) -> TensorSpec:
    return TensorSpec(name=name, shape=(1, 6))


def _scale_model() -> bytes:
    """Write y = 2 x for x of (1, any); its tensors are stored as (1, 1)."""
    from edgesdk_testkit.tflite_writer import TfliteWriter

    graph = TfliteWriter()
    value, result = graph.tensor("x", (1, 1)), graph.tensor("y", (1, 1))
    for tensor in graph._tensors:
        tensor.shapeSignature = [1, -1]
    graph.op("MUL", [value, graph.constant("two", np.array([2], np.float32))], result, "MulOptions")
    return graph.write([value], [result])
