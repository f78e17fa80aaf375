"""A camera's ONVIF service over HTTP: it checks the login's digest, has a clock of its own, and can be made to answer anything."""

from __future__ import annotations

import hashlib
import re
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from typing_extensions import Self

USER, PASSWORD = "viewer", "p@ss<&>word"
_TT = 'xmlns:tt="http://www.onvif.org/ver10/schema"'
_FRAME = '<?xml version="1.0"?><e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Body>{}</e:Body></e:Envelope>'
_PROFILE = (
    '<m:Profiles token="{token}"><tt:Name>{token}</tt:Name><tt:VideoEncoderConfiguration><tt:Encoding>H264</tt:Encoding>'
    "<tt:Resolution><tt:Width>{width}</tt:Width><tt:Height>{height}</tt:Height></tt:Resolution>"
    "</tt:VideoEncoderConfiguration></m:Profiles>"
)


class OnvifCamera:
    """Serve on loopback; use it in a `with` statement.

    Args:
        streams: address of each profile by its token, written as in XML; the first is the smallest.
        ahead: of its clock.
        answers: by the name of a question, what is answered in place of the right thing: bytes, or what gives them.

    Attributes:
        asked: names of the questions, in order; heard: the text of each request.
    """

    def __init__(
        self,
        streams: dict[str, str] | None = None,
        *,
        ahead: timedelta = timedelta(),
        answers: dict[str, bytes | Callable[[Any], None]] | None = None,
    ) -> None:
        self.asked: list[str] = []
        self.heard: list[str] = []
        self.streams = streams or {}
        self._ahead = ahead
        self._answers = answers or {}
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                camera._serve(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _serve(self, request: Any) -> None:
        text = request.rfile.read(int(request.headers["Content-Length"])).decode()
        root = ET.fromstring(text)
        body = root.find("{http://www.w3.org/2003/05/soap-envelope}Body")
        assert body is not None
        name = body[0].tag.partition("}")[2]
        self.asked.append(name)
        self.heard.append(text)
        made = self._answers.get(name)
        if callable(made):
            made(request)
            return
        status, answer = (200, made) if made is not None else self._answer(name, root)
        request.send_response(status)
        request.send_header("Content-Length", str(len(answer)))
        request.end_headers()
        request.wfile.write(answer)

    def _answer(self, name: str, root: ET.Element) -> tuple[int, bytes]:
        now = datetime.now(timezone.utc) + self._ahead
        if name == "GetSystemDateAndTime":
            date = {"Year": now.year, "Month": now.month, "Day": now.day}
            clock = {"Hour": now.hour, "Minute": now.minute, "Second": now.second}
            told = f"<tt:Date>{_elements(date)}</tt:Date><tt:Time>{_elements(clock)}</tt:Time>"
            return 200, _FRAME.format(f"<x {_TT}><tt:UTCDateTime>{told}</tt:UTCDateTime></x>").encode()
        if not self._knows(root, now):
            return 400, _FRAME.format("<e:Fault><e:Value>ter:NotAuthorized</e:Value></e:Fault>").encode()
        if name == "GetCapabilities":
            # As behind a router: another host than the one that was asked.
            inner = f"<x {_TT}><tt:Media><tt:XAddr>http://192.168.7.7/onvif/media_service</tt:XAddr></tt:Media></x>"
        elif name == "GetProfiles":
            profiles = "".join(
                _PROFILE.format(token=token, width=320 * number, height=240 * number)
                for number, token in enumerate(self.streams, 1)
            )
            inner = f'<x xmlns:m="http://www.onvif.org/ver10/media/wsdl" {_TT}>{profiles}</x>'
        else:
            token = root.findtext(".//{http://www.onvif.org/ver10/media/wsdl}ProfileToken") or ""
            inner = f"<x {_TT}><tt:Uri>{self.streams[token]}</tt:Uri></x>"
        return 200, _FRAME.format(inner).encode()

    def _knows(self, root: ET.Element, now: datetime) -> bool:
        """Check the digest, and that it was made within a few seconds of this camera's clock."""
        said = {element.tag.partition("}")[2]: element.text or "" for element in root.iter()}
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", said.get("Created", "")):
            return False
        made = datetime.strptime(said["Created"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
        digest = hashlib.sha1(b64decode(said["Nonce"]) + said["Created"].encode() + PASSWORD.encode()).digest()
        right = said["Username"] == USER and said["Password"] == b64encode(digest).decode()
        return right and abs(made - now) < timedelta(seconds=10)


def _elements(values: dict[str, int]) -> str:
    return "".join(f"<tt:{name}>{value}</tt:{name}>" for name, value in values.items())
