"""The border to other people's frameworks.

Rule: inside `framework_edge` a framework may print what it likes and raise what it likes; outside, there is silence
and `StepFailed`, whose message names the step, the op where the framework told it, and the reason in one line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from edgesdk_converters.quiet import quiet
from edgesdk_targets.errors import EdgeError, MissingExtra, StepFailed

# How each framework names the op it cannot do. The first group is the op.
_OP_PATTERNS = (
    re.compile(r"No ONNX function found for <OpOverload\(op='([\w.]+)'"),  # torch.onnx
    re.compile(r"Lowering not found: ([\w.:]+)"),  # litert-torch
    re.compile(r"While executing %\w+ : .*?call_function\[target=torch\.ops\.([\w.]+)\]"),  # any fx interpreter
    re.compile(r"No conversion rule found for operations: ([^\n]+)"),  # OpenVINO
    re.compile(r"No Op registered for (\w+)"),  # onnx.checker
    re.compile(r"Fatal error: ([\w.:]+)(?:\(-?\d+\))? is not a registered function/op"),  # ONNX Runtime
)
_DATA_DEPENDENT = re.compile(r"data-dependent|NonConcreteBoolean|Dynamic(?:OutputShape|Shape)Exception")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m|\[\d\d?m")
_LOCATION = re.compile(
    r"^(Check '.*' failed at .*|FrontEnd API failed with .*|Model wasn't fully converted\.|Summary:)$"
)

OUT_OF_MEMORY_HINT = "Convert on a machine with more memory, or convert fewer targets at once."


def _chain(error: BaseException) -> list[BaseException]:
    """Return the error and what caused it, outermost first."""
    seen: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in seen:
        seen.append(link)
        link = link.__cause__ or link.__context__
    return seen


def failed_op(error: BaseException) -> str | None:
    """Return the op that a framework says it cannot do, e.g. `aten.special_bessel_j0.default`; None where it does not."""
    for link in _chain(error):
        text = str(link)
        for pattern in _OP_PATTERNS:
            found = pattern.search(text)
            if found:
                return found.group(1).strip()
    return None


def reason(error: BaseException) -> str:
    """Return the innermost cause in one line, without colours, addresses or advice."""
    links = _chain(error)
    for link in reversed(links):
        lines = [_COLOUR.sub("", line).strip() for line in str(link).splitlines()]
        useful = [line for line in lines if line and not _LOCATION.match(line)]
        if useful:
            return f"{type(link).__name__}: {useful[0]}"[:400]
    return type(links[-1]).__name__


def _describe(step: str, error: BaseException) -> str:
    op = failed_op(error)
    if op is not None:
        return f"{step}: the op {op} cannot be converted ({reason(error)})."
    if any(_DATA_DEPENDENT.search(f"{type(link).__name__} {link}") for link in _chain(error)):
        return f"{step}: the model's control flow or shapes depend on the values it sees ({reason(error)})."
    return f"{step}: {reason(error)}"


@contextmanager
def framework_edge(step: str, *, hint: str) -> Iterator[None]:
    """Run a framework quietly, and translate what it raises.

    Args:
        step: name of the step; the noise goes to the logger `edgesdk_converters.<step>`.
        hint: what the caller can do when the framework fails.

    Raises:
        StepFailed: the framework raised; the original exception is the cause.
    """
    with quiet(step):
        try:
            yield
        except EdgeError:
            raise
        except MemoryError as error:
            raise StepFailed(f"{step}: out of memory.", hint=OUT_OF_MEMORY_HINT) from error
        except Exception as error:  # a plug-in's border: a framework may raise anything
            raise StepFailed(_describe(step, error), hint=hint) from error


@contextmanager
def needs(package: str, *, extra: str) -> Iterator[None]:
    """Import a framework in the body; a missing one becomes `MissingExtra`.

    Args:
        package: the name as `pip install` knows it; its module is the same with underscores.
        extra: the extra of edgesdk that brings it.

    Raises:
        MissingExtra: the package is not installed. A package that is there and broken raises its own error.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != package.replace("-", "_"):
            raise
        raise MissingExtra(package, extra) from error
