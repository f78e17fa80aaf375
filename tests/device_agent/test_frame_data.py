"""Frames that are not worth an inference: each rule with what it must see and what it must not, and the accounts."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from edgesdk_agent.frame import Frame
from edgesdk_agent.frame_data.frame_gate import FrameGate
from edgesdk_agent.frame_data.frame_rules import FrameRules
from edgesdk_agent.frame_data.jpeg_budget import JpegBudget
from edgesdk_agent.frame_data.saving import FrameData
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import Array
from edgesdk_testkit.pipelines import ScriptedCamera, Sink, assert_accounts, make
from edgesdk_testkit.slots import Script

RANDOM = np.random.default_rng(5)
SIZE = (1080, 1920)
ALL = FrameRules(drop_corrupt=True, drop_black=True, drop_overexposed=True, drop_blurred=True, deduplicate="motion")


def scene(seed: int = 1) -> Array:
    """A hall with things in it, as a sensor sees it: edges, texture and noise."""
    random = np.random.default_rng(seed)
    picture = np.full((*SIZE, 3), 110, np.uint8)
    for _ in range(60):
        x, y = int(random.integers(0, SIZE[1])), int(random.integers(0, SIZE[0]))
        w, h = (int(v) for v in random.integers(40, 400, 2))
        cv2.rectangle(picture, (x, y), (x + w, y + h), [int(v) for v in random.integers(20, 235, 3)], cv2.FILLED)
    return noisy(picture)


def noisy(picture: Array) -> Array:
    return np.clip(picture + RANDOM.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)


def asked(gate: FrameGate, picture: Array, at: float = 0.0) -> str | None:
    return gate(Frame("door", 0, at, at, picture))


SCENE = scene()


def smeared(picture: Array) -> Array:
    torn = picture.copy()
    torn[700:] = torn[700]
    return torn


def grey_below(picture: Array) -> Array:
    torn = picture.copy()
    torn[800:] = 128
    return torn


BAD: dict[str, list[Callable[[], Array]]] = {
    "corrupt": [lambda: smeared(SCENE), lambda: grey_below(SCENE)],
    "black": [lambda: np.zeros((*SIZE, 3), np.uint8), lambda: noisy(np.full((*SIZE, 3), 12, np.uint8))],
    "overexposed": [lambda: np.where(np.arange(SIZE[1])[None, :, None] < 1400, np.uint8(255), SCENE)],
    "blurred": [lambda: cv2.GaussianBlur(SCENE, (0, 0), 5)],
}


@pytest.mark.parametrize(("cause", "picture"), [(cause, make()) for cause, makes in BAD.items() for make in makes])
def test_a_bad_picture_is_left_out_with_its_cause_and_a_good_one_is_not(cause: str, picture: Array) -> None:
    gate = FrameGate(ALL)
    assert asked(gate, picture) == cause
    assert asked(gate, SCENE) is None
    counts = gate.counts()
    assert counts["seen"] == 2
    assert counts[cause] == 1
    assert asked(FrameGate(FrameRules()), picture) is None, "every rule is off by default"


@pytest.mark.parametrize(
    "picture",
    [
        pytest.param(np.vstack([SCENE[:900], np.zeros((180, SIZE[1], 3), np.uint8)]), id="a film with a black bar"),
        pytest.param(cv2.convertScaleAbs(SCENE, alpha=0.3), id="dusk"),
        pytest.param(noisy(np.full((*SIZE, 3), 128, np.uint8)), id="a bare wall"),
        pytest.param(scene(2)[:64, :64].copy(), id="as small as a thumb-nail"),
    ],
)
def test_a_picture_that_is_only_unusual_goes_through(picture: Array) -> None:
    assert asked(FrameGate(ALL), picture) is None


def test_what_stands_still_is_left_out_until_something_small_moves_or_the_silence_is_too_long() -> None:
    gate = FrameGate(FrameRules(deduplicate="motion", longest_silence_s=2.0))
    said = [asked(gate, noisy(SCENE), at) for at in (0.0, 0.5, 1.0)]
    assert said == [None, "duplicate", "duplicate"]
    walker = SCENE.copy()
    walker[500:620, 900:950] = 240
    assert asked(gate, walker, 1.5) is None
    assert [asked(gate, noisy(walker), at) for at in (2.0, 3.4, 3.6)] == ["duplicate", "duplicate", None]


def test_what_changes_slowly_goes_through_in_the_end() -> None:
    gate = FrameGate(FrameRules(deduplicate="motion", longest_silence_s=1e6))
    said = [asked(gate, cv2.convertScaleAbs(SCENE, alpha=1 - 0.01 * n), n) for n in range(40)]
    assert 3 <= said.count(None) <= 20


def test_a_hash_sees_another_scene_and_not_another_light() -> None:
    gate = FrameGate(FrameRules(deduplicate="hash", hash_distance=4, longest_silence_s=10))
    brighter = cv2.convertScaleAbs(SCENE, alpha=1.0, beta=15)
    assert [asked(gate, one, 1.0) for one in (SCENE, noisy(SCENE), brighter, scene(3))] == [
        None, "duplicate", "duplicate", None,
    ]  # fmt: skip


def test_looking_at_frames_allocates_nothing_of_frame_size() -> None:
    gate = FrameGate(ALL)
    frames = [Frame("door", n, n * 0.1, n * 0.1, noisy(SCENE)) for n in range(3)]
    for frame in frames:
        gate(frame)
    tracemalloc.start()
    for frame in frames * 5:
        gate(frame)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 << 10


def test_every_frame_is_accounted_for_and_the_saving_is_told() -> None:
    gate = FrameGate(FrameRules(deduplicate="motion", longest_silence_s=1e6))

    def stands_still(frame: Frame) -> None:
        frame.image[:] = 90

    sink = Sink()
    stages = {"camera": [stands_still, gate]}
    with make(ScriptedCamera(40), Script(), sink, "every_frame", picture_stages=stages) as running:
        running.wait()
        stats = running.stats()
    assert_accounts(stats)
    assert (stats.captured, stats.dropped, sink.seqs) == (40, {"duplicate": 39}, [0])
    told = FrameData({"camera": gate}).summary(0.010)
    assert (told["seen"], told["left_out"], told["saved_part"]) == (40, 39, 0.975)
    assert told["saved_s"] == pytest.approx(0.39 - told["cost_us"] / 1e6, abs=0.001)
    assert FrameData({}).summary(None) == {}


@pytest.mark.parametrize("max_bytes", [6_000, 40_000, 200_000])
def test_a_picture_is_compressed_to_its_budget_by_quality_and_then_by_size(max_bytes: int) -> None:
    budget = JpegBudget(max_bytes)
    jpeg = budget.compress(SCENE)
    assert max_bytes // 4 < len(jpeg.data) <= max_bytes
    read = cv2.imdecode(np.frombuffer(jpeg.data, np.uint8), cv2.IMREAD_COLOR)
    assert read is not None
    assert read.shape[:2] == (jpeg.height, jpeg.width)
    small = cv2.resize(SCENE, (jpeg.width, jpeg.height), interpolation=cv2.INTER_AREA)
    assert np.abs(read.astype(int) - small).mean() < 12
    assert budget.counts()["scaled"] == (jpeg.width < SIZE[1])
    assert 1 <= budget.counts()["encodings"] <= 60


def test_a_better_quality_would_not_fit() -> None:
    picture = cv2.resize(SCENE, (640, 360), interpolation=cv2.INTER_AREA)
    jpeg = JpegBudget(30_000).compress(picture)
    assert jpeg.width == 640
    done, larger = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, jpeg.quality + 3])
    assert done
    assert jpeg.quality == 92 or len(larger) > 30_000


def test_what_cannot_be_a_picture_is_refused() -> None:
    with pytest.raises(InputError, match="too few"):
        JpegBudget(100)
    with pytest.raises(InputError, match="no picture"):
        JpegBudget(4096).compress(np.zeros((0, 0, 3), np.uint8))


def test_other_numbers_hold_from_the_next_frame_on_and_the_rules_stay() -> None:
    gate = FrameGate(FrameRules(deduplicate="motion", longest_silence_s=1.0))
    assert [asked(gate, SCENE, at) for at in (0.0, 0.5, 1.0)] == [None, "duplicate", None]
    gate.take_numbers(FrameRules(deduplicate="off", drop_black=True, longest_silence_s=9.0))
    assert [asked(gate, SCENE, at) for at in (1.5, 9.5, 10.5)] == ["duplicate", "duplicate", None]
    assert asked(gate, np.zeros((*SIZE, 3), np.uint8), 10.6) is None, (
        "whether black ones are dropped is settled at the start"
    )
    # What moved is judged by the new part: a tenth of the picture is not enough any more.
    changed = SCENE.copy()
    changed[:108] = 255 - changed[:108]
    assert asked(gate, SCENE, 11.0) is None
    assert asked(gate, changed, 11.1) is None
    gate.take_numbers(FrameRules(deduplicate="motion", motion_part=0.5, longest_silence_s=9.0))
    assert asked(gate, SCENE, 11.2) is None, "what it remembered was remembered by other numbers"
    assert asked(gate, changed, 11.3) == "duplicate"
