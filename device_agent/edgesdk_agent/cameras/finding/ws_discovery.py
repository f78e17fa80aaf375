"""Find ONVIF cameras in the local network: WS-Discovery, one question by UDP multicast and whatever answers.

Answers come from anybody in the network: they are bounded in size and number, XML with declarations of its own is
refused, and nothing that they name is opened.
"""

from __future__ import annotations

import re
import socket
import struct
import time
import uuid
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree as ET

from edgesdk_targets.errors import InputError

GROUP, PORT = "239.255.255.250", 3702
_LONGEST = 1 << 16
_MOST_ANSWERS = 4096
_MOST_ADDRESSES = 16
_QUESTION = """<?xml version="1.0" encoding="utf-8"?>
<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" xmlns:w="http://schemas.xmlsoap.org/ws/2004/08/addressing"
 xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" xmlns:dn="http://www.onvif.org/ver10/network/wsdl">
<e:Header><w:MessageID>uuid:{id}</w:MessageID><w:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</w:To>
<w:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</w:Action></e:Header>
<e:Body><d:Probe><d:Types>dn:NetworkVideoTransmitter</d:Types></d:Probe></e:Body></e:Envelope>"""
_DISCOVERY = "{http://schemas.xmlsoap.org/ws/2005/04/discovery}"
_ADDRESSING = "{http://schemas.xmlsoap.org/ws/2004/08/addressing}"
# What anybody in the network may have named is shown as part of a command line.
_PATH = re.compile(r"[A-Za-z0-9/_.-]{0,200}")
_SCOPE = "onvif://www.onvif.org/"


@dataclass(frozen=True, slots=True)
class FoundCamera:
    """A device that says it is an ONVIF camera.

    Attributes:
        host: its address.
        name, hardware, location: as it says; may be empty.
        services: addresses of its ONVIF service.
        id: its own, the same at every address.
    """

    host: str
    name: str = ""
    hardware: str = ""
    location: str = ""
    services: tuple[str, ...] = ()
    id: str = ""


def discover(*, seconds: float = 3.0, address: str = GROUP, port: int = PORT, interface: str = "") -> list[FoundCamera]:
    """Ask, and return what answered within the time, by address.

    Args:
        seconds: to wait for answers.
        address: the multicast group, or one camera's address where multicast does not reach it.
        interface: this machine's address in the network to ask; every interface unless given.

    Raises:
        InputError: the address or the interface cannot be used.
    """
    asked = f"{uuid.uuid4()}"
    question = _QUESTION.format(id=asked).encode()
    found: dict[str, FoundCamera] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        _send(link, question, address, port, interface)
        deadline = time.monotonic() + seconds
        for _ in range(_MOST_ANSWERS):
            left = deadline - time.monotonic()
            if left <= 0:
                break
            link.settimeout(left)
            try:
                data, sender = link.recvfrom(_LONGEST)
            except TimeoutError:
                break
            except OSError:  # an earlier question came back as refused
                continue
            for camera in read_answer(data, sender[0], asked):
                found.setdefault(camera.id or camera.host, camera)
    return sorted(found.values(), key=lambda camera: tuple(part.zfill(3) for part in camera.host.split(".")))


def onvif_place(camera: FoundCamera) -> str:
    """Return host, port and path under which a camera is asked for its streams: of its own services, the first at its host."""
    for service in camera.services:
        try:
            parts = urlsplit(service)
            if parts.scheme == "http" and parts.hostname == camera.host and _PATH.fullmatch(parts.path):
                port = f":{parts.port}" if parts.port not in (None, 80) else ""
                return f"{camera.host}{port}{parts.path}"
        except ValueError:
            continue
    return camera.host


def read_answer(data: bytes, sender: str, asked: str) -> list[FoundCamera]:
    """Return the cameras that one answer names; nothing where it is none, or not to this question."""
    # Declarations are how XML is made to grow or to read files; an answer needs none.
    if b"<!" in data:
        return []
    try:
        root = ET.fromstring(data)  # noqa: S314  (bounded, and without declarations)
    except (ET.ParseError, ValueError, LookupError):
        return []
    if asked not in (root.findtext(f".//{_ADDRESSING}RelatesTo") or ""):
        return []
    return [_camera(match, sender) for match in root.iter(f"{_DISCOVERY}ProbeMatch")]


def _camera(match: ET.Element, sender: str) -> FoundCamera:
    services = tuple((match.findtext(f"{_DISCOVERY}XAddrs") or "").split())[:_MOST_ADDRESSES]
    scopes = (match.findtext(f"{_DISCOVERY}Scopes") or "").split()
    said: dict[str, str] = {}
    for scope in scopes:
        kind, _, value = scope.removeprefix(_SCOPE).partition("/")
        said.setdefault(kind, unquote(value)[:200])
    return FoundCamera(
        host=_host(services, sender),
        name=said.get("name", ""),
        hardware=said.get("hardware", ""),
        location=said.get("location", ""),
        services=services,
        id=(match.findtext(f".//{_ADDRESSING}Address") or "")[:200],
    )


def _host(services: tuple[str, ...], sender: str) -> str:
    """Return where it is: who sent the answer, if the camera names that address too or none that can be read."""
    hosts = []
    for service in services:
        try:
            hosts.append(urlsplit(service).hostname or "")
        except ValueError:
            continue
    usable = [host for host in hosts if host and not host.startswith("169.254.") and ":" not in host]
    return sender if not usable or sender in usable else usable[0]


def _send(link: socket.socket, question: bytes, address: str, port: int, interface: str) -> None:
    try:
        group = socket.inet_aton(address)[0] in range(224, 240)
        if not group:
            link.sendto(question, (address, port))
            return
        link.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 2)
        if interface:
            link.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(interface))
            link.sendto(question, (address, port))
            return
    except OSError as error:
        what = f"{address}" + (f" by {interface}" if interface else "")
        raise InputError(f"Nothing can be sent to {what}: {error}.", hint="Give addresses as numbers.") from error
    sent = 0
    for index, _name in socket.if_nameindex():
        try:
            # struct ip_mreqn: the interface by its number, as it may have several addresses.
            link.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("@4s4si", bytes(4), bytes(4), index))
            link.sendto(question, (address, port))
            sent += 1
        except OSError:  # it is down, or carries no multicast
            continue
    if not sent:
        raise InputError("No network interface carries multicast.", hint="Give --address of one camera.")
