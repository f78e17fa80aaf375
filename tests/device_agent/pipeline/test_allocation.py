"""Nothing of frame size is allocated or copied once a pipeline is warm."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest

from edgesdk_agent.cameras.opencv import OpenCvCamera
from edgesdk_agent.cameras.paced import PacedCamera
from edgesdk_agent.cameras.synthetic import SyntheticCamera
from edgesdk_agent.frame import FrameResult
from edgesdk_agent.pipeline.pipeline import Pipeline
from edgesdk_agent.pipeline.policy import POLICIES, Policy, slots_wanted
from edgesdk_targets.model import load_model
from edgesdk_targets.session import SessionOptions
from edgesdk_targets.target import Runtime
from edgesdk_targets.tensor import Array
from edgesdk_testkit.pipelines import make
from edgesdk_testkit.slots import PATIENCE_S, Script
from edgesdk_testkit.tiny_bundles import write_tiny_bundle
from edgesdk_testkit.tiny_models import WIDE_PIXELS, WIDE_SIDE

WIDTH, HEIGHT, WARM, FRAMES = 320, 240, 40, 100
FRAME_BYTES, INPUT_BYTES = WIDTH * HEIGHT * 3, WIDE_SIDE * WIDE_SIDE * 3
RUNTIMES = {
    "openvino": ("x86-cpu", Runtime.OPENVINO),
    "ai_edge_litert": ("rpi5", Runtime.LITERT),
    "onnxruntime": ("generic-onnx", Runtime.ONNXRUNTIME),
}


class Peak:
    """The most memory that Python and numpy held above what they held when the pipeline was warm, bytes."""

    def __init__(self) -> None:
        self.bytes: list[int] = []

    def __call__(self, result: FrameResult) -> None:
        if result.seq >= WARM and not tracemalloc.is_tracing():
            tracemalloc.start()
        elif tracemalloc.is_tracing():
            self.bytes.append(tracemalloc.get_traced_memory()[1])

    def of(self, run: Callable[[Peak], None]) -> int:
        try:
            run(self)
        finally:
            tracemalloc.stop()
        assert len(self.bytes) > 5
        return max(self.bytes)


class WastefulCamera(SyntheticCamera):
    """Ignores the array it is offered: a negative control."""

    def read(self, out: Array | None) -> Array | None:
        return super().read(None)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("keep_image", [False, True])
@pytest.mark.parametrize(("camera", "allocates"), [(SyntheticCamera, False), (WastefulCamera, True)])
def test_the_pipeline_allocates_nothing_of_frame_size(
    camera: type[SyntheticCamera], allocates: bool, keep_image: bool, policy: Policy
) -> None:
    def run(peak: Peak) -> None:
        source = PacedCamera(camera(width=WIDTH, height=HEIGHT, frames=FRAMES), 500)
        with make(source, Script(infer_s=0.001), peak, policy, keep_image=keep_image) as pipeline:
            assert pipeline.wait(PATIENCE_S)

    assert (Peak().of(run) > FRAME_BYTES) == allocates


class WastefulFilm(OpenCvCamera):
    """Decodes into an array of its own: a negative control."""

    def read(self, out: Array | None) -> Array | None:
        return super().read(None)


@pytest.mark.parametrize(("camera", "allocates"), [(OpenCvCamera, False), (WastefulFilm, True)])
def test_a_decoder_writes_into_the_pipelines_pictures(
    tmp_path: Path, camera: type[OpenCvCamera], allocates: bool
) -> None:
    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (WIDTH, HEIGHT))
    stamps = SyntheticCamera(width=WIDTH, height=HEIGHT, frames=FRAMES)
    while (picture := stamps.read(None)) is not None:
        writer.write(picture)
    writer.release()

    def run(peak: Peak) -> None:
        film = camera(lambda: cv2.VideoCapture(str(path)), description="film", live=False)
        with make(PacedCamera(film, 500), Script(infer_s=0.001), peak, "every_frame") as pipeline:
            assert pipeline.wait(PATIENCE_S)

    assert (Peak().of(run) > FRAME_BYTES) == allocates


class CopyingSlot:
    """Copies the picture before it is prepared: a negative control."""

    def __init__(self, slot: Any) -> None:
        self._slot = slot
        self.infer = slot.infer

    def prepare(self, image: Array) -> None:
        self._slot.prepare(image.copy())


class ConvertingSlot:
    """Copies what was prepared, as a binding that hands its input over by value would: a negative control."""

    def __init__(self, slot: Any) -> None:
        self._slot = slot
        self.prepare = slot.prepare

    def infer(self, camera: str, seq: int) -> Any:
        held = self._slot._image.copy()
        result = self._slot.infer(camera, seq)
        del held
        return result


@pytest.mark.parametrize("lanes", [1, 2])
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_real_model_with_folded_pixels_allocates_less_than_its_input(
    tmp_path: Path, runtime: str, lanes: int
) -> None:
    pytest.importorskip(runtime)
    bundle = write_tiny_bundle(tmp_path / "pixels", WIDE_PIXELS, variants=(RUNTIMES[runtime],))
    wrap: dict[str, Callable[[Any], Any]] = {"as it is": lambda slot: slot}
    if lanes == 1:
        wrap |= {"a copied picture": CopyingSlot, "a copied input": ConvertingSlot}
    with load_model(bundle, options=SessionOptions(threads=1, streams=lanes)) as model:
        assert model.lanes == lanes
        peaks = {}
        for name, made in wrap.items():

            def run(peak: Peak, made: Callable[[Any], Any] = made) -> None:
                slots = [made(slot) for slot in model.slots(slots_wanted(("every_frame",), lanes))]
                camera = PacedCamera(SyntheticCamera(width=WIDTH, height=HEIGHT, frames=FRAMES), 500)
                with Pipeline(slots, camera, on_result=peak, policy="every_frame", lanes=lanes) as pipeline:
                    assert pipeline.wait(PATIENCE_S)

            peaks[name] = Peak().of(run)
    assert peaks.pop("as it is") < INPUT_BYTES
    assert all(peak >= INPUT_BYTES for peak in peaks.values()), peaks
