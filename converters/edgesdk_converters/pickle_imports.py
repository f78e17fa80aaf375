"""What a pickle would import when it is loaded, read from its instructions without running one.

A pickle is a program: it fetches objects by module and name and calls them. Rule: only what builds tensors may be
fetched, name by name, since a module of torch also leads to `os`; and only by the instructions that torch's own reader of
weights knows. The others find their names at run time (STACK_GLOBAL, the extension registry), where a decoy hides them.
"""

from __future__ import annotations

import io
import pickletools

# Written by torch.save before its zip form: a mark, a version, facts of the machine, the object, its storages.
OLD_FORM_PICKLES = 5

_ELEMENTS = (
    "BFloat16", "Bool", "Byte", "Char", "ComplexDouble", "ComplexFloat", "Double", "Float", "Half", "Int", "Long", "Short",
)  # fmt: skip
_QUANTISED = ("QInt32", "QInt8", "QUInt2x4", "QUInt4x2", "QUInt8")
_REBUILT_AS = (
    "parameter", "parameter_with_state", "qtensor", "tensor", "tensor_v2", "tensor_v3", "sparse_tensor",
    "meta_tensor_no_storage", "device_tensor_from_cpu_tensor",
)  # fmt: skip
_TORCH = (
    "Size", "Tensor", "device", "float16", "bfloat16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8",
    "uint16", "uint32", "uint64", "bool", "complex32", "complex64", "complex128", "float8_e4m3fn", "float8_e4m3fnuz",
    "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu", "qint8", "quint8", "qint32", "quint4x2", "quint2x4",
    "per_tensor_affine", "per_tensor_symmetric", "per_channel_affine", "per_channel_symmetric",
    "per_channel_affine_float_qparams",
)  # fmt: skip
TENSOR_NAMES = frozenset({
    "collections OrderedDict", "collections Counter", "_codecs encode", "builtins bytearray", "builtins complex",
    "builtins set", "torch.nn.parameter Parameter", "torch.serialization _get_layout", "torch._tensor _rebuild_from_type_v2",
    "torch.storage TypedStorage", "torch.storage UntypedStorage",
    *(f"torch {name}" for name in _TORCH),
    *(f"torch {element}Storage" for element in (*_ELEMENTS, *_QUANTISED)),
    *(f"torch.cuda {element}Storage" for element in _ELEMENTS),
    *(f"torch._utils _rebuild_{what}" for what in _REBUILT_AS),
    # As Python 2 wrote them; a reader of today maps them to the ones above.
    "__builtin__ bytearray", "__builtin__ complex", "__builtin__ set",
})  # fmt: skip
_INSTRUCTIONS = frozenset({
    "PROTO", "STOP", "MARK", "GLOBAL", "NEWOBJ", "REDUCE", "BUILD", "APPEND", "APPENDS", "SETITEM", "SETITEMS", "TUPLE",
    "TUPLE1", "TUPLE2", "TUPLE3", "NONE", "NEWFALSE", "NEWTRUE", "EMPTY_TUPLE", "EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET",
    "BININT", "BININT1", "BININT2", "BINFLOAT", "BINUNICODE", "SHORT_BINSTRING", "BINPERSID", "BINGET", "LONG_BINGET",
    "BINPUT", "LONG_BINPUT", "LONG1",
})  # fmt: skip


def foreign_imports(data: bytes, *, pickles: int = 1) -> list[str]:
    """Return what loading would fetch beside tensors, sorted: `module.name`, or an instruction that may fetch anything.

    Args:
        data: starts with a pickle; what follows the last one is not read.
        pickles: how many stand in a row.

    Raises:
        ValueError: no pickle, or one that is cut off.
    """
    found: set[str] = set()
    stream = io.BytesIO(data)
    for _ in range(pickles):
        for opcode, argument, _ in pickletools.genops(stream):
            if opcode.name in {"GLOBAL", "INST"}:
                # Both read "module\nname\n", which genops joins with a space; a space in either makes it match nothing.
                if opcode.name == "INST" or argument not in TENSOR_NAMES:
                    found.add(str(argument).replace(" ", "."))
            elif opcode.name not in _INSTRUCTIONS:
                found.add(f"the instruction {opcode.name}")
        if stream.tell() == len(data):
            break
    return sorted(found)
