from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from session_contract import SessionContract

from edgesdk_targets.errors import SessionFailed
from edgesdk_targets.runtimes.openvino import computing_in, open_session
from edgesdk_targets.session import Load, Session, StartedBinding, starts_ahead
from edgesdk_targets.target import Runtime
from edgesdk_testkit.tiny_models import CNN, OPEN, WIDE, TinyFile

pytest.importorskip("openvino")


def _computed_in(settings: dict[str, Any]) -> str:
    """Return what OpenVINO computes the convolution of a quantised model in."""
    import openvino
    from openvino import opset13 as ops

    def rounded(values: Any) -> Any:
        ends = [np.full((1, 1, 1, 1), end, np.float32) for end in (0, 4, 0, 4)]
        return ops.fake_quantize(values, *ends, 256)

    image = ops.parameter([1, 8, 16, 16], np.float32, name="image")
    codes = np.random.default_rng(2).integers(-127, 128, (8, 8, 3, 3)).astype(np.int8)
    weights = ops.multiply(ops.convert(ops.constant(codes), "f32"), np.full((8, 1, 1, 1), 0.01, np.float32))
    found = ops.convolution(rounded(image), weights, [1, 1], [1, 1], [1, 1], [1, 1])
    compiled = openvino.Core().compile_model(openvino.Model([rounded(ops.relu(found))], [image]), "CPU", settings)
    nodes = [op.get_rt_info() for op in compiled.get_runtime_model().get_ops()]
    (kind,) = (node["runtimePrecision"].value for node in nodes if node["layerType"].value == "Convolution")
    return str(kind)


class TestOpenVinoSession(SessionContract):
    runtime = Runtime.OPENVINO

    def open(self, load: Load) -> Session:
        return open_session(load)

    def test_outputs_of_open_size(self) -> None:
        session = self.open(self.load(OPEN))
        (binding,) = session.bind()
        for seed in range(3):
            feeds = OPEN.feeds(seed)
            feeds["image"][0, : seed + 1] = 0
            self.check(OPEN, feeds, session.run(feeds))
            binding.inputs["image"][...] = feeds["image"]
            assert binding.run()["places"].shape == (2, 8 - seed - 1)

    def test_one_thread_that_is_not_pinned_is_the_one_that_asks(self) -> None:
        """By the asking thread's own time, which other threads and other processes do not add to."""
        own_s = {way: self._asking_thread_s(*way) for way in ((1, False), (2, False), (1, True))}
        # The controls: threads of OpenVINO's do the work, and who asks waits.
        assert own_s[1, False] > 1.5 * max(own_s[2, False], own_s[1, True]), own_s

    def test_what_is_started_ahead_answers_as_what_is_run(self) -> None:
        load = self.load(CNN, threads=1)
        pinned = self.open(replace(load, options=replace(load.options, pin=True)))
        assert starts_ahead(pinned)
        assert not starts_ahead(self.open(load)), "one thread that is not pinned is the one that asks"
        bindings = pinned.bind(3)
        all_feeds = [CNN.feeds(seed) for seed in range(3)]
        for binding, feeds in zip(bindings, all_feeds, strict=True):
            binding.inputs["image"][...] = feeds["image"]
            cast("StartedBinding", binding).start()
        for binding, feeds in zip(bindings, all_feeds, strict=True):
            self.check(CNN, feeds, binding.run())
            self.check(CNN, feeds, binding.run())
        pinned.close()
        with pytest.raises(SessionFailed, match="closed"):
            cast("StartedBinding", bindings[0]).start()

    def _asking_thread_s(self, threads: int, pin: bool) -> float:
        load = self.load(WIDE, threads=threads)
        session = self.open(replace(load, options=replace(load.options, pin=pin)))
        (binding,) = session.bind()
        binding.run()
        least = math.inf
        for _ in range(5):
            began = time.thread_time()
            for _ in range(40):
                binding.run()
            least = min(least, time.thread_time() - began)
        session.close()
        return least

    def test_computes_in_the_precision_of_the_manifest(self) -> None:
        feeds = CNN.feeds()
        exact = CNN.reference(feeds)["logits"]
        single = self.open(self.load(CNN)).run(feeds)["logits"]
        assert np.abs(single - exact).max() < 1e-5

    def test_bfloat16_only_where_the_manifest_says_so(self) -> None:
        import openvino

        if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            pytest.skip("this processor does not compute in bf16")
        feeds = CNN.feeds()
        exact = CNN.reference(feeds)["logits"]
        coarse = self.open(self.load(CNN, precision="bf16")).run(feeds)["logits"]
        assert 1e-4 < np.abs(coarse - exact).max() < 0.05

    def test_on_arm_a_quantised_model_computes_in_the_precision_of_the_manifest_too(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """There it needs a word more, which this machine's plugin understands as well: no layer is left in 8 bits."""
        kinds = {}
        for machine in ("x86_64", "aarch64"):
            monkeypatch.setattr("platform.machine", lambda name=machine: name)
            kinds[machine] = _computed_in(computing_in("f32"))
        assert kinds["x86_64"] != "f32"
        assert kinds["aarch64"] == "f32"
        feeds = CNN.feeds()
        assert np.abs(self.open(self.load(CNN)).run(feeds)["logits"] - CNN.reference(feeds)["logits"]).max() < 1e-5

    def test_an_unknown_precision_is_refused(self) -> None:
        with pytest.raises(SessionFailed, match="'i4'"):
            self.open(self.load(CNN, precision="i4"))

    def test_weights_that_are_cut_are_refused(self) -> None:
        file = CNN.file(self.runtime)
        for weights in (b"", file.files["weights"][:-1]):
            with pytest.raises(SessionFailed) as raised:
                self.open(self.load(CNN, TinyFile({**file.files, "weights": weights}, file.inputs, file.outputs)))
            assert "Exception from" not in raised.value.message
