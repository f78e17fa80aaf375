from __future__ import annotations

import pytest
from pydantic import ValidationError

from edgesdk_agent.config.governor import GovernorSection, RungSection
from edgesdk_agent.governor.ladder import USUAL_LADDER, Plan, Rung, limits_of, plan_at

LADDER = (
    Rung("half", rate=0.5),
    Rung("small", bundle="small.edgebundle"),
    Rung("int8", variant="rpi5-litert-int8"),
    Rung("one less", pause=1),
    Rung("a tenth", rate=0.1),
)


def test_each_rung_adds_to_those_above() -> None:
    assert plan_at(LADDER, 0) == Plan()
    assert plan_at(LADDER, 2) == Plan(rate=0.5, bundle="small.edgebundle")
    assert plan_at(LADDER, 3) == Plan(rate=0.5, variant="rpi5-litert-int8")
    assert plan_at(LADDER, 5) == Plan(rate=0.1, variant="rpi5-litert-int8", pause=1)


def test_the_least_important_cameras_go_first_and_one_always_stays() -> None:
    fps = {"yard": 10.0, "gate": 20.0, "shop": 5.0}
    assert limits_of(Plan(), fps, ("gate",)) == {"yard": None, "gate": None, "shop": None}
    assert limits_of(Plan(rate=0.5, pause=1), fps, ("gate",)) == {"yard": 5.0, "gate": 10.0, "shop": 0.0}
    assert limits_of(Plan(pause=2), fps, ("shop", "gate")) == {"yard": 0.0, "gate": 0.0, "shop": None}
    assert limits_of(Plan(pause=9), fps, ()) == {"yard": None, "gate": 0.0, "shop": 0.0}


def test_a_rung_gives_up_one_thing_and_the_usual_ladder_needs_no_file() -> None:
    assert GovernorSection().settings(500.0).ladder == USUAL_LADDER
    section = GovernorSection.model_validate({"enabled": True, "ladder": [{"rate": 0.5}, {"pause": 2}]})
    assert [rung.name for rung in section.settings(500.0).ladder] == ["50 % of the frames", "2 cameras less"]
    for wrong in ({}, {"rate": 0.5, "pause": 1}, {"rate": 1.5}, {"variant": "x", "rate": 0.2}):
        with pytest.raises(ValidationError):
            RungSection.model_validate(wrong)
