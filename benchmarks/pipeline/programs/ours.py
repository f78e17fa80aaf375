"""Ours, both ways: embedded in a program of one's own, and the agent with a witness beside its cameras.

The witness reads the stamp that the camera drew into each picture, right where the agent takes it over, and notes it with
the frame's number: the receiver then knows of each of the agent's messages how old it really is, and what the agent says it
dropped is compared with what the camera sent. A slow model is the real one on a `SlowDevice`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.programs.detections import Array
    from pipeline.programs.finish import Finish
    from pipeline.programs.slow_device import SlowDevice


def embedded(options: argparse.Namespace, finish: Finish) -> None:
    """Run `edgesdk.Pipeline` as in docs/embedding.md, with a callback that publishes."""
    import cv2

    import edgesdk
    from edgesdk_targets.tuning.setting import Setting

    cv2.setNumThreads(1)
    live = options.live
    with edgesdk.load(options.bundle, variant=options.variant or None, hint="age" if live else "throughput") as model:
        _slow_down(type(model), options.stage_ms)

        def on_result(frame: Any) -> None:
            found = frame.result
            seen = list(zip(found.class_ids.tolist(), found.scores.tolist(), found.boxes.tolist(), strict=True))
            finish(seen, finish.stamp_of(frame.image) if live else None, frame.seq)

        finish.begin()
        with edgesdk.Pipeline(model, options.source, on_result=on_result, keep_image=live) as pipeline:
            while not pipeline.wait(0.1):
                if finish.over:
                    break
        sums = {**pipeline.stats().to_json(), "settings": [Setting.of(model).to_json()]}
    Path(options.notes).write_text(json.dumps({"summary": sums}), "utf-8")


def agent(options: argparse.Namespace) -> None:
    """Run the agent's own command line, given after `--`, with the witness at its cameras.

    What is not asked for is not imported either: the agent starts as a user's does.
    """
    from edgesdk_agent.main import main

    seen: dict[str, list[tuple[int, float | None]]] = {}
    if options.notes:
        _watch_cameras(seen)
    if options.stage_ms:
        from edgesdk_targets.model import Model

        _slow_down(Model, options.stage_ms)
    try:
        main(options.rest)
    finally:
        if options.notes:
            Path(options.notes).write_text(json.dumps({"cameras": list(seen.values())}), "utf-8")


def _watch_cameras(seen: dict[str, list[tuple[int, float | None]]]) -> None:
    import edgesdk_agent.early_cameras as wiring

    open_camera = wiring.open_camera

    def witnessed(source: str, *arguments: Any, **keywords: Any) -> Any:
        notes = seen.setdefault(f"{len(seen)}:{source}", [])
        return _Witness(open_camera(source, *arguments, **keywords), notes)

    wiring.open_camera = witnessed


class _Witness:
    """A camera, and a note of each picture's stamp by the number that the pipeline gives it."""

    def __init__(self, camera: Any, notes: list[tuple[int, float | None]]) -> None:
        self._camera = camera
        self._notes = notes
        self._seq = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._camera, name)

    def read(self, into: Array | None = None) -> Array | None:
        from edgesdk_agent.cameras.camera import FrameLost
        from edgesdk_testkit.pixel_stamp import StampUnreadable, read_stamp

        try:
            image: Array | None = self._camera.read(into)
        except FrameLost:
            self._seq += 1
            raise
        if image is not None:
            try:
                self._notes.append((self._seq, read_stamp(image)))
            except StampUnreadable:
                self._notes.append((self._seq, None))
            self._seq += 1
        return image


class _SlowSlot:
    """A slot that is inferred on a slow device."""

    def __init__(self, slot: Any, device: SlowDevice) -> None:
        self._slot = slot
        self._device = device

    def __getattr__(self, name: str) -> Any:
        return getattr(self._slot, name)

    def infer(self, *arguments: Any, **keywords: Any) -> Any:
        with self._device.inference():
            return self._slot.infer(*arguments, **keywords)


def _slow_down(model: Any, stage_ms: float) -> None:
    if not stage_ms:
        return
    from pipeline.programs.slow_device import SlowDevice

    slots, device = model.slots, SlowDevice(stage_ms)

    def slower(self: Any, *arguments: Any, **keywords: Any) -> Any:
        return tuple(_SlowSlot(slot, device) for slot in slots(self, *arguments, **keywords))

    model.slots = slower
