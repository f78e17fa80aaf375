"""Where a release can be read from, chunk by chunk: a server over HTTPS, or a file on this machine, such as on a stick."""

from __future__ import annotations

import http.client
import io
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

from edgesdk_agent.server_address import ServerAddress
from edgesdk_agent.update.fetch.bandwidth import Bandwidth
from edgesdk_agent.update.fetch.certificate_refusal import untrusted
from edgesdk_targets.agent_release.agent_release import open_release
from edgesdk_targets.bundle.chunk_list import CHUNKS_SUFFIX, MAX_LIST_BYTES, chunks_of
from edgesdk_targets.errors import FetchFailed, InputError
from edgesdk_targets.signing.check import signatures_of

_BLOCK = 64 << 10
# A server that gives less than the slowest modem holds a device up.
_LEAST_BYTES_PER_S = 256
_LOOK_S = 1.0


class Changed(FetchFailed):
    """The file at the place is another one than at the beginning."""

    code = "file_changed"


class RefusedByServer(FetchFailed):
    """The server answers, and gives nothing.

    Attributes:
        status: of its answer.
    """

    def __init__(self, status: int) -> None:
        super().__init__(f"The server answered {status}.", hint="Check the address, and that the bundle was published.")
        self.status = status


class Place(Protocol):
    """A file that can be read in parts."""

    def chunk_list(self) -> bytes:
        """Return the list of chunks, unchecked. Raises FetchFailed."""

    def read(self, start: int, length: int) -> bytes:
        """Return at most `length` bytes from `start` on: fewer where it was cut off.

        Raises:
            Changed: the file is not the one whose parts came before.
            FetchFailed: nothing comes.
        """


class LocalPlace:
    """A bundle file that lies here; what a list beside it would say is read off the file itself.

    Args:
        accept: is asked with its digest and signature before anything else of it is believed; see `open_bundle`.
    """

    def __init__(self, path: Path, accept: Callable[[str, bytes | None], object] | None = None) -> None:
        self._path, self._accept = path, accept

    def chunk_list(self) -> bytes:
        if not self._path.is_file():
            raise FetchFailed(f"There is no file {self._path}.", hint="Is the stick in, and may the service see it?")
        with open_release(self._path, accept=self._accept) as bundle:
            signed = signatures_of(bundle)
            return chunks_of(bundle, 0 if signed is None else signed.read_statement().release).to_bytes()

    def read(self, start: int, length: int) -> bytes:
        try:
            with self._path.open("rb") as file:
                file.seek(start)
                return file.read(length)
        except OSError as error:
            raise FetchFailed(
                f"{self._path} cannot be read: {error.strerror or error}.", hint="Is the stick in?"
            ) from error


class ServerPlace:
    """A bundle file on a server.

    One request a chunk, each with `Range`, and with `If-Range` from the second on: a server whose file was replaced answers
    with the whole of the new one, of which not a byte is taken. Redirects are not followed.

    Args:
        url: https, or http to this machine itself.
        bandwidth: what comes is taken out of it as it comes, so that a cap holds within a chunk too.
        stopping: ends a request at once.
        go_on: asked every second while something comes; raises where nothing more is wanted.
        authority: a PEM file of whom to trust; the system's authorities unless given.
        timeout_s: how long nothing may come, and how long an answer may take to begin.

    Raises:
        InputError: it is no such address.
    """

    def __init__(
        self,
        url: str,
        *,
        bandwidth: Bandwidth | None = None,
        stopping: threading.Event | None = None,
        go_on: Callable[[], object] = lambda: None,
        authority: Path | None = None,
        timeout_s: float = 30.0,
    ) -> None:
        self._to = _bundle_address(url)
        self._bandwidth, self._stopping = bandwidth or Bandwidth(None), stopping or threading.Event()
        self._timeout_s, self._authority = timeout_s, authority
        self._go_on, self._look_at, self._until = go_on, time.monotonic() + _LOOK_S, 0.0
        self._tag = ""

    def chunk_list(self) -> bytes:
        return self._whole(self._to.path + CHUNKS_SUFFIX, MAX_LIST_BYTES + 1)

    def whole(self, most: int) -> bytes:
        """Return the file, at most so many bytes of it. Raises FetchFailed."""
        return self._whole(self._to.path, most)

    def _whole(self, path: str, most: int) -> bytes:
        with self._answer(path, {}) as answer:
            if answer.status != 200:
                raise RefusedByServer(answer.status)
            return self._body(answer, most)

    def read(self, start: int, length: int) -> bytes:
        head = {"Range": f"bytes={start}-{start + length - 1}"}
        if self._tag:
            head["If-Range"] = self._tag
        with self._answer(self._to.path, head) as answer:
            tag = answer.getheader("ETag") or ""
            if answer.status == 200 and (start or self._tag) and tag == self._tag:
                raise FetchFailed("The server gives no parts of files.", hint="Use one that knows `Range`.")
            if answer.status == 200 and (start or self._tag):
                raise Changed("The file on the server was replaced.", hint="It is fetched anew.")
            if answer.status not in {200, 206}:
                raise RefusedByServer(answer.status)
            if answer.status == 206 and not (answer.getheader("Content-Range") or "").startswith(f"bytes {start}-"):
                raise FetchFailed("The server sent another part than was asked for.", hint="Is there a bad proxy?")
            # A weak tag does not promise the same bytes, and must not be used so.
            self._tag = self._tag or ("" if tag.startswith("W/") else tag)
            return self._body(answer, length)

    def _body(self, answer: http.client.HTTPResponse, most: int) -> bytes:
        """Return what comes, never more than asked for, and as far as it comes."""
        taken, began = bytearray(), time.monotonic()
        try:
            while len(taken) < most and not self._stopping.is_set():
                # `read1` gives what is there: after a cut that is kept, and only the rest asked for again.
                self._until = began + self._timeout_s + len(taken) / _LEAST_BYTES_PER_S
                block = answer.read1(min(_BLOCK, most - len(taken)))
                if not block:
                    break
                taken += block
                self._bandwidth.take(len(block))
        except (OSError, http.client.HTTPException):
            if not taken:
                raise
        return bytes(taken)

    @contextmanager
    def _answer(self, path: str, head: Mapping[str, str]) -> Iterator[http.client.HTTPResponse]:
        if self._stopping.is_set():
            raise FetchFailed("The agent stops.", hint="It goes on with the next start.")
        if self._to.scheme == "https":
            context = _trusting(self._authority)
            line: http.client.HTTPConnection = http.client.HTTPSConnection(
                self._to.host, self._to.port, timeout=self._timeout_s, context=context
            )
        else:
            line = http.client.HTTPConnection(self._to.host, self._to.port, timeout=self._timeout_s)
        try:
            try:
                line.request("GET", path, headers={**head, "Accept-Encoding": "identity"})
            except UnicodeError as error:  # a host that is no name, which only asking for it tells
                raise InputError(f"{self._to.host} is no host.", hint="Write https://host/NAME.edgebundle.") from error
            self._until = time.monotonic() + self._timeout_s
            with closing(http.client.HTTPResponse(line.sock, method="GET")) as answer:
                answer.fp = io.BufferedReader(_Asked(answer.fp.detach(), self._wanted))
                answer.begin()
                yield answer
        except ssl.SSLCertVerificationError as error:
            raise untrusted(self._to.host, error) from error
        except (OSError, http.client.HTTPException) as error:
            said = getattr(error, "strerror", None) or type(error).__name__
            raise FetchFailed(f"{self._to.host} does not answer: {said}.", hint="It is tried again.") from error
        finally:
            line.close()

    def _wanted(self) -> None:
        """Refuse to wait for more: of a server that drips, or where nothing more is wanted."""
        now = time.monotonic()
        if now >= self._until:
            raise FetchFailed(f"{self._to.host} is too slow.", hint="It is tried again.")
        if now >= self._look_at:
            self._look_at = now + _LOOK_S
            self._go_on()


class _Asked(io.RawIOBase):
    """What comes from a server; `wanted` is asked before each wait for more, the answer's head included, and raises to end it."""

    def __init__(self, line: io.RawIOBase, wanted: Callable[[], None]) -> None:
        self._line, self._wanted = line, wanted

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        self._wanted()
        return self._line.readinto(buffer)

    def close(self) -> None:
        self._line.close()
        super().close()


def _trusting(authority: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authority)
    except OSError as error:
        raise InputError(
            f"update.ca, {authority}, holds no certificates that can be read.", hint="Give a PEM file."
        ) from error


def _bundle_address(url: str) -> ServerAddress:
    """Read the address of a bundle. Raises InputError."""
    address = ServerAddress.parse(url, "The address of a bundle", "Write https://host/NAME.edgebundle.")
    if "?" in url or "#" in url:
        raise InputError("The address of a bundle has no query.", hint="Its list of chunks lies beside it.")
    return address
