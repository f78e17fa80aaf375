from __future__ import annotations

import gc

import numpy as np
import pytest
from session_contract import SessionContract

from edgesdk_targets.errors import SessionFailed
from edgesdk_targets.runtimes.litert import open_session
from edgesdk_targets.session import Load, Session
from edgesdk_targets.target import Runtime
from edgesdk_targets.tensor import TensorSpec
from edgesdk_testkit.tiny_models import CNN, STREAM, TinyFile

pytest.importorskip("ai_edge_litert")


class TestLiteRtSession(SessionContract):
    runtime = Runtime.LITERT

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

    def test_the_arrays_are_the_interpreters_own_memory(self) -> None:
        (binding,) = self.open(self.load(CNN)).bind()
        interpreter = binding._interpreter  # type: ignore[attr-defined]
        detail = interpreter.get_input_details()[0]
        binding.inputs["image"][...] = 7
        assert (interpreter.get_tensor(detail["index"]) == 7).all()

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
