"""Which cameras are paused from afar; a restart keeps them so."""

from __future__ import annotations

from typing import Protocol

from edgesdk_agent.config.overlay import OverlayFile


class Pauses(Protocol):
    """A pipeline, as far as pausing goes."""

    def pause(self, camera: str | None = None) -> None:
        """Let no frame of a camera through. Raises InputError: there is no such camera."""

    def resume(self, camera: str | None = None) -> None:
        """Go on with the next frame."""


class PausedCameras:
    """Pause cameras, and remember which."""

    def __init__(self, pipeline: Pauses, file: OverlayFile) -> None:
        self._pipeline = pipeline
        self._file = file

    def pause(self, camera: str) -> None:
        """Let none of its frames through, also after a restart. Raises InputError: there is no such camera."""
        self._pipeline.pause(camera)
        self._keep({*self.paused(), camera})

    def resume(self, camera: str) -> None:
        """Go on with its next frame. Raises InputError: there is no such camera."""
        self._pipeline.resume(camera)
        self._keep({*self.paused()} - {camera})

    def paused(self) -> tuple[str, ...]:
        """Return the names of those that are paused."""
        return self._file.now.layer.paused

    def become(self, cameras: tuple[str, ...]) -> None:
        """Pause exactly these. Raises InputError: there is no such camera; nothing was changed then."""
        for camera in cameras:
            self._pipeline.pause(camera)
        for camera in set(self.paused()) - set(cameras):
            self._pipeline.resume(camera)
        self._keep(set(cameras))

    def _keep(self, cameras: set[str]) -> None:
        overlay = self._file.now
        paused = tuple(sorted(cameras))
        if paused == overlay.layer.paused:
            return
        changes: dict[str, object] = {"layer": overlay.layer.model_copy(update={"paused": paused})}
        if overlay.trial is not None:
            # A setting that is taken back must not take this back with it.
            before = overlay.trial.before.model_copy(update={"paused": paused})
            changes["trial"] = overlay.trial.model_copy(update={"before": before})
        self._file.write(overlay.but(**changes))
