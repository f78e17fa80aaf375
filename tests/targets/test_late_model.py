"""Checks of a data model are built at their first use, once, however many threads come at the same moment."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from edgesdk_targets.late_model import LateModel

THREADS = 8


class Unguarded(BaseModel):
    """A negative control."""

    model_config = ConfigDict(defer_build=True)


def fresh() -> type[LateModel]:
    class Point(LateModel):
        x: int
        label: str = ""

    return Point


def test_nothing_is_built_before_the_first_use() -> None:
    point = fresh()
    assert not point.__pydantic_complete__
    assert point(x=1).model_dump() == {"x": 1, "label": ""}  # type: ignore[call-arg]
    assert point.__pydantic_complete__
    with pytest.raises(ValidationError):
        point.model_validate({"x": "one"})


def test_what_is_made_without_checks_needs_none() -> None:
    point = fresh()
    assert point.model_construct(x=1).model_fields_set == {"x"}
    assert not point.__pydantic_complete__


@pytest.mark.parametrize(("base", "builds_once"), [(LateModel, True), (Unguarded, False)])
def test_threads_that_come_at_once_build_once_and_all_get_their_answer(
    base: type[BaseModel], builds_once: bool
) -> None:
    builds: list[str] = []

    class Slow(base):  # type: ignore[misc,valid-type]
        x: int

        @classmethod
        def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
            builds.append(threading.current_thread().name)
            # Long enough for the others to come meanwhile.
            threading.Event().wait(0.05)
            return handler(source)

    gate, wrong = threading.Barrier(THREADS), []

    def ask() -> None:
        gate.wait(10)
        try:
            assert Slow.model_validate({"x": 3}).model_dump_json() == '{"x":3}'
        except BaseException as error:
            wrong.append(repr(error))

    threads = [threading.Thread(target=ask) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (len(builds) == 1) == builds_once
    assert not (builds_once and wrong), wrong
