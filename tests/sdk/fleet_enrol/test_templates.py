"""Templates: what is laid over what, what a template cannot say, and what counts as drift."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgesdk.fleet.enrol.template_change import Change, change
from edgesdk.fleet.enrol.templates import at_path, check_template, drift, render
from edgesdk_agent.agent_identity import lay_over
from edgesdk_targets.enrolment import configuration_digest
from edgesdk_targets.errors import InputError
from edgesdk_targets.yaml_file import dump_yaml, parse_yaml

TEMPLATE: dict[str, Any] = {
    "bundle": "person",
    "cameras": [
        {"name": "door", "source": "rtsp://10.0.0.9/a", "fps": 5},
        {"name": "yard", "source": "rtsp://10.0.0.8/a"},
    ],
    "telemetry": {"interval_s": 10, "samples_per_message": 6},
}


def test_a_site_changes_one_camera_and_leaves_the_rest() -> None:
    before = copy.deepcopy(TEMPLATE)
    found = render(
        TEMPLATE, [{"cameras": [{"name": "door", "source": "rtsp://10.1.0.9/a"}]}, {"telemetry": {"interval_s": 60}}]
    )
    assert found["cameras"] == [
        {"name": "door", "source": "rtsp://10.1.0.9/a", "fps": 5}, {"name": "yard", "source": "rtsp://10.0.0.8/a"},
    ]  # fmt: skip
    assert found["telemetry"] == {"interval_s": 60, "samples_per_message": 6}
    assert before == TEMPLATE, "nothing that goes in is changed"


def test_null_takes_a_field_away_and_a_new_camera_is_added() -> None:
    found = render(TEMPLATE, [{"telemetry": None, "cameras": [{"name": "gate", "source": "0"}]}])
    assert "telemetry" not in found
    assert [camera["name"] for camera in found["cameras"]] == ["door", "yard", "gate"]


def test_other_lists_are_replaced_whole() -> None:
    assert render({"hooks": [{"use": "a"}, {"use": "b"}]}, [{"hooks": [{"use": "c"}]}]) == {"hooks": [{"use": "c"}]}


@pytest.mark.parametrize(
    "wrong",
    [[], "text", {1: 2}, {"device": {"name": "x"}}, {"mqtt": {"url": "mqtt://elsewhere"}}, {"mqtt": {"insecure": True}},
     {"telemetry": {"interval_s": float("inf")}}],
)  # fmt: skip
def test_a_template_says_nothing_that_only_a_device_can(wrong: object) -> None:
    with pytest.raises(InputError):
        check_template(wrong)
    assert check_template({"mqtt": {"keepalive_s": 30}}) == {"mqtt": {"keepalive_s": 30}}


def test_a_device_as_wanted_has_no_drift_and_each_difference_is_told() -> None:
    on_device = {
        **TEMPLATE, "bundle": "/var/lib/edgesdk/bundles/person.edgebundle", "device": {"name": "door-1"},
        "mqtt": {"url": "mqtts://fleet:8883"}, "outbox": {"path": "/x"},
    }  # fmt: skip
    digest = configuration_digest(on_device)
    assert drift(TEMPLATE, digest, {}) == []
    assert drift(TEMPLATE, digest, {"telemetry.interval_s": 10}) == []
    for other in ({"telemetry": {"interval_s": 1}}, {"mqtt": {"url": "mqtts://x", "max_results_per_s": 1}}):
        assert configuration_digest({**on_device, **other}) != digest
    edited = configuration_digest({**on_device, "telemetry": {"interval_s": 1}})
    assert drift(TEMPLATE, edited, {}) == ["it is configured otherwise than the template wants it"]
    assert drift(TEMPLATE, digest, {"telemetry.interval_s": 5}) == [
        "telemetry.interval_s was set from afar to 5, wanted 10"
    ]
    assert drift(TEMPLATE, digest, {"pipeline.threads": 2}) == ["pipeline.threads was set from afar to 2"]
    assert drift(TEMPLATE, "", {}) == ["the device has not said how it is configured"]


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=6), inner, max_size=3),
    max_leaves=12,
)
_documents = st.dictionaries(st.text(min_size=1, max_size=6), _json, max_size=4)


@settings(deadline=None)
@given(_documents, _documents)
def test_what_is_laid_over_once_more_changes_nothing(below: dict[str, Any], above: dict[str, Any]) -> None:
    once = render(below, [above])
    assert render(below, [above, above]) == once


@settings(deadline=None)
@example({"0": {"\x7f": None, "\x85": None, "\u2028": "\ufeff"}})
@given(st.dictionaries(st.from_regex(r"[a-z0-9][a-z0-9.]{0,6}", fullmatch=True), _json, min_size=1, max_size=4))
def test_a_configuration_written_as_yaml_is_read_back_as_it_was(document: dict[str, Any]) -> None:
    try:
        text = dump_yaml(document)
    except InputError:
        return  # what our YAML refuses on purpose, such as control characters
    assert parse_yaml(text).data == document
    assert configuration_digest(parse_yaml(text).data) == configuration_digest(document)


@pytest.mark.parametrize(
    "tricky", ["1e-3", "010", "no", "true", "null", "2026-01-01", "1:30", "", " x", "a: b", "0x10", "~"]
)
def test_text_that_looks_like_something_else_stays_text(tricky: str) -> None:
    assert parse_yaml(dump_yaml({"source": tricky})).data == {"source": tricky}


def laid_over(given: dict[str, Any], fields: Any) -> dict[str, Any]:
    """What the agent makes of it."""
    document = copy.deepcopy(given)
    lay_over(document, fields)
    return document


def test_what_changed_since_a_device_was_given_its_file_is_laid_over_it() -> None:
    wanted = copy.deepcopy(TEMPLATE)
    wanted["telemetry"]["interval_s"] = 30
    wanted["cameras"][0]["fps"] = 2
    wanted["mqtt"] = {"max_results_per_s": 1}
    found = change(TEMPLATE, wanted)
    assert found == Change({"telemetry.interval_s": 30, "cameras[0].fps": 2, "mqtt.max_results_per_s": 1})
    assert laid_over(TEMPLATE, found.fields) == wanted
    assert change(TEMPLATE, TEMPLATE) == Change()


def test_what_cannot_be_laid_over_is_named() -> None:
    wanted = {
        "bundle": "other",
        "cameras": TEMPLATE["cameras"][:1],
        "hooks": {"a b": 1},
        "privacy": {"key": "${env:X}"},
    }
    found = change({**TEMPLATE, "hooks": {"a b": 2}}, wanted)
    assert found.fields == {}
    named = {reason.partition(":")[0].partition(" ")[0]: reason for reason in found.left}
    assert set(named) == {"bundle", "cameras", "hooks.a", "privacy.key", "telemetry"}
    assert "roll-out" in named["bundle"]
    assert "secret" in named["privacy.key"]
    many = change({}, {"events": {f"f{n}": n for n in range(300)}})
    assert many.fields == {}
    assert "300 fields" in many.left[0]


_names = st.from_regex(r"[a-z_][a-z0-9_]{0,4}", fullmatch=True)
_sections = st.dictionaries(
    _names,
    st.recursive(
        st.booleans() | st.integers(0, 9) | st.text("ab", max_size=3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=3),
        max_leaves=10,
    ),
    max_size=4,
)


@settings(deadline=None)
@given(_sections, _sections)
def test_whatever_changes_is_laid_over_or_named(below: dict[str, Any], above: dict[str, Any]) -> None:
    found = change(below, above)
    if not found.left:
        assert laid_over(below, found.fields) == above
    for path, value in found.fields.items():
        assert at_path(above, path) == (True, value)
