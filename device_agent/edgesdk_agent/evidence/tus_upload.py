"""One file to a server by the tus protocol 1.0 (core and creation): what was cut off goes on where the server says it was.

POST url         Upload-Length, Upload-Metadata           → 201, Location
HEAD location                                             → 200, Upload-Offset: so much is there
PATCH location   Upload-Offset, the rest of the file      → 204, Upload-Offset
HEAD location                                             → Upload-Offset = length: only then it is confirmed
"""

from __future__ import annotations

import base64
import http.client
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from edgesdk_agent.evidence.upload_line import UploadLine
from edgesdk_agent.server_address import ServerAddress
from edgesdk_targets.errors import FetchFailed, InputError

_VERSION = {"Tus-Resumable": "1.0.0"}
_BLOCK = 16 << 10
# Of the 4xx, those that may be answered otherwise later: a token is renewed, a path made, a lock released, a limit over.
_LATER = frozenset({401, 403, 404, 408, 409, 423, 429})


class UploadGone(FetchFailed):
    """The server does not know this upload any more; another one is to be created."""

    code = "upload_gone"


class UploadRefused(FetchFailed):
    """The server will not take this file, whenever it is asked: it is too large, for instance."""

    code = "upload_refused"


class TusUpload:
    """Talk to one server.

    Args:
        address: where uploads are created.
        token: of the device, never told.
        max_bytes_per_s: of what is sent.
        timeout_s: for each answer, and each piece.
        stopping: ends an upload at once when it is set.
        context: of TLS; the system's certificates unless given.
    """

    def __init__(
        self,
        address: ServerAddress,
        token: str,
        *,
        max_bytes_per_s: int,
        timeout_s: float = 30.0,
        stopping: threading.Event | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._address = address
        self._token = token
        self._rate = max_bytes_per_s
        self._timeout_s = timeout_s
        self._stopping = stopping or threading.Event()
        self._context = context
        self._line: UploadLine | None = None
        self.sent_bytes = 0

    def abort(self) -> None:
        """End what is under way at once, from another thread; it raises there, and what arrived stays at the server."""
        self._stopping.set()
        if (line := self._line) is not None:
            line.cut()

    def create(self, path: Path, metadata: Mapping[str, str]) -> str:
        """Create an upload for a file, and return where it is.

        Raises:
            UploadRefused: the server will never take it.
            FetchFailed: the server does not take it now, or cannot be reached.
        """
        said = ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in metadata.items())
        answer = self._ask(
            "POST", self._address, {"Upload-Length": str(path.stat().st_size), "Upload-Metadata": said}, (201,)
        )
        try:
            # Checked now, so that the token never goes elsewhere.
            self._address.at(answer["location"])
        except (KeyError, InputError) as error:
            raise FetchFailed("The server did not say where the upload is.", hint="Is it a tus server?") from error
        return answer["location"]

    def offset(self, location: str) -> int:
        """Return how much of the file the server has.

        Raises:
            UploadGone: it knows nothing of it.
            FetchFailed: it cannot be reached, or answers something else.
        """
        answer = self._ask("HEAD", self._address.at(location), {}, (200, 204))
        return _offset(answer)

    def send(self, location: str, path: Path, offset: int) -> int:
        """Send the rest of the file from `offset`, and return how much the server has then.

        Raises:
            UploadGone, UploadRefused, FetchFailed: as `offset` and `create`; what arrived stays there.
        """
        size = path.stat().st_size
        with path.open("rb") as file:
            file.seek(offset)
            body = _Paced(file, self._rate, self._stopping, self._count)
            head = {
                "Upload-Offset": str(offset),
                "Content-Type": "application/offset+octet-stream",
                "Content-Length": str(size - offset),
            }
            return _offset(self._ask("PATCH", self._address.at(location), head, (204, 200), body))

    def _count(self, sent: int) -> None:
        self.sent_bytes += sent

    def _ask(
        self, method: str, to: ServerAddress, head: Mapping[str, str], good: tuple[int, ...], body: _Paced | None = None
    ) -> dict[str, str]:
        line = self._line = UploadLine(to, self._timeout_s, self._context)
        try:
            if self._stopping.is_set():
                raise FetchFailed("The agent stops.", hint="Goes on with the next start.")
            line.open()
            connection = line.http(_BLOCK)
            token = {"Authorization": f"Bearer {self._token}"} if self._token else {}
            connection.request(method, to.path, body, {**_VERSION, **token, **head})
            answer = connection.getresponse()
            status, said = answer.status, {name.lower(): value for name, value in answer.getheaders()}
        except (OSError, http.client.HTTPException) as error:
            # Of the error only its kind: http.client quotes what a server said, and what it was given.
            raise FetchFailed(
                f"{to.host} cannot be reached: {type(error).__name__}.", hint="Tried again later."
            ) from error
        finally:
            self._line = None
            line.close()
        if status in (404, 410) and method != "POST":
            raise UploadGone(f"{to.host} does not know this upload.", hint="It is begun anew.")
        if status not in good:
            kind = UploadRefused if 400 <= status < 500 and status not in _LATER else FetchFailed
            raise kind(f"{to.host} answers {status} to {method}.", hint="Check clips.upload.url and its token.")
        return said


class _Paced:
    """A file that can be read so fast and no faster."""

    def __init__(self, file: IO[bytes], rate: int, stopping: threading.Event, count: Callable[[int], None]) -> None:
        self._file = file
        self._rate = rate
        self._stopping = stopping
        self._count = count
        self._began = time.monotonic()
        self._read = 0

    def read(self, size: int = -1) -> bytes:
        """Read a piece, when its time has come."""
        due = self._began + self._read / self._rate
        if self._stopping.wait(max(0.0, due - time.monotonic())):
            raise ConnectionAbortedError("the agent stops")
        piece = self._file.read(size)
        self._read += len(piece)
        self._count(len(piece))
        return piece


def _offset(answer: Mapping[str, str]) -> int:
    text = answer.get("upload-offset", "")
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise FetchFailed("The server did not say how much it has.", hint="Is it a tus server?")
    return int(text)
