"""A camera that goes away: its RTSP server is killed, and comes back at the same address."""

from __future__ import annotations

from edgesdk.soak.field import Field, rtsp_is_missing


class RtspDrop:
    """SIGKILL to the last camera's server, which is started again at the end."""

    name = "rtsp-drop"
    lasts_s = 8.0
    may_end_agent = False
    may_lose: tuple[str, ...] = ()

    def missing(self, field: Field) -> str:
        return "" if field.has_rtsp else rtsp_is_missing()

    def begin(self, field: Field) -> None:
        list(field.cameras.values())[-1].kill()

    def end(self, field: Field) -> None:
        camera = list(field.cameras.values())[-1]
        if not camera.pid:
            camera.start()
