"""From the agent's configuration to what becomes of its pictures: which are looked at, hidden, shown, kept and sent."""

from __future__ import annotations

import difflib
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from edgesdk_agent.config.root import AgentConfig
from edgesdk_agent.delivery.delivery import Delivery
from edgesdk_agent.drawing import draw_result
from edgesdk_agent.evidence.picture_store import PictureStore
from edgesdk_agent.evidence.snapshots import Snapshots
from edgesdk_agent.frame import FrameResult
from edgesdk_agent.frame_data.frame_gate import FrameGate
from edgesdk_agent.frame_data.jpeg_budget import JpegBudget
from edgesdk_agent.frame_data.saving import FrameData
from edgesdk_agent.meter import FrameStats
from edgesdk_agent.metrics.registry import CountRegistry
from edgesdk_agent.pipeline.picture_stage import PictureStage
from edgesdk_agent.preview.live_picture import LivePictures
from edgesdk_agent.preview.outline import Outline
from edgesdk_agent.privacy.concealment import Concealment, MaskStage
from edgesdk_agent.privacy.hidden_objects import HiddenObjects
from edgesdk_agent.privacy.mask import Mask
from edgesdk_agent.privacy.picture_exit import PictureExit, PictureTaker
from edgesdk_targets.chain import Chain
from edgesdk_targets.errors import EdgeError, InputError
from edgesdk_targets.model import Model
from edgesdk_targets.topics import Node

if TYPE_CHECKING:
    # Who makes no clips and shows no page does not load what it takes.
    from edgesdk_agent.events.event import SceneEvent
    from edgesdk_agent.evidence.clip_camera import ClipRequest
    from edgesdk_agent.evidence.clips import Clips
    from edgesdk_agent.evidence.uploader import Uploader
    from edgesdk_agent.link_settings import LinkStatus
    from edgesdk_agent.outbox.outbox import Outbox
    from edgesdk_agent.presence import Publication
    from edgesdk_agent.report_queue import ReportQueue

log = logging.getLogger(__name__)

_DAY_S = 86400.0


class AgentPictures:
    """What an agent does with pictures beside showing them to its model.

    Args:
        config: its `frame_data`, `privacy` and `pictures`.
        model: whose classes may be blurred.

    Raises:
        InputError: a mask names no camera, a class that is to be blurred is none of the model's, or frames are to be left
            out of a model that needs each.
    """

    def __init__(self, config: AgentConfig, model: Model | Chain) -> None:
        cameras = [camera.name for camera in config.cameras]
        rules, privacy = config.frame_data.rules(), config.privacy
        if rules.deduplicate != "off" and (model.manifest.state or model.manifest.window is not None):
            hint = "Leave frame_data.deduplicate out."
            raise InputError("This model goes from frame to frame, and is to see those that are alike too.", hint=hint)
        gates = {name: FrameGate(rules) for name in cameras} if rules.any else {}
        masks = _masks(config, cameras)
        _check_classes(privacy.blur, _labels(model))
        before = masks if privacy.mask_before_inference else {}
        objects = {
            name: HiddenObjects(privacy.blur, margin=privacy.blur_margin, hold_s=privacy.blur_hold_s)
            for name in cameras
            if privacy.blur
        }
        self._config = config
        self._frame_data = FrameData(gates)
        self._concealment = Concealment({} if before else masks, objects)
        self.snapshots = _snapshots(config)
        self._preview = _preview(config, cameras)
        self._uploader = _uploader(config)
        self.clips = self._make_clips()
        self._takers: list[PictureTaker] = [one for one in (self.snapshots, self._preview) if one is not None]
        # A mask first: what is masked neither moves nor is bright.
        self.stages: Mapping[str, Sequence[PictureStage]] = {
            name: [
                *([MaskStage(before[name])] if name in before else []),
                *([gates[name]] if name in gates else []),
            ]
            for name in cameras
        }

    @property
    def needed(self) -> bool:
        """Whether anybody but hooks takes pictures, so that the pipeline has to keep them."""
        return bool(self._takers)

    def door(self, inner: Delivery, *, hooks_take_pictures: bool) -> Delivery:
        """Return the delivery through which results and their pictures leave the pipeline."""
        if not self._takers and not (hooks_take_pictures and self._concealment.any):
            return inner
        return PictureExit(
            inner,
            self._takers,
            self._concealment,
            inner_sees_pictures=hooks_take_pictures,
            inner_sees_all=self._config.privacy.hooks_see_all,
        )

    def start(self, stack: ExitStack, registry: CountRegistry) -> None:
        """Start what has threads of its own, which `stack` ends, and have what is counted told.

        Raises:
            InputError: the preview cannot listen at its address.
        """
        if self.snapshots is not None:
            self.snapshots.start()
            stack.callback(self.snapshots.close)
        if self._uploader is not None:
            self._uploader.start()
            stack.callback(self._uploader.close)
        if self.clips is not None:
            # Written on closing too, and then noted for the next start.
            self.clips.start()
            stack.callback(self.clips.close)
        for group in self.counts():
            registry.add(group, partial(self._counts_of, group))
        if self._preview is not None:
            from edgesdk_agent.preview.serve import serve_preview

            serve_preview(self._config.preview, self._preview, stack)

    def publish_by(
        self,
        node: Node,
        queue: ReportQueue | Outbox,
        say: Callable[[Publication], None],
        link: Callable[[], LinkStatus],
    ) -> None:
        """Have snapshots said, beside the reports of `queue`, while there is a link."""
        if self.snapshots is not None and self._config.pictures.publish:
            from edgesdk_agent.evidence.snapshot_messages import SnapshotMessages

            self.snapshots.publish = SnapshotMessages(
                node,
                epoch=queue.epoch,
                next_seq=lambda: queue.next_seq,
                say=say,
                connected=lambda: link().connected,
            )

    def snapshot(self, camera: str, timeout_s: float) -> dict[str, JsonValue]:
        """Take the next picture of a camera, with what is to be hidden hidden, keep and send it, and say what it is.

        Raises:
            InputError: there is no such camera, pictures are not enabled, or none came within the time.
        """
        if camera not in self.stages:
            raise InputError(f"There is no camera {camera!r}.", hint=f"One of {', '.join(self.stages)}.")
        if self.snapshots is None:
            raise InputError("This device gives no pictures.", hint="Set pictures.enabled in its configuration.")
        taken = self.snapshots.take(camera, timeout_s)
        assert taken.jpeg is not None  # noqa: S101  (a request without one raises)
        size: dict[str, JsonValue] = {"width": taken.jpeg.width, "height": taken.jpeg.height}
        return {"id": taken.id, "camera": camera, "frame": taken.frame, "bytes": len(taken.jpeg.data), **size}

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Return what was counted, by part; parts that are off are absent."""
        parts = {"frame_data": self._frame_data.counts(), "privacy": self._concealment.counts()}
        if self.snapshots is not None:
            parts["snapshots"] = self.snapshots.counts()
        if self.clips is not None:
            parts["clips"] = self.clips.counts()
        if self._uploader is not None:
            parts["uploads"] = self._uploader.counts()
        return {name: counts for name, counts in parts.items() if counts}

    def picture_of(self, event: SceneEvent) -> str:
        """Keep the picture of an event that begins, and a clip around it; return the picture's id, or an empty text.

        It is asked on the lane, while the event's frame is told, so that the picture is that very frame.
        """
        if self.clips is not None:
            try:
                self.clips.ask(event.camera, event=event.id)
            except InputError as error:
                log.warning("No clip of event %s: %s", event.id, error.message)
        asked = None if self.snapshots is None else self.snapshots.ask(event.camera, event=event.id)
        return "" if asked is None else asked.id

    def clip(self, camera: str, timeout_s: float) -> ClipRequest:
        """Make a clip of a camera around now, and return it when it is written.

        Raises:
            EdgeError: clips are not enabled, the camera has none, or it was not made within the time.
        """
        if self.clips is None:
            raise InputError("This device makes no clips.", hint="Set clips.enabled in its configuration.")
        return self.clips.take(camera, timeout_s)

    def _make_clips(self) -> Clips | None:
        if not self._config.clips.enabled:
            return None
        from edgesdk_agent.evidence.clips import Clips

        return Clips(self._config, on_clip=self._clip_written)

    def _clip_written(self, clip: ClipRequest) -> None:
        if self._uploader is None or clip.path is None or not self._config.clips.upload.every_clip:
            return
        try:
            self._uploader.add(clip.path, {"filename": clip.path.name, "camera": clip.camera, "event": clip.event})
        except EdgeError as error:
            log.warning("A clip is not sent: %s", error.message)

    def _counts_of(self, group: str) -> Mapping[str, int]:
        return self.counts()[group]

    def summary(self, stats: FrameStats) -> dict[str, Any]:
        """Return what a run's summary says of pictures; parts that are off are absent."""
        prepare, infer = stats.preprocess.to_ms()["p50"], stats.infer.to_ms()["p50"]
        cost_s = None if prepare is None or infer is None else (prepare + infer) / 1e3
        told: dict[str, Any] = {name: dict(counts) for name, counts in self.counts().items()}
        if frame_data := self._frame_data.summary(cost_s):
            told["frame_data"] = frame_data
        return told


def _snapshots(config: AgentConfig) -> Snapshots | None:
    section = config.pictures
    if not section.enabled:
        return None
    store = section.folder and PictureStore(
        section.folder, keep_s=section.keep_days * _DAY_S, max_bytes=section.max_bytes
    )
    return Snapshots(
        JpegBudget(section.snapshot_bytes),
        annotate=_annotate if section.annotated else None,
        per_minute=section.max_per_minute,
        store=store or None,
    )


def _uploader(config: AgentConfig) -> Uploader | None:
    section, folder = config.clips.upload, config.pictures.folder
    if not config.clips.enabled or section.url is None or folder is None:
        return None
    from edgesdk_agent.evidence.tus_upload import TusUpload
    from edgesdk_agent.evidence.upload_address import UploadAddress
    from edgesdk_agent.evidence.uploader import Uploader

    stopping = threading.Event()
    token = "" if section.token is None else section.token.get_secret_value()
    address = UploadAddress.parse(section.url)
    return Uploader(
        folder, TusUpload(address, token, max_bytes_per_s=section.max_bytes_per_s, stopping=stopping), stopping
    )


def _annotate(result: FrameResult) -> None:
    assert result.image is not None  # noqa: S101  (a snapshot has its picture)
    draw_result(result.image, result.result)


def _preview(config: AgentConfig, cameras: Sequence[str]) -> LivePictures | None:
    section = config.preview
    if section.listen is None:
        return None
    return LivePictures(cameras, fps=section.fps, width=section.width, outlines=_outlines(config, cameras))


def _outlines(config: AgentConfig, cameras: Sequence[str]) -> dict[str, list[Outline]]:
    """Return each camera's zones and lines; of those in pixels the preview does not know where they are."""
    if config.events is None:
        return {}
    drawn: dict[str, list[Outline]] = {name: [] for name in cameras}
    places = [(zone, zone.polygon, True) for zone in config.events.zones]
    for place, corners, closed in [*places, *((line, line.points, False) for line in config.events.lines)]:
        if place.coordinates == "relative":
            for name in place.cameras or cameras:
                drawn.get(name, []).append(Outline(place.name, corners, closed))
    return drawn


def _masks(config: AgentConfig, cameras: Sequence[str]) -> dict[str, Mask]:
    polygons: dict[str, list[tuple[tuple[float, float], ...]]] = {}
    for section in config.privacy.masks:
        if section.camera not in cameras:
            message = f"A mask is for camera {section.camera!r}, and there is none of this name."
            raise InputError(message, hint=f"One of {', '.join(cameras)}.")
        polygons.setdefault(section.camera, []).append(section.polygon)
    return {name: Mask(of_camera) for name, of_camera in polygons.items()}


def _labels(model: Model | Chain) -> tuple[str, ...]:
    labels: tuple[str, ...] = model.manifest.labels
    return (*labels, *model.then.manifest.labels) if isinstance(model, Chain) else labels


def _check_classes(wanted: Sequence[str], labels: Sequence[str]) -> None:
    """Refuse a class that no model will ever name: it would be seen in every picture."""
    for name in wanted:
        if name not in labels:
            near = difflib.get_close_matches(name, labels, 1)
            hint = f"Did you mean {near[0]!r}?" if near else f"It names {', '.join(labels[:10]) or 'no classes'}."
            raise InputError(f"privacy.blur: the model has no class {name!r}.", hint=hint)
