"""A camera that answers WS-Discovery as ONVIF cameras do, on loopback: by multicast and by unicast."""

from __future__ import annotations

import re
import socket
import struct
import threading
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

GROUP = "239.255.255.250"
_ANSWER = """<?xml version="1.0" encoding="UTF-8"?>
<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://www.w3.org/2003/05/soap-envelope"
 xmlns:wsa="http://schemas.xmlsoap.org/ws/2004/08/addressing"
 xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" xmlns:dn="http://www.onvif.org/ver10/network/wsdl">
<SOAP-ENV:Header><wsa:RelatesTo>{relates}</wsa:RelatesTo></SOAP-ENV:Header>
<SOAP-ENV:Body><d:ProbeMatches><d:ProbeMatch>
<wsa:EndpointReference><wsa:Address>urn:uuid:{id}</wsa:Address></wsa:EndpointReference>
<d:Types>dn:NetworkVideoTransmitter</d:Types><d:Scopes>{scopes}</d:Scopes>
<d:XAddrs>http://{host}/onvif/device_service</d:XAddrs><d:MetadataVersion>1</d:MetadataVersion>
</d:ProbeMatch></d:ProbeMatches></SOAP-ENV:Body></SOAP-ENV:Envelope>"""


class OnvifResponder:
    """Answer each probe with the devices of a list, and with whatever else is asked for; use it in a `with` statement.

    Args:
        devices: (id, host, scopes) of each.
        junk: datagrams that are sent before the answers, as a broken or hostile neighbour would.
    """

    def __init__(self, *devices: tuple[str, str, str], junk: tuple[bytes, ...] = ()) -> None:
        self._devices = devices
        self._junk = junk
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("", 0))
        membership = struct.pack("@4s4si", socket.inet_aton(GROUP), bytes(4), socket.if_nametoindex("lo"))
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        self.port = int(self._socket.getsockname()[1])
        self.asked = 0
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"end", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        while (received := self._socket.recvfrom(65536))[0] != b"end":
            data, sender = received
            asked = re.search(rb"MessageID>([^<]+)<", data)
            if asked is None or b"NetworkVideoTransmitter" not in data:
                continue
            self.asked += 1
            for junk in self._junk:
                self._socket.sendto(junk.replace(b"RELATES", asked[1]), sender)
            for name, host, scopes in self._devices:
                answer = _ANSWER.format(relates=asked[1].decode(), id=name, host=host, scopes=scopes)
                self._socket.sendto(answer.encode(), sender)
