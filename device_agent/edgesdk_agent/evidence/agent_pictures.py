"""From the agent's configuration to what becomes of its pictures: which are looked at, hidden, shown, kept and sent."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk_agent.config.root import AgentConfig
from edgesdk_agent.delivery.delivery import Delivery
from edgesdk_agent.evidence.written_bytes import WrittenBytes
from edgesdk_agent.frame_data.agent_gates import AgentGates
from edgesdk_agent.meter import FrameStats
from edgesdk_agent.metrics.registry import CountRegistry
from edgesdk_agent.pipeline.picture_stage import PictureStage
from edgesdk_agent.privacy.agent_privacy import AgentPrivacy
from edgesdk_agent.privacy.concealment import MaskStage
from edgesdk_targets.chain import Chain
from edgesdk_targets.model import Model
from edgesdk_targets.topics import Node

if TYPE_CHECKING:
    # Who shows, keeps and sends nothing does not load what it takes.
    from edgesdk_agent.evidence.clip_camera import ClipRequest
    from edgesdk_agent.evidence.clips import Clips
    from edgesdk_agent.evidence.event_pictures import EventPictures
    from edgesdk_agent.evidence.outgoing import Outgoing
    from edgesdk_agent.evidence.picture_commands import PictureCommands
    from edgesdk_agent.evidence.snapshots import SnapshotRequest, Snapshots
    from edgesdk_agent.link.presence import Publication
    from edgesdk_agent.link.report_queue import ReportQueue
    from edgesdk_agent.link.settings import LinkStatus
    from edgesdk_agent.outbox.outbox import Outbox
    from edgesdk_agent.preview.live_picture import LivePictures
    from edgesdk_agent.privacy.picture_exit import PictureTaker

log = logging.getLogger(__name__)

Tell = Callable[..., object]


class AgentPictures:
    """What an agent does with pictures beside showing them to its model.

    Args:
        config: its `frame_data`, `privacy`, `pictures`, `clips` and `preview`.
        model: whose classes may be blurred.
        tell: reports an event: name, severity, message, and by name camera and data.

    Attributes:
        gates: which frames are left out before the model.
        of_events: what is kept of events; None where pictures are off.

    Raises:
        InputError: a section is wrong for these cameras or this model.
    """

    def __init__(self, config: AgentConfig, model: Model | Chain, tell: Tell) -> None:
        cameras = [camera.name for camera in config.cameras]
        self._config = config
        self._tell = tell
        self.gates = AgentGates(config, model)
        privacy = AgentPrivacy(config, model)
        self._concealment = privacy.concealment
        self._written = WrittenBytes()
        self.snapshots = self._make_snapshots()
        self._preview = self._make_preview(cameras)
        self._outgoing = self._make_outgoing()
        self._clips = self._make_clips()
        self.of_events = self._make_event_pictures()
        self._takers: list[PictureTaker] = [one for one in (self.snapshots, self._preview) if one is not None]
        # A mask first: what is masked neither moves nor is bright.
        self.stages: Mapping[str, Sequence[PictureStage]] = {
            name: [
                *([MaskStage(privacy.before[name])] if name in privacy.before else []),
                *self.gates.stages(name),
            ]
            for name in cameras
        }

    @property
    def needed(self) -> bool:
        """Whether anybody but hooks takes pictures, so that the pipeline has to keep them."""
        return bool(self._takers)

    @property
    def commands(self) -> PictureCommands:
        """What commands may do with pictures."""
        from edgesdk_agent.evidence.picture_commands import PictureCommands

        return PictureCommands(tuple(self.stages), self.snapshots, self._clips, self._outgoing)

    def door(self, inner: Delivery, *, hooks_take_pictures: bool) -> Delivery:
        """Return the delivery through which results and their pictures leave the pipeline."""
        if not self._takers and not (hooks_take_pictures and self._concealment.any):
            return inner
        from edgesdk_agent.privacy.picture_exit import PictureExit

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
        # Ended in the other order: clips and snapshots are written on closing too, and then noted for the next start.
        for part in (self._outgoing, self.snapshots, self._clips):
            if part is not None:
                part.start()
                stack.callback(part.close)
        for group in self.counts():
            registry.add(group, partial(self._counts_of, group))
        if self._preview is not None:
            from edgesdk_agent.preview.serve import serve_preview

            serve_preview(self._config.preview, self._preview, stack)

    def request_stop(self) -> None:
        """Let what waits for cameras and servers end while the pipeline does; returns at once."""
        for part in (self._outgoing, self._clips):
            if part is not None:
                part.request_stop()

    def finish(self) -> None:
        """Write the clips that are open, after the last result and before the last report; waits for no camera."""
        if self._clips is not None:
            self._clips.finish()

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

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Return what was counted, by part; parts that are off are absent."""
        parts = {"frame_data": self.gates.counts(), "privacy": self._concealment.counts()}
        named = {"snapshots": self.snapshots, "clips": self._clips, "uploads": self._outgoing}
        parts |= {name: part.counts() for name, part in named.items() if part is not None}
        if self._config.pictures.folder is not None and self.snapshots is not None:
            parts["written"] = self._written.counts()
        return {name: counts for name, counts in parts.items() if counts}

    def summary(self, stats: FrameStats) -> dict[str, Any]:
        """Return what a run's summary says of pictures; parts that are off are absent."""
        told: dict[str, Any] = {name: dict(counts) for name, counts in self.counts().items()}
        if frame_data := self.gates.summary(stats):
            told["frame_data"] = frame_data
        return told

    def _counts_of(self, group: str) -> Mapping[str, int]:
        return self.counts()[group]

    def _make_snapshots(self) -> Snapshots | None:
        if not self._config.pictures.enabled:
            return None
        from edgesdk_agent.evidence.agent_snapshots import snapshots_of

        return snapshots_of(self._config.pictures, self._snapshot_kept)

    def _make_preview(self, cameras: Sequence[str]) -> LivePictures | None:
        if self._config.preview.listen is None:
            return None
        from edgesdk_agent.preview.agent_preview import live_pictures

        return live_pictures(self._config, cameras)

    def _make_outgoing(self) -> Outgoing | None:
        section, pictures = self._config.clips.upload, self._config.pictures
        if not pictures.enabled or section.url is None or pictures.folder is None:
            return None
        from edgesdk_agent.evidence.outgoing import Outgoing

        return Outgoing(section, pictures.folder, self._confirmed)

    def _make_clips(self) -> Clips | None:
        if not self._config.clips.enabled:
            return None
        from edgesdk_agent.evidence.clips import Clips

        return Clips(self._config, on_clip=self._clip_over, written=self._written)

    def _make_event_pictures(self) -> EventPictures | None:
        if self.snapshots is None or self._config.events is None:
            return None
        from edgesdk_agent.evidence.event_pictures import EventPictures
        from edgesdk_agent.evidence.send_rules import SendRules

        rules = SendRules(self._config.clips.upload, self._config.events)
        return EventPictures(self.snapshots, self._clips, rules)

    def _snapshot_kept(self, request: SnapshotRequest, path: Path, size: int) -> None:
        self._written.add(size)
        if request.send and self._outgoing is not None:
            self._outgoing.send(path, file_id=request.id, camera=request.camera, event=request.event)

    def _clip_over(self, clip: ClipRequest) -> None:
        data = {"id": clip.id, "event": clip.event}
        if clip.path is None:
            why = "" if clip.problem is None else clip.problem.message
            self._tell("clip_failed", "warning", why, camera=clip.camera, data=data)
            return
        size = clip.path.stat().st_size
        self._written.add(size)
        kept = {**data, "filename": clip.path.name, "bytes": size, "complete": clip.complete}
        self._tell("clip_kept", "info", clip.path.name, camera=clip.camera, data=kept)
        if self._outgoing is not None and clip.send:
            self._outgoing.send(clip.path, file_id=clip.id, camera=clip.camera, event=clip.event)

    def _confirmed(self, name: str, metadata: Mapping[str, str]) -> None:
        data = {"id": metadata.get("id", ""), "event": metadata.get("event", ""), "filename": name}
        self._tell("evidence_sent", "info", name, camera=metadata.get("camera", ""), data=data)
