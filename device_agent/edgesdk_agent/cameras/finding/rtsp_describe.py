"""Ask an RTSP camera what it sends, in a few lines of its own protocol.

A player only says that it could not play. Asked directly, a camera says which of name, port, login and path is wrong.
"""

from __future__ import annotations

import hashlib
import re
import socket
from base64 import b64encode
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from edgesdk_agent.cameras.finding.makes import MAKES, make_of
from edgesdk_targets.errors import CameraLost, InputError
from edgesdk_targets.secret_url import SecretUrl

_PORT = 554
_LONGEST = 1 << 16
_ESCAPE = "In user and password write %40 for '@', %3A for ':', %2F for '/'."


@dataclass(frozen=True, slots=True)
class Media:
    """One track of a stream: its kind (`video`, `audio`), its codec (`H264`), and its rate where that is told."""

    kind: str
    codec: str
    fps: float | None = None


@dataclass(frozen=True, slots=True)
class Described:
    """What a camera says of one stream.

    Attributes:
        server: how it calls itself; often empty.
        media: its tracks.
    """

    server: str
    media: tuple[Media, ...] = field(default=())

    @property
    def video(self) -> Media | None:
        return next((one for one in self.media if one.kind == "video"), None)


class NotDescribed(CameraLost):
    """The camera answers, and does not describe this stream.

    Attributes:
        status: its answer's number.
    """

    code = "not_described"

    def __init__(self, message: str, *, hint: str, status: int) -> None:
        super().__init__(message, hint=hint)
        self.status = status


def describe(url: SecretUrl, *, timeout_s: float = 5.0) -> Described:
    """Ask for the description of a stream.

    Raises:
        InputError: the address cannot be read.
        CameraLost: nobody answers, or not in RTSP.
        NotDescribed: it refuses the login, knows no such stream, or cannot serve it.
    """
    try:
        parts = urlsplit(url.reveal())
        host, port = parts.hostname, parts.port or _PORT
    except ValueError:
        host, port = None, 0
    if not host:
        raise InputError(f"{url} is no address of a camera.", hint=f"Write rtsp://user:password@host/path. {_ESCAPE}")
    if parts.scheme == "rtsps":
        raise InputError("rtsps:// is not asked directly.", hint="It is opened all the same.")
    with _connected(url, host, port, timeout_s) as connection:
        asked = _asked(url)
        status, headers, body = _exchange(connection, url, asked, "")
        if status == 401 and (parts.username or parts.password):
            login = _login(headers.get("www-authenticate", []), parts.username, parts.password, asked)
            if login:
                status, headers, body = _exchange(connection, url, asked, login)
    if status != 200:
        raise _refusal(url, status)
    return Described(server=" ".join(headers.get("server", [""]))[:200], media=read_sdp(body))


def read_sdp(text: str) -> tuple[Media, ...]:
    """Return the tracks of a session description (RFC 4566)."""
    found: list[Media] = []
    for block in re.split(r"(?m)^m=", text)[1:]:
        kind = block.split(maxsplit=1)[0][:20] if block.strip() else ""
        codec = re.search(r"(?m)^a=rtpmap:\d+ +([\w.-]{1,40})", block)
        rate = re.search(r"(?m)^a=(?:framerate|x-framerate): ?(\d{1,4}(?:\.\d{1,6})?)", block)
        # Payload types below 96 have fixed meanings; 26 is the one that cameras use.
        fixed = "JPEG" if re.match(r"\S+ \S+ \S+ 26\b", block) else ""
        found.append(Media(kind, codec[1].upper() if codec else fixed, float(rate[1]) if rate else None))
    return tuple(found)


def _connected(url: SecretUrl, host: str, port: int, timeout_s: float) -> socket.socket:
    try:
        return socket.create_connection((host, port), timeout_s)
    except socket.gaierror:
        raise CameraLost(
            f"There is no host {host!r}.", hint="Check the name, or give the address as a number."
        ) from None
    except TimeoutError:
        raise CameraLost(
            f"{host} does not answer within {timeout_s:g} s.",
            hint="Check its power and cable, and that this machine is in its network (VLAN, firewall).",
        ) from None
    except ConnectionRefusedError:
        raise CameraLost(f"{host} is there, and nothing listens at port {port}.", hint=_port_hint(url)) from None
    except OSError as error:
        raise CameraLost(f"{host} cannot be reached: {error.strerror or error}.", hint="Check the network.") from None


def _port_hint(url: SecretUrl) -> str:
    make = make_of(url)
    note = f" {make.name}: {make.note}" if make and make.note else ""
    return f"RTSP is usually at port {_PORT}, and on some cameras it must be switched on first.{note}"


def _asked(url: SecretUrl) -> str:
    """Return the address as a request names it: without the login."""
    text = url.reveal()
    begin = text.find("://") + 3
    return text[:begin] + text[text.rfind("@") + 1 if "@" in text else begin :]


def _exchange(
    connection: socket.socket, url: SecretUrl, asked: str, login: str
) -> tuple[int, dict[str, list[str]], str]:
    lines = [
        f"DESCRIBE {asked} RTSP/1.0",
        f"CSeq: {2 if login else 1}",
        "Accept: application/sdp",
        "User-Agent: edgesdk",
    ]
    if login:
        lines.append(f"Authorization: {login}")
    try:
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        data = b""
        while b"\r\n\r\n" not in data and len(data) < _LONGEST and (more := connection.recv(4096)):
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        status, headers = _head(head.decode("utf-8", "replace"))
        length = min(_LONGEST, int((headers.get("content-length") or ["0"])[0]))
        while len(body) < length and (more := connection.recv(4096)):
            body += more
    except TimeoutError:
        raise CameraLost(f"{url} is connected, and does not answer.", hint="Restart the camera.") from None
    except (OSError, ValueError):
        raise CameraLost(f"{url} answers, but not in RTSP.", hint="Another service may listen at this port.") from None
    return status, headers, body.decode("utf-8", "replace")


def _head(text: str) -> tuple[int, dict[str, list[str]]]:
    first, *rest = text.split("\r\n")
    match = re.match(r"RTSP/\d\.\d (\d{3})", first)
    if match is None:
        raise ValueError(first)
    headers: dict[str, list[str]] = {}
    for line in rest:
        name, _, value = line.partition(":")
        headers.setdefault(name.strip().lower(), []).append(value.strip())
    return int(match[1]), headers


def _login(offers: list[str], username: str | None, password: str | None, asked: str) -> str:
    """Return the header that proves who asks, by the best way that is offered; nothing where none is known."""
    user, secret = unquote(username or ""), unquote(password or "")
    for offer in offers:
        scheme, _, rest = offer.partition(" ")
        said = {key.lower(): value for key, value in re.findall(r'(\w+)="?([^",]*)"?', rest)}
        digest = {"": hashlib.md5, "md5": hashlib.md5, "sha-256": hashlib.sha256}.get(said.get("algorithm", "").lower())
        if scheme.lower() == "digest" and digest is not None:

            def of(*parts: str, digest: object = digest) -> str:
                return str(digest(":".join(parts).encode()).hexdigest())  # type: ignore[operator]

            realm, nonce = said.get("realm", ""), said.get("nonce", "")
            answer = of(of(user, realm, secret), nonce, of("DESCRIBE", asked))
            algorithm = f", algorithm={said['algorithm']}" if "algorithm" in said else ""
            return (
                f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{asked}", response="{answer}"'
                + algorithm
            )
    if any(offer.lower().startswith("basic") for offer in offers):
        return "Basic " + b64encode(f"{user}:{secret}".encode()).decode()
    return ""


def _refusal(url: SecretUrl, status: int) -> NotDescribed:
    make = make_of(url)
    note = f" {make.name}: {make.note}" if make and make.note else ""
    if status in {401, 403}:
        return NotDescribed(f"{url} refuses this user and password.", hint=f"{_ESCAPE}{note}", status=status)
    if status in {400, 404, 451, 454}:
        usual = ", ".join(f"{one.name} {one.main}" for one in MAKES)
        return NotDescribed(f"{url}: the camera has no such stream.", hint=f"Usual paths: {usual}.", status=status)
    if status in {453, 503}:
        hint = "It serves only so many at a time: end other players and recorders."
        return NotDescribed(f"{url}: the camera has no room for one more.", hint=hint, status=status)
    return NotDescribed(f"{url}: the camera answers {status}.", hint="Look into its own log.", status=status)
