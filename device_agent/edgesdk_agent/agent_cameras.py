"""The agent's cameras, as the configuration names them, and what the agent makes of those that do not answer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

from edgesdk_agent.camera_reports import CameraReports
from edgesdk_agent.cameras.camera import Camera, counts_of
from edgesdk_agent.cameras.catalogue import open_camera
from edgesdk_agent.cameras.several import none_answers, unopened_cameras
from edgesdk_agent.config.camera import CameraSection
from edgesdk_agent.link.reporter import Reporter
from edgesdk_agent.metrics.registry import CountRegistry
from edgesdk_targets.errors import CameraLost, EdgeError, InputError

log = logging.getLogger(__name__)


class AgentCameras:
    """The cameras of one run. Whatever may have to be waited for is opened by its own reader, once the pipeline starts.

    Args:
        sections: one for each.
        reporter: is told how they do; None without a broker.
        counts: takes each camera's.
        stack: closes them.

    Attributes:
        by_name: the cameras.
        reports: how each does.

    Raises:
        InputError: a source is unknown.
    """

    def __init__(
        self, sections: tuple[CameraSection, ...], reporter: Reporter | None, counts: CountRegistry, stack: ExitStack
    ) -> None:
        self.by_name: Mapping[str, Camera] = unopened_cameras(
            {section.name: partial(_opened, section) for section in sections}
        )
        for name, camera in self.by_name.items():
            stack.callback(camera.close)
            counts.add("camera", counts_of(camera).numbers, camera=name)
        self._reporter = reporter
        self._one_must = any(section.require_at_start for section in sections)
        self.reports = CameraReports(self.by_name, None if reporter is None else reporter.event)
        self._decoders: dict[str, str] = {}
        self._has_new_decoder()

    def announce_to(self, say: Callable[[], None]) -> None:
        """Call `say` whenever a camera has come online of which the birth does not tell how it is decoded."""

        def came(_name: str) -> None:
            if self._has_new_decoder():
                say()

        self.reports.on_online = came

    def none_answers(self) -> CameraLost | None:
        """Return why none of the cameras answers where one must; None while one may still do so."""
        return none_answers(self.by_name) if self._one_must else None

    def given_up(self, name: str, error: EdgeError) -> bool:
        """Tell that a camera gives nothing more, and say whether that is a fault of the configuration: none may start so."""
        never_opened = self.reports.health()[name].state == "connecting"
        self.reports.given_up(name)
        if self._reporter is not None:
            self._reporter.event(error.code, "error", error.message, camera=name)
        return never_opened and isinstance(error, InputError)

    def _has_new_decoder(self) -> bool:
        before = self._decoders
        self._decoders = {name: camera.info.decoder for name, camera in self.by_name.items()}
        for name, decoder in self._decoders.items():
            if decoder and decoder != before.get(name):
                log.info("%s is decoded by %s", name, decoder)
        return self._decoders != before


def _opened(section: CameraSection, must_open: bool) -> Camera:
    return open_camera(
        section.source, **_source_options(section), must_open=must_open, supervision=section.supervise.limits()
    )


def _source_options(section: CameraSection) -> dict[str, Any]:
    given = {
        "live": section.live,
        "fps": section.fps,
        "detect_fps": section.detect_fps,
        "decoder": section.decoder,
        "loop": section.loop or None,
        "width": section.width,
        "height": section.height,
        "isolate": section.isolate,
    }
    return {name: value for name, value in given.items() if value is not None}
