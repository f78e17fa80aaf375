"""Which ONNX operators a TensorRT parser does not take, for where no parser can be asked.

Sources: the operator lists of onnx-tensorrt for TensorRT 8.4 (read as that of 8.2) and 8.5; for TensorRT 10 and newer
the answers of the parser of TensorRT-RTX 1.7, asked for each operator of ONNX 1.23. A list says nothing of an operator's
options: absent here is no promise.
"""

from __future__ import annotations

from collections.abc import Iterable

from edgesdk_converters.preflight.graph import Graph, Op

_NEVER = frozenset(
    {"Bernoulli", "BitShift", "CenterCropPad", "Col2Im", "Compress", "ConcatFromSequence", "ConvInteger", "DFT"}
    | {"DeformConv", "Det", "DynamicQuantizeLinear", "MatMulInteger", "MaxRoiPool", "MaxUnpool", "MelWeightMatrix"}
    | {"Multinomial", "NegativeLogLikelihoodLoss", "Optional", "OptionalGetElement", "OptionalHasElement"}
    | {"QLinearConv", "QLinearMatMul", "SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceErase"}
    | {"SequenceInsert", "SequenceLength", "SequenceMap", "SoftmaxCrossEntropyLoss", "SplitToSequence"}
    | {"StringNormalizer", "TfIdfVectorizer", "Unique"}
)
_NOT_IN_10 = _NEVER | {"AffineGrid", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor"}
_NOT_IN_8_5 = _NOT_IN_10 | {
    "BlackmanWindow",
    "HammingWindow",
    "HannWindow",
    "Hardmax",
    "IsInf",
    "LayerNormalization",
    "STFT",
}
_NOT_IN_8_2 = _NOT_IN_8_5 | {
    *("GridSample", "HardSwish", "MeanVarianceNormalization", "Mod", "NonZero", "OneHot", "RandomNormal"),
    *("RandomNormalLike", "Reciprocal", "RoiAlign", "Shrink", "Trilu", "Xor"),
}


def refused_ops(graph: Graph, max_opset: int | None) -> list[Op]:
    """Return the operations that the parser for this opset refuses.

    Args:
        max_opset: the newest that it reads: 13 is TensorRT 8.2, 17 is 8.5, above are 10 and newer.
    """
    return list(_refused(graph.ops, _list_for(max_opset)))


def _refused(ops: Iterable[Op], unknown: frozenset[str]) -> Iterable[Op]:
    return (op for op in ops if op.op in unknown or "." in op.op)


def _list_for(max_opset: int | None) -> frozenset[str]:
    if max_opset is not None and max_opset <= 13:
        return _NOT_IN_8_2
    return _NOT_IN_8_5 if max_opset is not None and max_opset <= 17 else _NOT_IN_10
