"""Open a camera once, and say what it delivers, how it is decoded, and which other streams it has; or why it does not."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from typing import Any

from edgesdk_agent.cameras.camera import Camera, FrameLost, counts_of
from edgesdk_agent.cameras.catalogue import open_camera
from edgesdk_agent.cameras.decoders import CODECS, Decoder
from edgesdk_agent.cameras.finding.makes import make_of, streams_of
from edgesdk_agent.cameras.finding.onvif_streams import SCHEME, onvif_streams
from edgesdk_agent.cameras.finding.rtsp_describe import Described, describe
from edgesdk_agent.cameras.supervision.frozen_picture import whole_digest
from edgesdk_targets.errors import CameraLost, EdgeError
from edgesdk_targets.secret_url import SecretUrl, redact_text


@dataclass(frozen=True, slots=True)
class StreamFound:
    """One of a camera's streams, as its make names them.

    Attributes:
        name: `main`, `sub` or `third`.
        url: without login.
        answers: whether the camera has it.
        codec: as it says; this: whether it is the one that was asked for.
    """

    name: str
    url: str
    answers: bool
    codec: str = ""
    this: bool = False


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What was found.

    Attributes:
        source: without secrets.
        opens: whether pictures came.
        problem, hint: why not, and what to do.
        width, height: pixels.
        codec: as the camera says; empty where it says nothing.
        fps: measured; fps_told: as the camera says. None where unknown.
        opened_in_s: until the first picture.
        decoder: what decoded them, and decoder_reasons: why not another.
        still: whether all pictures were the very same.
        corrupt: pictures that could not be decoded.
        server, make: how the camera calls itself, and whose addresses look like this one.
        streams: its streams, where the make is known.
    """

    source: str
    opens: bool = False
    problem: str = ""
    hint: str = ""
    width: int = 0
    height: int = 0
    codec: str = ""
    fps: float | None = None
    fps_told: float | None = None
    opened_in_s: float | None = None
    decoder: str = ""
    decoder_reasons: tuple[str, ...] = ()
    still: bool = False
    corrupt: int = 0
    server: str = ""
    make: str = ""
    streams: tuple[StreamFound, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the stable keys that `--json` prints."""
        return asdict(self)


def probe_camera(
    source: SecretUrl, *, seconds: float = 3.0, timeout_s: float = 10.0, decoder: Decoder = "auto"
) -> ProbeReport:
    """Open a camera, read it for some seconds, and close it; what is wrong with the camera is part of the report.

    Args:
        source: as in the configuration, or `onvif://user:password@host`: the camera is asked for its streams, and the largest
            is opened.

    Raises:
        InputError: `source` names nothing that is known.
    """
    if source.reveal().startswith(SCHEME):
        return _probe_onvif(source, seconds=seconds, timeout_s=timeout_s, decoder=decoder)
    report = ProbeReport(str(source))
    is_rtsp = source.reveal().startswith("rtsp://")
    if is_rtsp:
        make = make_of(source)
        report = replace(report, make=make.name if make else "")
        try:
            report = _described(report, describe(source, timeout_s=min(timeout_s, 5.0)))
        except CameraLost as error:
            return replace(report, problem=error.message, hint=error.hint)
        report = replace(report, streams=_streams(source, timeout_s), decoder_reasons=_reasons(decoder, report.codec))
    began = time.monotonic()
    try:
        camera = open_camera(
            source, decoder=decoder, supervised=False, open_timeout_s=timeout_s, read_timeout_s=timeout_s
        )
    except CameraLost as error:
        return replace(report, problem=redact_text(error.message), hint=error.hint)
    try:
        return _measured(report, camera, began, seconds)
    except EdgeError as error:
        return replace(report, problem=redact_text(error.message), hint=error.hint)
    finally:
        camera.close()


def _probe_onvif(source: SecretUrl, *, seconds: float, timeout_s: float, decoder: Decoder) -> ProbeReport:
    try:
        streams = onvif_streams(source, timeout_s=timeout_s)
    except CameraLost as error:
        return ProbeReport(str(source), problem=redact_text(error.message), hint=error.hint)
    largest = probe_camera(streams[0].url, seconds=seconds, timeout_s=timeout_s, decoder=decoder)
    # As the camera calls them; what it did not name is not guessed.
    named = tuple(
        StreamFound(one.name, str(one.url), answers=True, codec=one.codec, this=one is streams[0]) for one in streams
    )
    return replace(largest, streams=named)


def _described(report: ProbeReport, said: Described) -> ProbeReport:
    video = said.video
    if video is None:
        return replace(report, server=said.server)
    return replace(report, server=said.server, codec=video.codec.lower(), fps_told=video.fps)


def _measured(report: ProbeReport, camera: Camera, began: float, seconds: float) -> ProbeReport:
    times: list[float] = []
    digests: set[int] = set()
    out, opened_in = None, 0.0
    while not times or time.monotonic() - times[0] < seconds or len(times) < 2:
        try:
            out = camera.read(out)
        except FrameLost:
            continue
        if out is None:
            break
        times.append(time.monotonic())
        opened_in = opened_in or times[0] - began
        digests.add(whole_digest(out))
    info = camera.info
    if not times:
        return replace(report, problem=f"{info.description} delivers no picture.", hint="Check that it is not empty.")
    # A recording is read as fast as it can be, which says nothing about its rate.
    measured = info.live and len(times) > 1 and times[-1] > times[0]
    return replace(
        report,
        opens=True,
        width=info.width,
        height=info.height,
        fps=round((len(times) - 1) / (times[-1] - times[0]), 2) if measured else info.fps,
        opened_in_s=round(opened_in, 3),
        decoder=info.decoder,
        still=len(times) > 1 and len(digests) == 1,
        corrupt=counts_of(camera).corrupt,
    )


def _streams(source: SecretUrl, timeout_s: float) -> tuple[StreamFound, ...]:
    found = []
    for name, url in streams_of(source):
        this = url.reveal().casefold() == source.reveal().casefold()
        try:
            video = describe(url, timeout_s=min(timeout_s, 3.0)).video
        except EdgeError:
            found.append(StreamFound(name, str(url), answers=False, this=this))
            continue
        found.append(StreamFound(name, str(url), True, video.codec.lower() if video else "", this))
    return tuple(found)


def _reasons(asked: Decoder, codec: str) -> tuple[str, ...]:
    """Say which decoders were refused on the way to the one that is used."""
    if asked == "software":
        return ("software was asked for",)
    from edgesdk_agent.cameras.decoder_probe import choose

    known = next((name for name in CODECS if name == codec), None)
    if known is None:
        return (f"{codec or 'its codec'} is decoded by software only",)
    choice = choose(asked, known)
    return choice.reasons if choice.chain is None else (*choice.reasons, f"{choice.chain.element} works here")
