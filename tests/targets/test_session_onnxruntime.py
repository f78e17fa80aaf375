from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from session_contract import SessionContract

from edgesdk_targets.runtimes.onnxruntime import open_session
from edgesdk_targets.session import Load, Session, SessionOptions
from edgesdk_targets.target import Runtime
from edgesdk_testkit.tiny_models import CNN, OPEN

pytest.importorskip("onnxruntime")


class TestOnnxRuntimeSession(SessionContract):
    runtime = Runtime.ONNXRUNTIME
    computes_on_caller = True

    def open(self, load: Load) -> Session:
        return open_session(load)

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (SessionOptions(threads=2, spin="always"), {}),
            (SessionOptions(threads=2), {"session.force_spinning_stop": "1"}),
            (SessionOptions(threads=2, spin="never"), {"session.intra_op.allow_spinning": "0"}),
        ],
        ids=["always", "within", "never"],
    )
    def test_its_threads_wait_as_they_are_told(
        self, options: SessionOptions, said: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import onnxruntime

        told: dict[str, str] = {}

        class Options(onnxruntime.SessionOptions):  # type: ignore[misc]
            def add_session_config_entry(self, key: str, value: str) -> None:
                told[key] = value
                super().add_session_config_entry(key, value)

        monkeypatch.setattr(onnxruntime, "SessionOptions", Options)
        session = self.open(replace(self.load(CNN), options=options))
        assert told == said
        feeds = CNN.feeds(0)
        self.check(CNN, feeds, session.run(feeds))

    def test_outputs_of_open_size(self) -> None:
        session = self.open(self.load(OPEN))
        (binding,) = session.bind()
        for seed in range(3):
            feeds = OPEN.feeds(seed)
            feeds["image"][0, : seed + 1] = 0
            self.check(OPEN, feeds, session.run(feeds))
            binding.inputs["image"][...] = feeds["image"]
            outputs = binding.run()
            assert outputs["places"].shape == (2, 8 - seed - 1)
            np.testing.assert_array_equal(outputs["places"], OPEN.reference(feeds)["places"])
