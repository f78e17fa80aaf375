"""Open an ONNX model for measuring."""

from __future__ import annotations

from typing import Any


def session_of(content: bytes, *, pairs_as_they_stand: bool = False) -> Any:
    """Return ONNX Runtime's session: one thread, so that the same numbers come out everywhere.

    Args:
        pairs_as_they_stand: run QuantizeLinear and DequantizeLinear one by one, and fuse nothing with them.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if pairs_as_they_stand:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
