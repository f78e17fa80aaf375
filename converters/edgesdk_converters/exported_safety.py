"""Is a `.pt2` safe to load? Told by its content, before torch reads it.

torch's loader unpickles some payloads of the archive and lets sympy evaluate strings that describe open sizes; either
can run code. So pickles may name tensors only, and those strings may be plain arithmetic only.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgesdk_converters.sniff import refuse_code
from edgesdk_targets.errors import InputError

_MAX_MEMBER_BYTES = 4 << 30
_NAMES = re.compile(r"[A-Za-z_]\w*")
_SYMBOL = re.compile(r"^[a-z]{1,2}\d{1,6}$")
# An open size as torch writes it: Symbol('s77', positive=True, integer=True).
_SYMBOL_CALL = re.compile(r"Symbol\('[a-z]{1,2}\d{1,6}'(?:, [a-z]{1,16}=(?:True|False)){0,8}\)")
# What else torch writes into size expressions.
_FUNCTIONS = frozenset({
    "Max", "Min", "Mod", "PythonMod", "FloorDiv", "CeilDiv", "CleanDiv", "IntTrueDiv", "FloatTrueDiv", "FloorToInt",
    "CeilToInt", "TruncToInt", "ToFloat", "Eq", "Ne", "Ge", "Gt", "Le", "Lt", "And", "Or", "Not", "Piecewise", "True",
    "False", "Integer", "floor", "ceiling", "oo", "int_oo",
})  # fmt: skip
_ARITHMETIC = re.compile(r"^[\w\s+\-*/%(),<>=&|~.]*$")
_HINT = "Export the model again with torch.export.save of torch 2.13, with tensors as example inputs."


def check_exported(path: Path) -> None:
    """Refuse a `.pt2` whose loading could run code.

    Raises:
        InputError: a pickle inside it names code, or a size expression is no arithmetic.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if info.file_size > _MAX_MEMBER_BYTES:
                    raise InputError(f"{path}: {info.filename} is too large.", hint=_HINT)
                data = archive.read(info)
                _check_pickles(path, data)
                if info.filename.endswith(".json"):
                    _check_expressions(path, data)
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise InputError(f"{path} is damaged: {error}.", hint="Copy the file again.") from error


def _check_pickles(path: Path, data: bytes) -> None:
    if data[:1] == b"\x80":
        refuse_code(path, data)
    elif data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as inner:
            for member in inner.namelist():
                content = inner.read(member)
                if content[:1] == b"\x80" or member.endswith(".pkl"):
                    refuse_code(path, content)


def _check_expressions(path: Path, data: bytes) -> None:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return  # torch refuses it by itself
    for text in _expressions(document):
        rest = _SYMBOL_CALL.sub("s0", text)
        names = _NAMES.findall(rest)
        plain = all(_SYMBOL.match(name) or name in _FUNCTIONS for name in names)
        if not plain or not _ARITHMETIC.match(rest):
            raise InputError(f"{path} holds a size expression that is no arithmetic: {text[:80]!r}.", hint=_HINT)


def _expressions(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            for key, item in one.items():
                if key == "expr_str" and isinstance(item, str):
                    yield item
                else:
                    waiting.append(item)
        elif isinstance(one, list):
            waiting.extend(one)
