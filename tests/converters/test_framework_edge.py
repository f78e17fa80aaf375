"""What frameworks raise comes out as StepFailed with the op and one line of reason."""

from __future__ import annotations

import pytest

from edgesdk_converters.framework_edge import framework_edge, needs
from edgesdk_targets.errors import InputError, MissingExtra, StepFailed


def _raised(error: Exception) -> StepFailed:
    with pytest.raises(StepFailed) as caught, framework_edge("a_step", hint="Do this."):
        raise error
    assert caught.value.__cause__ is error
    assert caught.value.hint == "Do this."
    return caught.value


@pytest.mark.parametrize(
    ("said", "op"),
    [
        ("No ONNX function found for <OpOverload(op='prims.bessel_j0', overload='default')>. x", "prims.bessel_j0"),
        ("Lowering not found: aten.det.default\n\nWhile executing", "aten.det.default"),
        ("FrontEnd API failed:\n-- No conversion rule found for operations: my.Foo\nmore", "my.Foo"),
        ("No Op registered for Foo with domain_version of 18", "Foo"),
    ],
)
def test_the_op_is_named(said: str, op: str) -> None:
    assert op in _raised(RuntimeError(said)).message


def test_only_the_innermost_cause_is_told() -> None:
    try:
        try:
            raise ValueError("the real reason\nand its stack")
        except ValueError as inner:
            raise RuntimeError("Failed to export. Open an issue with a report.") from inner
    except RuntimeError as outer:
        message = _raised(outer).message
    assert message == "a_step: ValueError: the real reason"


def test_data_dependence_is_said_in_words() -> None:
    assert "depend on the values" in _raised(RuntimeError("Could not guard on data-dependent expression u0")).message


def test_our_own_errors_pass_unchanged() -> None:
    own = InputError("wrong shape", hint="mend it")
    with pytest.raises(InputError) as caught, framework_edge("a_step", hint="x"):
        raise own
    assert caught.value is own


def test_out_of_memory_says_so() -> None:
    with pytest.raises(StepFailed, match="out of memory") as caught, framework_edge("a_step", hint="x"):
        raise MemoryError
    assert "memory" in caught.value.hint


def test_ctrl_c_is_no_failure_of_the_step() -> None:
    with pytest.raises(KeyboardInterrupt), framework_edge("a_step", hint="x"):
        raise KeyboardInterrupt


def test_a_missing_package_names_its_extra() -> None:
    with pytest.raises(MissingExtra) as caught, needs("no-such-package", extra="torch"):
        import no_such_package  # type: ignore[import-not-found]  # noqa: F401
    assert caught.value.hint == "pip install 'edgesdk[torch]'"


def test_a_package_that_misses_another_is_not_called_missing() -> None:
    with pytest.raises(ModuleNotFoundError), needs("openvino", extra="openvino"):
        raise ModuleNotFoundError("No module named 'other'", name="other")
