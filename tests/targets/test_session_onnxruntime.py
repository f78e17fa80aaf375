from __future__ import annotations

import numpy as np
import pytest
from session_contract import SessionContract

from edgesdk_targets.runtimes.onnxruntime import open_session
from edgesdk_targets.session import Load, Session
from edgesdk_targets.target import Runtime
from edgesdk_testkit.tiny_models import OPEN

pytest.importorskip("onnxruntime")


class TestOnnxRuntimeSession(SessionContract):
    runtime = Runtime.ONNXRUNTIME
    computes_on_caller = True

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
            outputs = binding.run()
            assert outputs["places"].shape == (2, 8 - seed - 1)
            np.testing.assert_array_equal(outputs["places"], OPEN.reference(feeds)["places"])
