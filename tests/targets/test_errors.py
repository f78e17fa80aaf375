from __future__ import annotations

import inspect
import re

import pytest

from edgesdk_targets import errors
from edgesdk_targets.errors import EdgeError, MissingExtra

ALL = [value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, EdgeError)]


def drawn_tree() -> dict[str, str | None]:
    """Read the tree in the module's docstring: class → parent."""
    parents: list[tuple[int, str]] = []
    found: dict[str, str | None] = {}
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^([│├└─ ]*)([A-Z]\w+)\b", line)
        if match is None or line.startswith("The "):
            continue
        depth = len(match[1])
        while parents and parents[-1][0] >= depth:
            parents.pop()
        found[match[2]] = parents[-1][1] if parents else None
        parents.append((depth, match[2]))
    return found


def test_the_drawn_tree_is_the_real_one() -> None:
    real = {cls.__name__: cls.__bases__[0].__name__ if cls is not EdgeError else None for cls in ALL}
    assert drawn_tree() == real


def test_every_code_is_its_own() -> None:
    codes = [cls.code for cls in ALL]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z][a-z_]*", code) for code in codes)


def test_the_hint_is_shown_below_the_message() -> None:
    assert str(EdgeError("It broke.")) == "It broke."
    assert str(EdgeError("It broke.", hint="Mend it.")) == "It broke.\n  → Mend it."


def test_a_missing_package_names_the_line_that_brings_it() -> None:
    error = MissingExtra("openvino", "openvino")
    assert "pip install 'edgesdk[openvino]'" in str(error)
    assert (error.package, error.extra) == ("openvino", "openvino")


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_each_says_what_it_is_for(cls: type[EdgeError]) -> None:
    assert (cls.__doc__ or "").strip()
