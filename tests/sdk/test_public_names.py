"""What `edgesdk` names is there, is typed, says what it is, and stands on its page."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

import edgesdk

PAGE = Path(__file__).resolve().parents[2] / "docs" / "embedding.md"


def missing_on(page: str, names: Iterable[str]) -> list[str]:
    """Return the names that a page does not have as code: `Name`, `edgesdk.Name`, alone or at the start of a call."""
    return [name for name in names if not re.search(rf"(`|edgesdk\.){name}\b", page)]


def test_every_public_name_is_on_the_page() -> None:
    assert missing_on(PAGE.read_text("utf-8"), edgesdk.__all__) == []


def test_a_missing_one_is_noticed() -> None:
    """Negative control of the test above; part of another name is not the name."""
    assert missing_on("`Models` and `a.Model`, edgesdk.loader", ["Model", "load"]) == ["Model", "load"]


@pytest.mark.parametrize("name", edgesdk.__all__)
def test_a_public_name_says_what_it_is(name: str) -> None:
    value = getattr(edgesdk, name)
    if name == "Result":  # a union, for annotations
        return
    assert value.__doc__
    public = (
        [member for key, member in vars(value).items() if not key.startswith("_")]
        if inspect.isclass(value)
        else [value]
    )
    for member in public:
        if inspect.isfunction(member):
            hints = inspect.signature(member)
            assert hints.return_annotation is not inspect.Signature.empty, f"{name}.{member.__name__}"
            untyped = [p.name for p in hints.parameters.values() if p.annotation is p.empty and p.name != "self"]
            assert untyped == [], f"{name}.{member.__name__}"


def test_the_packages_say_that_they_are_typed() -> None:
    for package in ("edgesdk", "edgesdk_agent", "edgesdk_converters", "edgesdk_targets"):
        module = __import__(package)
        assert (Path(module.__file__ or "").parent / "py.typed").exists(), package


def test_the_list_is_what_a_name_leads_to() -> None:
    assert sorted(edgesdk._WHERE) == sorted(edgesdk.__all__) == list(edgesdk.__all__)
    with pytest.raises(AttributeError, match="nothing_like_it"):
        edgesdk.nothing_like_it  # noqa: B018


def test_calling_a_model_imports_nothing_of_the_agent() -> None:
    code = "import sys, edgesdk; edgesdk.Model; print(sorted(m for m in sys.modules if m.startswith('edgesdk_agent')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
