"""Ask an ONVIF camera which streams it has: its profiles and their RTSP addresses, by SOAP over HTTP.

The login is sent as a digest (WS-UsernameToken) to the camera that was named, and to no other host, whatever the camera answers.
Answers are bounded in size, number and time; XML with declarations of its own is refused, and no redirection is followed.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import secrets
import socket
import threading
import time
from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from edgesdk_targets.errors import CameraLost, InputError
from edgesdk_targets.secret_url import SecretUrl

SCHEME = "onvif://"
_SERVICE = "/onvif/device_service"
_LONGEST = 256 << 10
_MOST_PROFILES = 16
_LONGEST_WORD = 512
_DEVICE = "http://www.onvif.org/ver10/device/wsdl"
_MEDIA = "http://www.onvif.org/ver10/media/wsdl"
_SCHEMA = "http://www.onvif.org/ver10/schema"
_SECURITY = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss"
_HINT = "Write onvif://user:password@host; the ONVIF user is often another one than that of the camera's page."
_ENVELOPE = (
    '<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope">'
    "<s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
)
_LOGIN = (
    f'<w:Security xmlns:w="{_SECURITY}-wssecurity-secext-1.0.xsd" s:mustUnderstand="1"><w:UsernameToken>'
    "<w:Username>{user}</w:Username>"
    f'<w:Password Type="{_SECURITY}-username-token-profile-1.0#PasswordDigest">'
    "{digest}</w:Password>"
    f'<w:Nonce EncodingType="{_SECURITY}-soap-message-security-1.0#Base64Binary">'
    "{nonce}</w:Nonce>"
    f'<u:Created xmlns:u="{_SECURITY}-wssecurity-utility-1.0.xsd">'
    "{created}</u:Created></w:UsernameToken></w:Security>"
)
_STREAM_URI = (
    f'<GetStreamUri xmlns="{_MEDIA}"><StreamSetup><Stream xmlns="{_SCHEMA}">RTP-Unicast</Stream>'
    f'<Transport xmlns="{_SCHEMA}"><Protocol>RTSP</Protocol></Transport></StreamSetup>'
    "<ProfileToken>{token}</ProfileToken></GetStreamUri>"
)


@dataclass(frozen=True, slots=True)
class OnvifStream:
    """One profile of a camera.

    Attributes:
        name: as the camera calls it.
        url: with the login that was given, where the stream is the asked camera's own.
        codec: as it says, in small letters; width, height: pixels, 0 where it says nothing.
    """

    name: str
    url: SecretUrl
    codec: str = ""
    width: int = 0
    height: int = 0


def onvif_streams(source: SecretUrl, *, timeout_s: float = 5.0) -> list[OnvifStream]:
    """Return the streams of a camera, the largest first.

    Args:
        source: `onvif://user:password@host[:port][/path of its device service]`.
        timeout_s: for all of it.

    Raises:
        InputError: the address cannot be read.
        CameraLost: nobody answers, or not as an ONVIF camera, or the login is refused.
    """
    return _Conversation(source, time.monotonic() + timeout_s).streams()


class _Conversation:
    """Questions to one camera, until a deadline."""

    def __init__(self, source: SecretUrl, deadline: float) -> None:
        self._source = source
        self._deadline = deadline
        login, at, place = source.reveal().removeprefix(SCHEME).rpartition("@")
        self._login = login + at
        user, _, password = login.partition(":")
        self._user, self._password = unquote(user), unquote(password)
        try:
            parts = urlsplit(f"//{place}")
            self._host, self._port = parts.hostname or "", parts.port or 80
        except ValueError:
            self._host = ""
        if not self._host:
            raise InputError(f"{source} is no address of a camera.", hint=_HINT)
        self._path = parts.path if len(parts.path) > 1 else _SERVICE
        self._ahead = timedelta()

    def streams(self) -> list[OnvifStream]:
        self._take_time()
        media = self._media_path()
        profiles = list(self._ask(media, f'<GetProfiles xmlns="{_MEDIA}"/>').iter(f"{{{_MEDIA}}}Profiles"))
        found = [stream for one in profiles[:_MOST_PROFILES] if (stream := self._stream(media, one)) is not None]
        if not found:
            raise CameraLost(f"{self._source} names no RTSP stream.", hint="Enable RTSP in the camera's settings.")
        return sorted(found, key=lambda stream: -stream.width * stream.height)

    def _take_time(self) -> None:
        """Learn the camera's time: it refuses a login that seems old, and its clock is mostly wrong."""
        told = self._ask(self._path, f'<GetSystemDateAndTime xmlns="{_DEVICE}"/>', login=False)
        utc = told.find(f".//{{{_SCHEMA}}}UTCDateTime")
        if utc is None:
            return
        names = ("Date/Year", "Date/Month", "Date/Day", "Time/Hour", "Time/Minute", "Time/Second")
        paths = ("/".join(f"{{{_SCHEMA}}}{part}" for part in name.split("/")) for name in names)
        try:
            year, month, day, hour, minute, second = (int(utc.findtext(path) or "") for path in paths)
            at = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=timezone.utc)
        except (ValueError, OverflowError):
            return
        self._ahead = at - datetime.now(timezone.utc)

    def _media_path(self) -> str:
        """Return where the media service is: at this camera, whatever host it names; behind a router that is another one."""
        told = self._ask(self._path, f'<GetCapabilities xmlns="{_DEVICE}"><Category>Media</Category></GetCapabilities>')
        address = told.findtext(f".//{{{_SCHEMA}}}Media/{{{_SCHEMA}}}XAddr") or ""
        try:
            path = urlsplit(address.strip()).path
        except ValueError:
            path = ""
        return path if _is_path(path) else self._path

    def _stream(self, media: str, profile: ET.Element) -> OnvifStream | None:
        token = profile.get("token", "")
        if not token or len(token) > _LONGEST_WORD:
            return None
        told = self._ask(media, _STREAM_URI.format(token=escape(token)))
        url = self._with_login((told.findtext(f".//{{{_SCHEMA}}}Uri") or "").strip())
        if url is None:
            return None
        video = f"{{{_SCHEMA}}}VideoEncoderConfiguration"
        size = (f"{video}/{{{_SCHEMA}}}Resolution/{{{_SCHEMA}}}{side}" for side in ("Width", "Height"))
        width, height = (_whole(profile.findtext(side)) for side in size)
        return OnvifStream(
            name=(profile.findtext(f"{{{_SCHEMA}}}Name") or token)[:64],
            url=url,
            codec=(profile.findtext(f"{video}/{{{_SCHEMA}}}Encoding") or "")[:16].lower(),
            width=width,
            height=height,
        )

    def _with_login(self, address: str) -> SecretUrl | None:
        """Return the address of a stream; the login is put in where it is the camera's own."""
        if not address.startswith("rtsp://") or len(address) > _LONGEST_WORD or not _is_plain(address):
            return None
        try:
            host = urlsplit(address).hostname
        except ValueError:
            return None
        own, has_login = host == self._host, "@" in address.removeprefix("rtsp://").partition("/")[0]
        return SecretUrl(f"rtsp://{self._login}{address.removeprefix('rtsp://')}" if own and not has_login else address)

    def _ask(self, path: str, body: str, *, login: bool = True) -> ET.Element:
        header = self._security() if login and self._user else ""
        status, answer = self._post(path, _ENVELOPE.format(header=header, body=body).encode())
        if status == 401 or b"NotAuthorized" in answer:
            raise CameraLost(f"{self._source} refuses the login.", hint=_HINT)
        # Declarations are how XML is made to grow or to read files; an answer needs none.
        if status != 200 or b"<!" in answer:
            raise CameraLost(f"{self._source} does not answer as an ONVIF camera (HTTP {status}).", hint=_HINT)
        try:
            return ET.fromstring(answer)  # noqa: S314  (bounded, and without declarations)
        except (ET.ParseError, ValueError, LookupError) as error:
            raise CameraLost(f"{self._source} does not answer in XML.", hint=_HINT) from error

    def _post(self, path: str, body: bytes) -> tuple[int, bytes]:
        left = self._deadline - time.monotonic()
        connection = http.client.HTTPConnection(self._host, self._port, timeout=max(0.1, left))
        # Headers that come a byte at a time keep each wait short, and have no end of their own.
        cut = threading.Timer(max(0.1, left), _cut, (connection,))
        cut.start()
        try:
            connection.request("POST", path, body, {"Content-Type": "application/soap+xml; charset=utf-8"})
            response = connection.getresponse()
            answer = b""
            # In pieces: one that sends a byte at a time must not hold us beyond the deadline.
            while time.monotonic() < self._deadline and (piece := response.read1(_LONGEST)):
                answer += piece
                if len(answer) > _LONGEST:
                    raise CameraLost(f"{self._source} answers with more than {_LONGEST} bytes.", hint=_HINT)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise CameraLost(f"{self._source} does not answer: {error}.", hint=_HINT) from error
        finally:
            cut.cancel()
            connection.close()
        if time.monotonic() >= self._deadline:
            raise CameraLost(f"{self._source} takes too long to answer.", hint="Give it more time by --timeout.")
        return response.status, answer

    def _security(self) -> str:
        nonce = secrets.token_bytes(16)
        created = (datetime.now(timezone.utc) + self._ahead).strftime("%Y-%m-%dT%H:%M:%SZ")
        digest = hashlib.sha1(nonce + created.encode() + self._password.encode()).digest()  # noqa: S324  (as ONVIF has it)
        return _LOGIN.format(
            user=escape(self._user),
            digest=b64encode(digest).decode(),
            nonce=b64encode(nonce).decode(),
            created=created,
        )


def _cut(connection: http.client.HTTPConnection) -> None:
    with contextlib.suppress(OSError, AttributeError):
        connection.sock.shutdown(socket.SHUT_RDWR)


def _is_path(text: str) -> bool:
    return text.startswith("/") and len(text) <= _LONGEST_WORD and _is_plain(text)


def _is_plain(text: str) -> bool:
    """Whether a text has neither spaces nor control characters, which could begin another line of a request."""
    return all("!" <= character <= "~" for character in text)


def _whole(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdecimal() and len(text) < 6 else 0
