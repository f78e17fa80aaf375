from __future__ import annotations

from edgesdk_agent.link.presence import Identity, Presence, Publication
from edgesdk_targets.messages import Birth, BundleName, Message, Reported, State, decode
from edgesdk_targets.topics import Node


def _presence() -> Presence:
    identity = Identity(Node("cam1"), bundle=BundleName(name="m", version="1.0.0"), config_hash="c")
    return Presence(identity, epoch="e", next_seq=lambda: 5, wall=lambda: 1_769_860_800.25)


def _read(publication: Publication) -> Message:
    return decode(publication.topic, publication.body.payload, publication.body.content_type)


def test_a_connection_opens_with_birth_then_what_is_installed_then_online() -> None:
    presence = _presence()
    opening = presence.opening(3)
    birth, reported, state = map(_read, opening)
    assert isinstance(birth, Birth)
    assert isinstance(reported, Reported)
    assert isinstance(state, State)
    assert all(p.retain for p in opening)
    assert (birth.boot_id, birth.session) == (state.boot_id, state.session) == (presence.boot_id, 3)
    assert state.state == "online"
    assert (birth.epoch, birth.seq) == ("e", 5)
    assert birth.bundle.name == reported.active.name == "m"
    assert {"result/1", "tele/1"} <= set(birth.schemas)


def test_the_will_and_the_goodbye_speak_of_their_own_connection() -> None:
    presence = _presence()
    will, goodbye = _read(presence.will(2)), _read(presence.closing(2))
    assert isinstance(will, State)
    assert isinstance(goodbye, State)
    assert will.state == goodbye.state == "offline"
    assert (will.session, will.boot_id) == (2, presence.boot_id)
    assert will.reason != goodbye.reason


def test_each_start_has_a_boot_id_of_its_own() -> None:
    assert _presence().boot_id != _presence().boot_id


def test_a_change_is_said_next_time() -> None:
    presence = _presence()
    presence.change(bundle=BundleName(name="n"), previous_bundle=BundleName(name="m"))
    _, reported, _ = map(_read, presence.opening(1))
    assert isinstance(reported, Reported)
    assert (reported.active.name, reported.previous.name) == ("n", "m")
