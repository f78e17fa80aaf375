"""Network cameras and films through GStreamer, for decoders that OpenCV's FFmpeg does not have.

What a source holds is known only when it answers, so its decoder is joined to it then. Over RTSP GStreamer knows from the
packets' marker where a frame ends, while FFmpeg waits for the next one to begin: its pictures are a frame's time older
(docs/decisions/0007).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgesdk_agent.cameras.camera import CameraCounts
from edgesdk_agent.cameras.decoder_probe import DecoderChoice
from edgesdk_agent.cameras.decoders import CODECS, Codec
from edgesdk_agent.cameras.gstreamer import GStreamerCamera, Link, Linked
from edgesdk_agent.cameras.wanted_frames import WantedFrames
from edgesdk_targets.secret_url import SecretUrl

Choices = Mapping[Codec, DecoderChoice]

# Packets are in order over TCP, so that nothing is gained by waiting for late ones.
_RTSP = "rtspsrc name=source protocols=tcp latency=0"
_FILM = "filesrc name=file ! parsebin name=source"


def open_rtsp(
    url: SecretUrl,
    choices: Choices,
    *,
    live: bool,
    open_timeout_s: float,
    timeout_s: float,
    wanted: WantedFrames | None,
    counts: CameraCounts | None,
) -> GStreamerCamera:
    """Open an RTSP camera with the decoders that were chosen for each codec.

    Raises:
        CameraLost: nothing answers, access is refused, or no picture comes.
        DecoderRefused: it sends a codec for which no decoder was chosen.
    """

    def link(gst: Any, pipeline: Any, decoded: Any) -> Linked:
        source = pipeline.get_by_name("source")
        source.set_property("location", url.reveal())
        number = source.connect("select-stream", _is_video)
        linked = _linker(choices, depay=True)(gst, pipeline, decoded)
        linked.handlers.append((source, number))
        return linked

    return GStreamerCamera(
        _RTSP,
        live=live,
        open_timeout_s=open_timeout_s,
        timeout_s=timeout_s,
        description=str(url),
        link=link,
        wanted=wanted,
        counts=counts,
    )


def open_film(path: Path, choices: Choices, *, wanted: WantedFrames | None) -> GStreamerCamera:
    """Open a film with the decoders that were chosen for each codec; every frame that is wanted is delivered.

    Raises:
        CameraLost: it cannot be read.
        DecoderRefused: it holds a codec for which no decoder was chosen.
    """

    def link(gst: Any, pipeline: Any, decoded: Any) -> Linked:
        pipeline.get_by_name("file").set_property("location", str(path))
        return _linker(choices, depay=False)(gst, pipeline, decoded)

    return GStreamerCamera(_FILM, live=False, description=str(path), link=link, wanted=wanted)


def _linker(choices: Choices, *, depay: bool) -> Link:
    def link(gst: Any, pipeline: Any, decoded: Any) -> Linked:
        linked = Linked()

        def on_pad(_: Any, pad: Any) -> None:
            caps = (pad.get_current_caps() or pad.query_caps(None)).get_structure(0)
            name = caps.get_string("encoding-name") if depay else caps.get_name()
            if decoded.get_static_pad("sink").is_linked() or (not depay and not name.startswith(("video/", "image/"))):
                return
            codec = next((c for c, e in CODECS.items() if name == (e.encoding if depay else e.caps)), None)
            choice = choices.get(codec) if codec else None
            if codec is None or choice is None or choice.chain is None:
                linked.refused = f"{name} is decoded by software only" if codec is None else "; ".join(_why(choice))
                return
            linked.decoder = f"{choice.decoder} ({choice.chain.element})"
            elements = CODECS[codec]
            text = f"{elements.depay + ' ! ' if depay else ''}{elements.parse} ! {choice.chain.text}"
            chain = gst.parse_bin_from_description(text, True)
            pipeline.add(chain)
            chain.link(decoded)
            chain.sync_state_with_parent()
            pad.link(chain.get_static_pad("sink"))

        source = pipeline.get_by_name("source")
        linked.handlers.append((source, source.connect("pad-added", on_pad)))
        return linked

    return link


def _is_video(_source: Any, _number: int, caps: Any) -> bool:
    return bool(caps.get_structure(0).get_string("media") == "video")


def _why(choice: DecoderChoice | None) -> tuple[str, ...]:
    return choice.reasons if choice else ("no decoder was chosen",)
