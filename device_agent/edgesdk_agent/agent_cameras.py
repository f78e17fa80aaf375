"""The agent's cameras, and what the agent makes of those that do not answer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from edgesdk_agent.camera_reports import CameraReports
from edgesdk_agent.cameras.camera import Camera, counts_of
from edgesdk_agent.cameras.several import none_answers
from edgesdk_agent.link.reporter import Reporter
from edgesdk_agent.metrics.registry import CountRegistry
from edgesdk_targets.errors import CameraLost, EdgeError, InputError

log = logging.getLogger(__name__)


class AgentCameras:
    """The cameras of one run.

    Args:
        by_name: the cameras.
        reporter: is told how they do; None without a broker.
        counts: takes each camera's.
        one_must_answer: whether it is an error that none of them does.

    Attributes:
        reports: how each does.
    """

    def __init__(
        self,
        by_name: Mapping[str, Camera],
        reporter: Reporter | None,
        counts: CountRegistry,
        *,
        one_must_answer: bool,
    ) -> None:
        self.by_name = by_name
        for name, camera in by_name.items():
            counts.add("camera", counts_of(camera).numbers, camera=name)
        self._reporter = reporter
        self._one_must = one_must_answer
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
