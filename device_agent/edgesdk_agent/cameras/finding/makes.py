"""How the usual makes write the addresses of their streams, as data.

The forms are from the makers' public documents and have not been tried on their cameras here; docs/cameras.md names the
documents. They serve to look for a camera's other streams, and to hint at a right path where one is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from edgesdk_targets.secret_url import SecretUrl

# (name, path with query) of each stream of the same channel.
Paths = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class CameraMake:
    """One make's addresses.

    Attributes:
        name: of the make.
        main, sub: the paths of the first channel's two streams.
        recognised: matches the path of any of its streams.
        siblings: from that match to the streams of the same channel.
        note: what must be done on the camera first; may be empty.
    """

    name: str
    main: str
    sub: str
    recognised: re.Pattern[str]
    siblings: Callable[[re.Match[str]], Paths]
    note: str = ""


def _hikvision(match: re.Match[str]) -> Paths:
    stem = f"{match['stem']}{match['channel']}"
    return (("main", f"{stem}01"), ("sub", f"{stem}02"), ("third", f"{stem}03"))


def _dahua(match: re.Match[str]) -> Paths:
    stem = f"/cam/realmonitor?channel={match['channel']}&subtype="
    return (("main", f"{stem}0"), ("sub", f"{stem}1"), ("third", f"{stem}2"))


def _axis(_match: re.Match[str]) -> Paths:
    return (("main", "/axis-media/media.amp"), ("sub", "/axis-media/media.amp?resolution=640x360"))


def _reolink(match: re.Match[str]) -> Paths:
    stem = f"/{match['codec'] or ''}Preview_{match['channel']}_"
    return (("main", f"{stem}main"), ("sub", f"{stem}sub"))


def _tapo(_match: re.Match[str]) -> Paths:
    return (("main", "/stream1"), ("sub", "/stream2"))


MAKES = (
    CameraMake(
        "Hikvision",
        "/Streaming/Channels/101",
        "/Streaming/Channels/102",
        re.compile(r"(?i)^(?P<stem>/(?:ISAPI/)?Streaming/channels/)(?P<channel>\d{1,3}?)0\d/?(?:\?.*)?$"),
        _hikvision,
    ),
    CameraMake(
        "Dahua",
        "/cam/realmonitor?channel=1&subtype=0",
        "/cam/realmonitor?channel=1&subtype=1",
        re.compile(r"(?i)^/cam/realmonitor\?channel=(?P<channel>\d{1,3})&subtype=\d"),
        _dahua,
    ),
    CameraMake(
        "Axis",
        "/axis-media/media.amp",
        "/axis-media/media.amp?resolution=640x360",
        re.compile(r"(?i)^/axis-media/media\.amp"),
        _axis,
    ),
    CameraMake(
        "Reolink",
        "/Preview_01_main",
        "/Preview_01_sub",
        re.compile(r"(?i)^/(?P<codec>h26[45])?Preview_(?P<channel>\d{2})_(?:main|sub)$"),
        _reolink,
        "RTSP is switched on in its settings: Network, Advanced, Port Settings.",
    ),
    CameraMake(
        "Tapo",
        "/stream1",
        "/stream2",
        re.compile(r"^/stream[12]$"),
        _tapo,
        "It wants a camera account of its own, made in the Tapo app: Advanced Settings, Camera Account.",
    ),
)


def make_of(url: SecretUrl) -> CameraMake | None:
    """Return the make whose addresses look like this one, or None."""
    _, path = split_path(url)
    return next((make for make in MAKES if make.recognised.match(path)), None)


def streams_of(url: SecretUrl) -> list[tuple[str, SecretUrl]]:
    """Return the streams that a camera of this make offers beside each other, this one among them."""
    place, path = split_path(url)
    make = make_of(url)
    match = make.recognised.match(path) if make else None
    if make is None or match is None:
        return []
    return [(name, SecretUrl(place + other)) for name, other in make.siblings(match)]


def split_path(url: SecretUrl) -> tuple[str, str]:
    """Take an address apart: all up to the host and port, login included, and the path with its query."""
    text = url.reveal()
    # The login may hold a slash, so the host begins behind the last @.
    begin = max(text.rfind("@"), text.find("://") + 2) + 1
    slash = text.find("/", begin)
    return (text, "") if slash < 0 else (text[:slash], text[slash:])
