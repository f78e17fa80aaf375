"""What was changed is data from outside: it is checked, and makes no model larger."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from edgesdk.compression.changes import read_changes, write_changes
from edgesdk.compression.rebuilt import FACTORY, model, replay
from edgesdk_converters.author_code import build
from edgesdk_targets.errors import InputError
from edgesdk_testkit.nets_to_compress import residual

GOOD: list[dict[str, Any]] = [
    {"kind": "channels", "layer": "one.conv1", "inputs": 8, "outputs": 6},
    {"kind": "factorised", "layer": "head", "rank": 2},
    {"kind": "folded", "layer": "stem", "norm": "bn"},
    {"kind": "sparse", "layer": "head"},
]
WRONG = {
    "an unknown kind": ({"kind": "pickle", "layer": "head"}, "pickle"),
    "an unknown field": ({"kind": "sparse", "layer": "head", "code": "x"}, "code"),
    "no layer": ({"kind": "sparse"}, "layer"),
    "a path for a name": ({"kind": "sparse", "layer": "../head"}, "layer"),
    "no number": ({"kind": "channels", "layer": "stem", "inputs": "3", "outputs": 8}, "inputs"),
    "nothing left": ({"kind": "channels", "layer": "stem", "inputs": 3, "outputs": 0}, "outputs"),
}
UNFIT = {
    "a layer that is not there": ({"kind": "sparse", "layer": "heads"}, "no layer"),
    "a layer that grows": ({"kind": "channels", "layer": "stem", "inputs": 3, "outputs": 9}, "cannot get"),
    "a rank beyond the layer": ({"kind": "factorised", "layer": "head", "rank": 5}, "rank 4 at most"),
    "factors of what has none": ({"kind": "factorised", "layer": "bn", "rank": 2}, "no channel factors"),
    "weights of another shape": ({"kind": "tied", "layer": "stem", "to": "head"}, "different shapes"),
    "a fold into what cannot": ({"kind": "folded", "layer": "bn", "norm": "stem"}, "no such layers"),
}


def test_changes_are_read_as_they_were_written() -> None:
    assert write_changes(read_changes(GOOD)) == GOOD


@pytest.mark.parametrize(("change", "named"), WRONG.values(), ids=WRONG)
def test_a_wrong_change_is_refused_by_its_field(change: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named) as refused:
        read_changes([*GOOD, change])
    assert "changes[4]" in refused.value.message


@pytest.mark.parametrize(("change", "named"), UNFIT.values(), ids=UNFIT)
def test_a_change_that_does_not_fit_the_model_is_refused(change: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        replay(residual(), read_changes([change]))


@pytest.mark.parametrize("given", [None, {}, "x", [1]], ids=["none", "a mapping", "text", "numbers"])
def test_what_is_no_list_of_changes_is_refused(given: object) -> None:
    with pytest.raises(InputError, match="changes"):
        read_changes(given)


def test_a_compressed_model_is_not_its_own_base() -> None:
    with pytest.raises(InputError, match="own base"):
        model(base=FACTORY, changes=[])


def test_the_authors_code_is_found_beside_the_card(tmp_path: Path) -> None:
    (tmp_path / "nets_of_a_user.py").write_text("from edgesdk_testkit.nets_to_compress import residual\n")
    arguments = {"base": "nets_of_a_user:residual", "base_args": {"width": 8}, "changes": GOOD}
    built = build(FACTORY, arguments, tmp_path)
    assert tuple(built.get_parameter("one.conv1.weight").shape) == (6, 8, 3, 3)
    assert str(tmp_path) not in sys.path
