from __future__ import annotations

import logging
import tracemalloc

import numpy as np
import pytest
from pydantic import ValidationError

from edgesdk_targets.state import StateSpec, StreamState
from edgesdk_targets.tensor import Array, TensorSpec

INPUTS = (
    TensorSpec(name="image", shape=(1, 2)),
    TensorSpec(name="h", shape=(1, 3)),
    TensorSpec(name="c", shape=(1,), dtype="int64"),
)
BOTH = ("camera_change", "gap")


def make(h: tuple[str, ...] = BOTH, c: tuple[str, ...] = BOTH) -> StreamState:
    specs = (
        StateSpec.model_validate({"input": "h", "output": "h_out", "reset": h}),
        StateSpec.model_validate({"input": "c", "output": "c_out", "reset": c}),
    )
    return StreamState(specs, INPUTS)


class Counter:
    """A model that counts the frames it has seen, in its state."""

    def __init__(self, state: StreamState) -> None:
        self.state = state
        self.inputs: dict[str, Array] = {spec.name: spec.empty() for spec in INPUTS}
        self.outputs: dict[str, Array] = {"h_out": np.zeros((1, 3), np.float32), "c_out": np.zeros(1, np.int64)}

    def see(self, camera: str, seq: int) -> tuple[int, int]:
        self.state.feed(camera, seq, self.inputs)
        self.outputs["h_out"][...] = self.inputs["h"] + 1
        self.outputs["c_out"][...] = self.inputs["c"] + 1
        self.state.keep(camera, self.outputs)
        return int(self.outputs["h_out"][0, 0]), int(self.outputs["c_out"][0])


def test_the_state_goes_from_frame_to_frame() -> None:
    model = Counter(make())
    assert [model.see("a", seq) for seq in range(3)] == [(1, 1), (2, 2), (3, 3)]


def test_a_stream_may_begin_at_any_number() -> None:
    model = Counter(make())
    assert [model.see("a", seq) for seq in (17, 18)] == [(1, 1), (2, 2)]


def test_each_camera_has_its_own() -> None:
    model = Counter(make())
    assert [model.see("a", 0), model.see("b", 0), model.see("a", 1), model.see("b", 1)] == [
        (1, 1),
        (1, 1),
        (2, 2),
        (2, 2),
    ]


@pytest.mark.parametrize("seq", [7, 5, 0, 4])
def test_a_gap_starts_again(seq: int) -> None:
    """Frames lost, the same frame again, or a camera that began anew."""
    model = Counter(make())
    for number in (3, 4, 5):
        model.see("a", number)
    assert model.see("a", seq) == (1, 1)
    assert model.see("a", seq + 1) == (2, 2)


def test_one_cameras_gap_is_not_anothers() -> None:
    model = Counter(make())
    for camera in "ab":
        model.see(camera, 0)
    model.see("a", 5)
    assert model.see("b", 1) == (2, 2)


def test_only_what_declares_it_starts_again_at_a_gap() -> None:
    model = Counter(make(h=BOTH, c=("camera_change",)))
    model.see("a", 0)
    assert model.see("a", 9) == (1, 2)


def test_a_state_that_begins_anew_with_each_frame_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    model = Counter(make())
    with caplog.at_level(logging.WARNING):
        for number in range(10):
            model.see("door", 3 * number)
        assert caplog.messages == [], "nine times it began anew"
        for number in range(10, 40):
            model.see("door", 3 * number)
    (told,) = caplog.messages
    assert told.startswith("door: the model forgets what it saw before each frame: 20 frames were missing")


def test_gaps_between_frames_that_follow_each_other_are_not_told(caplog: pytest.LogCaptureFixture) -> None:
    model = Counter(make())
    for number in range(40):
        model.see("door", 3 * number)
        model.see("door", 3 * number + 1)
    model.see("gate", 0)
    model.see("gate", 9)
    assert caplog.messages == []


def test_a_state_that_no_gap_touches_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    model = Counter(make(h=("camera_change",), c=("camera_change",)))
    assert [model.see("door", 2 * number) for number in range(40)][-1] == (40, 40)
    assert caplog.messages == []


def test_without_camera_change_all_cameras_share_one_state() -> None:
    model = Counter(make(h=("gap",), c=("gap",)))
    seen = [model.see("a", 0), model.see("b", 40), model.see("a", 1), model.see("b", 41)]
    assert seen == [(1, 1), (2, 2), (3, 3), (4, 4)]
    assert model.see("b", 43) == (1, 1)


def test_what_the_decoder_remembers_goes_with_the_stream() -> None:
    state = make()
    model = Counter(state)
    model.see("a", 0)
    state.memory("a")["last"] = 3
    assert state.memory("b") == {}
    model.see("a", 1)
    assert state.memory("a") == {"last": 3}
    model.see("a", 5)
    assert state.memory("a") == {}


@pytest.mark.parametrize("camera", ["a", None])
def test_forgetting(camera: str | None) -> None:
    state = make()
    model = Counter(state)
    for name in "ab":
        model.see(name, 0)
        state.memory(name)["last"] = 1
    state.reset(camera)
    assert model.see("a", 1) == (1, 1)
    assert model.see("b", 1) == ((1, 1) if camera is None else (2, 2))
    state.reset("never seen")


def test_nothing_is_allocated_for_a_known_camera() -> None:
    big = (TensorSpec(name="h", shape=(1, 100_000)),)
    state = StreamState((StateSpec(input="h", output="h_out"),), big)
    inputs, outputs = {"h": big[0].empty()}, {"h_out": np.ones((1, 100_000), np.float32)}
    state.feed("a", 0, inputs)
    state.keep("a", outputs)
    tracemalloc.start()
    try:
        for seq in range(1, 50):
            state.feed("a", seq, inputs)
            state.keep("a", outputs)
        assert tracemalloc.get_traced_memory()[1] < 20_000
    finally:
        tracemalloc.stop()
    assert (inputs["h"] == 1).all()


@pytest.mark.parametrize("values", [{"reset": ("sometimes",)}, {"init": "ones"}, {"input": None}, {"more": 1}])
def test_what_cannot_be_declared(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        StateSpec.model_validate({"input": "h", "output": "h_out", **values})
