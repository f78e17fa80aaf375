"""The strings of an exported program that torch turns into functions, imports or Python source.

A node's target is looked up attribute by attribute, and a module of torch leads to `os`; names and guards are written
into source that is executed; the description of a tree names what to import. So: targets are operators and arithmetic,
names are names, guards and sizes are arithmetic, trees are made of Python's own containers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_OPERATORS = re.compile(
    r"torch\.ops\.(?:aten|prim|prims|higher_order|quantized|quantized_decomposed|torchvision)"
    r"\.(?!__|from_file\b|save\b)\w+(?:\.(?!__)\w+)?"
    r"|_operator\.(?:or_|and_|rshift|lshift|ge|gt|le|lt|eq|ne|neg|pos|mod|mul|truediv|floordiv|sub|add|pow|getitem)"
    r"|math\.(?:trunc|ceil|floor|sqrt)|torch\.(?:_?sym_(?:sqrt|float|int|not|max|min|ite|sum))",
    re.ASCII,
)
_NAME = re.compile(r"\w*", re.ASCII)
_FULL_NAME = re.compile(r"[\w.\- ]*")  # of a parameter: a module's keys may hold more than letters
_ANYTHING = re.compile(r".*", re.DOTALL)
_CONTAINERS = (None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict", "collections.deque")

_WORDS = re.compile(r"[A-Za-z_]\w*")
_SYMBOL = re.compile(r"[a-z]{1,2}\d{1,6}")
# An open size as torch writes it: Symbol('s77', positive=True, integer=True).
_SYMBOL_CALL = re.compile(r"Symbol\('[a-z]{1,2}\d{1,6}'(?:, [a-z]{1,16}=(?:True|False)){0,8}\)")
# What a guard speaks of: L['x'].size()[0].
_OF_AN_INPUT = re.compile(r"L(?:\[(?:'\w+'|\d+)\])+(?:\.(?:size|stride|storage_offset)\(\))?(?:\[\d+\])?", re.ASCII)
# What else torch writes into size expressions.
_FUNCTIONS = frozenset({
    "Max", "Min", "Mod", "PythonMod", "ModularIndexing", "Where", "FloorDiv", "CeilDiv", "CleanDiv", "IntTrueDiv",
    "FloatTrueDiv", "FloorToInt", "CeilToInt", "TruncToInt", "TruncToFloat", "RoundToInt", "RoundDecimal", "ToFloat",
    "LShift", "RShift", "PowByNatural", "FloatPow", "Identity", "Eq", "Ne", "Ge", "Gt", "Le", "Lt", "And", "Or", "Not",
    "Piecewise", "True", "False", "Integer", "Rational", "Add", "Mul", "Pow", "GreaterThan", "LessThan", "StrictGreaterThan",
    "StrictLessThan", "Equality", "Unequality", "true", "false", "floor", "ceiling", "oo", "int_oo",
})  # fmt: skip
_GUARD_WORDS = frozenset({"and", "or", "not", "math", "isnan", "isinf", "inf", "True", "False"}) | _FUNCTIONS
_ARITHMETIC = re.compile(r"[\w +\-*/%(),<>=&|~.!]*", re.ASCII)


def graph_faults(program: Any) -> Iterator[str]:
    """Yield what a program's description, or a list of its tensors, holds that could become code: a sentence each."""
    waiting = [program]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            for key, item in one.items():
                yield from _faults_of(key, item)
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


def _faults_of(key: str, item: Any) -> Iterator[str]:
    if key in {"guards_code", "forward_arg_names"}:
        rule = _guard_is_arithmetic if key == "guards_code" else _is_name
        yield from (f"{key} that is none: {str(one)[:80]!r}" for one in item or () if not rule(str(one)))
    elif not isinstance(item, str):
        return
    elif key == "expr_str" and not _is_arithmetic(item):
        yield f"a size expression that is no arithmetic: {item[:80]!r}"
    elif key in {"target", "as_operator"} and not _OPERATORS.fullmatch(item):
        # An operator is also what others call for us: torch.ops.higher_order.wrap calls whatever it is given.
        yield f"a node that calls {item[:80]!r}, which is no operator of torch"
    elif key in {"in_spec", "out_spec"} and not _is_plain_tree(item):
        yield f"inputs or outputs in other containers than Python's own: {item[:80]!r}"
    elif not _rule_of_name(key).fullmatch(item):
        yield f"a name that is none: {item[:80]!r}"


def _rule_of_name(key: str) -> re.Pattern[str]:
    if key in {"name", "as_name"}:
        return _NAME
    return _FULL_NAME if key == "fqn" or key.endswith("_name") else _ANYTHING


def _is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def _is_arithmetic(text: str) -> bool:
    return _holds_only(_SYMBOL_CALL.sub("s0", text), _FUNCTIONS)


def _guard_is_arithmetic(text: str) -> bool:
    return _holds_only(_OF_AN_INPUT.sub("s0", text), _GUARD_WORDS)


def _holds_only(text: str, words: frozenset[str]) -> bool:
    known = all(_SYMBOL.fullmatch(word) or word in words for word in _WORDS.findall(text))
    return known and _ARITHMETIC.fullmatch(text) is not None


def _is_plain_tree(text: str) -> bool:
    try:
        _, tree = json.loads(text)
        waiting = [tree]
        while waiting:
            one = waiting.pop()
            if one["type"] not in _CONTAINERS or not all(map(_FULL_NAME.fullmatch, _strings(one["context"]))):
                return False
            waiting.extend(one["children_spec"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return False
    return True


def _strings(context: str | None) -> list[str]:
    """Return the texts of a container's description, which is JSON again: a dictionary's keys."""
    keys = json.loads(context or "null")
    if not isinstance(keys, list):
        if isinstance(keys, dict):
            raise TypeError("a description of a class")
        return []
    if any(isinstance(key, (dict, list)) for key in keys):
        raise TypeError("a key that is no plain value")
    return [key for key in keys if isinstance(key, str)]
