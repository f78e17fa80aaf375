from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk_targets.errors import InputError
from edgesdk_targets.topics import Channel, Node, Topic, every_device, matches, suggested_name

NAMES = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)


def test_topics_are_as_documented() -> None:
    node = Node("cam-1")
    assert str(Topic(node, Channel.BIRTH)) == "edgesdk/1/local.cam-1/up/birth"
    assert str(Topic(node, Channel.TELEMETRY)) == "edgesdk/1/local.cam-1/up/tele"
    assert str(Topic(Node("d", "acme"), Channel.REPLY, "42")) == "edgesdk/1/acme.d/up/reply/42"
    assert {c.value for c in Channel} == {
        *("up/birth", "up/state", "up/result", "up/tele", "up/event", "up/segment", "up/reported"),
        *("up/reply", "up/snap", "down/ack", "down/desired", "down/cmd"),
    }
    assert {c.value for c in Channel if c.retained} == {"up/birth", "up/state", "up/reported", "down/desired"}


@given(tenant=NAMES, device=NAMES, reply_id=NAMES, channel=st.sampled_from(Channel))
def test_what_is_built_is_parsed(tenant: str, device: str, reply_id: str, channel: Channel) -> None:
    topic = Topic(Node(device, tenant), channel, reply_id if channel is Channel.REPLY else "")
    assert Topic.parse(str(topic)) == topic
    assert matches(every_device(channel), str(topic))


@pytest.mark.parametrize("name", ["", "a.b", "a/b", "a+", "#", "a b", "é", "x" * 65, "a\n"])
def test_a_name_that_would_break_a_topic_is_refused(name: str) -> None:
    with pytest.raises(InputError) as wrong:
        Node(name)
    assert wrong.value.hint
    with pytest.raises(InputError):
        Node("ok", name)
    Node(suggested_name(name))


@given(st.text())
def test_any_text_has_a_name_near_it(text: str) -> None:
    Node(suggested_name(text))


@pytest.mark.parametrize(
    "text",
    [
        *("", "edgesdk", "edgesdk/2/a.b/up/birth", "edgesdk/1/ab/up/birth", "edgesdk/1/a.b/up/none"),
        *("edgesdk/1/a.b.c/up/birth", "edgesdk/1/a.b/up/birth/", "edgesdk/1/a.b/up/birth/x", "edgesdk/1/a.b/up/reply"),
        *("edgesdk/1/a.b/up/reply/", "edgesdk/1/a.b/up/reply/a/b", "/edgesdk/1/a.b/up/birth", "edgesdk/1/+/up/birth"),
    ],
)
def test_another_topic_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        Topic.parse(text)


def test_only_a_reply_has_an_id() -> None:
    with pytest.raises(InputError):
        Topic(Node("a"), Channel.STATE, "1")


@pytest.mark.parametrize(
    ("topic_filter", "topic", "covered"),
    [
        ("edgesdk/1/+/up/state", "edgesdk/1/a.b/up/state", True),
        ("edgesdk/1/+/up/state", "edgesdk/1/a.b/up/birth", False),
        ("edgesdk/1/+/up", "edgesdk/1/a.b/up/state", False),
        ("edgesdk/#", "edgesdk/1/a.b/up/state", True),
        ("edgesdk/#", "edgesdk", True),
        ("#", "a/b", True),
        ("#", "$SYS/x", False),
        ("+/x", "$SYS/x", False),
        ("a/#/b", "a/x/b", False),
        ("a/+", "a", False),
        ("a/b", "a/b/c", False),
    ],
)
def test_filters_cover_what_mqtt_says(topic_filter: str, topic: str, covered: bool) -> None:
    assert matches(topic_filter, topic) is covered
