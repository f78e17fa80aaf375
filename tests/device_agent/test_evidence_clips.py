"""Clips of events: cut around the frame's own time, growing while the event goes on, sent by rules, and ended by no hang."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edgesdk_agent.config.clips import UploadSection
from edgesdk_agent.config.events import EventsSection
from edgesdk_agent.config.root import AgentConfig
from edgesdk_agent.events.event import Phase, SceneEvent
from edgesdk_agent.evidence import clips as clips_module
from edgesdk_agent.evidence.clip_camera import ClipRequest
from edgesdk_agent.evidence.clips import Clips
from edgesdk_agent.evidence.encoded_stream import Codec, Packet
from edgesdk_agent.evidence.event_pictures import EventPictures
from edgesdk_agent.evidence.send_rules import SendRules
from edgesdk_agent.evidence.written_bytes import WrittenBytes
from edgesdk_targets.errors import InputError

PATIENCE_S = 10.0
RULES = {
    "zones": [{"name": "door", "polygon": [(0, 0), (1, 0), (1, 1)]}],
    "rules": [{"name": "seen", "kind": "object"}, {"name": "full", "kind": "occupancy", "zone": "door"}],
}


class Stream:
    """A camera's stream in a test's hands: 10 packets a second of its clock, a key frame each half second."""

    codec: Codec = "h264"
    parameter_sets = b""

    def __init__(self) -> None:
        self.now = 100.0
        self._until = 100.0
        self._step = 0
        self._is_idle = False
        self._moved = threading.Condition()
        self.hangs = threading.Event()

    def play(self, until: float) -> None:
        """Let the time pass, and wait until all of it was read."""
        with self._moved:
            self._until, self._is_idle = until, False
            self._moved.notify_all()
            # Who asks for the next packet has done with the one before.
            assert self._moved.wait_for(lambda: self._is_idle and self.now >= until - 0.1001, PATIENCE_S)

    def read(self) -> Packet | None:
        with self._moved:
            while self.now + 0.1 > self._until + 1e-6:
                self._is_idle = True
                self._moved.notify_all()
                if self.hangs.is_set():
                    self._moved.wait(60)
                elif not self._moved.wait(0.05) and self._until < 0:
                    return None
            self.now = round(self.now + 0.1, 3)
            self._step += 1
            key = self._step % 5 == 1
            self._moved.notify_all()
            # What it shows is its time.
            return Packet(b"\x00\x00\x00\x01\x65" + f"<{self.now:.1f}>".encode(), self.now, key, key)

    def close(self) -> None:
        """A test ends by itself."""

    def end(self) -> None:
        with self._moved:
            self._until, self.now = -1.0, -1.0
            self.hangs.clear()
            self._moved.notify_all()


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stream]:
    one = Stream()
    monkeypatch.setattr(clips_module, "OpenCvPackets", lambda *_: one)
    # A hang that is left behind is waited for by a close; here by a moment.
    monkeypatch.setattr(clips_module, "READ_TIMEOUT_S", -0.3)
    yield one
    one.end()


def config(folder: Path, **clips: Any) -> AgentConfig:
    section = {
        "enabled": True,
        "pre_s": 2,
        "post_s": 1,
        "longest_s": 6,
        "segment_s": 0.5,
        "ring_folder": folder / "ring",
    }
    return AgentConfig.model_validate({
        "bundle": "x.edgebundle",
        "cameras": [{"name": "gate", "source": "rtsp://camera/main"}],
        "pictures": {"enabled": True, "folder": folder / "kept"},
        "clips": {**section, **clips},
        "events": RULES,
    })  # fmt: skip


class Made:
    """Clips on a stream, and what came of them."""

    def __init__(self, folder: Path, stream: Stream, **section: Any) -> None:
        self.over: list[ClipRequest] = []
        self.written = WrittenBytes()
        whole = config(folder, **section)
        self.clips = Clips(whole, on_clip=self.over.append, written=self.written, clock=lambda: stream.now)
        self.events = EventPictures(None, self.clips, SendRules(whole.clips.upload, whole.events))
        self.clips.start()
        stream.play(104.0)

    def told(self, phase: Phase, at: float, **more: Any) -> SceneEvent:
        return self.events(event(phase, **more), at, snapshot=False, clip=True)


def event(phase: Phase, *, rule: str = "seen", kind: str = "object", **after: Any) -> SceneEvent:
    return SceneEvent(
        id="e-1", rule=rule, kind=kind, phase=phase, severity="info", camera="gate", frame=1, started_at=0.0,
        occurred_at=0.0, duration_s=0.0, before=None, after=after,
    )  # fmt: skip


def shown(request: ClipRequest) -> tuple[float, float]:
    """Return the first and the last moment that a clip shows."""
    assert request.done.wait(PATIENCE_S)
    assert request.path is not None, request.problem
    moments = [float(one) for one in re.findall(rb"<(\d+\.\d)>", request.path.read_bytes())]
    return moments[0], moments[-1]


def test_a_clip_is_cut_around_the_frames_own_time_and_named_in_the_event(tmp_path: Path, stream: Stream) -> None:
    made = Made(tmp_path, stream)
    told = made.told("once", 103.0)
    stream.play(106.0)
    first, last = shown(made.over[0])
    assert told.clip == made.over[0].id
    assert 100.0 < first <= 101.0, "two seconds before the frame, which was a second ago when it was told"
    assert 104.0 <= last < 105.0
    assert made.over[0].complete
    made.clips.close()


def test_a_clip_grows_while_its_event_goes_on(tmp_path: Path, stream: Stream) -> None:
    made = Made(tmp_path, stream)
    new = made.told("new", 104.0)
    stream.play(106.5)
    assert made.over == [], "an event that is over at once would be written by now"
    assert made.told("update", 106.0).clip == made.told("end", 106.5).clip == new.clip
    stream.play(108.0)
    first, last = shown(made.over[0])
    assert first <= 102.0
    assert 107.5 <= last < 108.1, "a second after its end"
    made.clips.close()


def test_an_event_that_does_not_end_has_a_clip_of_the_longest_length(tmp_path: Path, stream: Stream) -> None:
    made = Made(tmp_path, stream)
    made.told("new", 104.0)
    stream.play(112.0)
    first, last = shown(made.over[0])
    assert first <= 102.0
    assert 108.0 <= last < 108.6
    made.told("end", 112.0)
    assert made.clips.counts()["clips"] == 1
    made.clips.close()


def test_a_stop_writes_what_is_open_and_waits_for_no_stream_that_hangs(tmp_path: Path, stream: Stream) -> None:
    made = Made(tmp_path, stream)
    complete = made.clips.ask("gate", at=102.5)
    made.told("new", 104.0)
    stream.hangs.set()
    # On a thread of its own: what hangs fails here, and not the whole suite.
    closing = threading.Thread(target=made.clips.close, daemon=True)
    closing.start()
    closing.join(PATIENCE_S)
    assert not closing.is_alive()
    assert {one.complete for one in made.over} == {True, False}
    assert complete.complete
    assert shown(complete)[1] >= 103.5
    assert shown(made.over[1])[1] >= 103.9, "what was received is there"
    assert not (tmp_path / "ring").exists()
    with pytest.raises(InputError):
        made.clips.ask("gate")


def test_a_time_is_asked_for_within_bounds(tmp_path: Path, stream: Stream) -> None:
    made = Made(tmp_path, stream)
    for since, until, said in (
        (90.0, 95.0, "ended 9 s ago"),
        (104.0, 111.0, "too long"),
        (110.0, 111.0, "further ahead"),
    ):
        with pytest.raises(InputError, match=said):
            made.clips.ask_span("gate", since, until)
    ahead = made.clips.ask_span("gate", 103.0, 105.0)
    stream.play(106.0)
    assert shown(ahead)[1] >= 105.0
    made.clips.close()


def test_what_is_written_is_counted_by_day(tmp_path: Path, stream: Stream) -> None:
    made = Made(tmp_path, stream)
    made.clips.close()
    counts = made.written.counts()
    ring = made.clips.counts()["written_bytes"]
    assert ring > 0
    assert ring in (counts["disk_bytes"], counts["memory_bytes"])
    day = [0.0]
    written = WrittenBytes(wall=lambda: day[0])
    written.add(5)
    written.add(7, in_memory=True)
    day[0] = 86_400.0
    written.add(1)
    assert written.counts() == {"disk_bytes": 6, "disk_bytes_today": 1, "memory_bytes": 7, "memory_bytes_today": 0}


@pytest.mark.parametrize(
    ("upload", "sent"),
    [
        ({}, (True, True, True)),
        ({"every_clip": False}, (False, False, False)),
        ({"send": [{"rules": ["seen"]}]}, (True, True, False)),
        ({"send": [{"labels": ["car"]}]}, (True, False, False)),
        ({"send": [{"zones": ["door"]}]}, (False, True, True)),
        ({"send": [{"kinds": ["occupancy"]}, {"labels": ["car"]}]}, (True, False, True)),
        ({"send": [{"cameras": ["gate"], "zones": ["door"], "labels": ["dog"]}]}, (False, True, False)),
        ({"send": [{"cameras": ["other"]}]}, (False, False, False)),
    ],
)
def test_which_clips_go_by_themselves(upload: dict[str, Any], sent: tuple[bool, ...]) -> None:
    section = UploadSection.model_validate({"url": "https://clips.example/", **upload})
    rules = SendRules(section, EventsSection.model_validate(RULES))
    seen = (
        event("new", label="car", zones=[]),
        event("new", label="dog", zones=["door"]),
        event("new", rule="full", kind="occupancy", zone="door", count=3),
    )
    assert tuple(rules.sends_clip(one) for one in seen) == sent
    assert not any(rules.sends_picture(one) for one in seen), "pictures only where a rule says so"
    nowhere = SendRules(section.model_copy(update={"url": None}), EventsSection.model_validate(RULES))
    assert not any(nowhere.sends_clip(one) for one in seen)


def test_rules_that_would_never_send_anything_are_refused() -> None:
    for send, said in (({"rules": ["sen"]}, "none of the rules"), ({"zones": ["dor"]}, "none of the zones")):
        section = UploadSection.model_validate({"url": "https://clips.example/", "send": [send]})
        with pytest.raises(InputError, match=said):
            SendRules(section, EventsSection.model_validate(RULES))
    with pytest.raises(ValidationError, match="give one of them"):
        UploadSection.model_validate({"every_clip": True, "send": [{}]})


def test_an_object_that_comes_where_a_rule_looks_later_is_sent_too(tmp_path: Path, stream: Stream) -> None:
    made = Made(tmp_path, stream, upload={"url": "https://clips.example/", "send": [{"zones": ["door"]}]})
    made.told("new", 104.0, zones=[])
    clip = made.clips.open_clip(made.told("update", 104.0, zones=["door"]).clip)
    assert clip is not None
    assert clip.send
    made.told("end", 104.0, zones=[])
    assert clip.send
    made.clips.close()


@pytest.mark.parametrize(
    "hidden", [{"masks": [{"camera": "gate", "polygon": [(0, 0), (1, 0), (1, 1)]}]}, {"blur": ["face"]}]
)
def test_clips_are_refused_where_something_is_to_be_hidden(tmp_path: Path, hidden: dict[str, Any]) -> None:
    for allowed in (False, True):
        whole = config(tmp_path, unmasked_clips=allowed).model_dump(exclude_unset=True)
        whole["privacy"] = hidden
        changed = AgentConfig.model_validate(whole)
        if allowed:
            Clips(changed, on_clip=lambda _: None)
        else:
            with pytest.raises(InputError, match="nothing in them can be masked") as refused:
                Clips(changed, on_clip=lambda _: None)
            assert "unmasked_clips" in refused.value.hint
