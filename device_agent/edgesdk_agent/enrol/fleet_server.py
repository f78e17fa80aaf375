"""The fleet's service over HTTPS, as a device talks to it: a claim, a renewal, a bundle."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError
from typing_extensions import Self

from edgesdk_agent.enrol.device_key import DeviceKey
from edgesdk_targets.enrolment import (
    AUTHORITY_PATH,
    BUNDLES_PATH,
    CLAIM_PATH,
    MAX_ANSWER_BYTES,
    RENEW_PATH,
    BundleToFetch,
    Certified,
    Claim,
    Claimed,
    Renewal,
)
from edgesdk_targets.errors import BadHash, FetchFailed, InputError, LinkError
from edgesdk_targets.whole_file import replacing, write_all

_TIMEOUT_S = 30.0
_BLOCK = 1 << 18
M = TypeVar("M", bound=BaseModel)


class ClaimRefused(LinkError):
    """The fleet answered, and the answer is no: the same again will not help."""

    code = "refused"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who asks: a key and its certificate."""

    key: DeviceKey
    certificate_pem: str


class FleetServer:
    """The service at an address.

    Args:
        url: `https://host[:port]`.
        authority: the certificates to trust, PEM; those of the system where it is empty.
        clock: seconds since 1970.

    Raises:
        InputError: it is no https:// address.
    """

    def __init__(self, url: str, authority: str = "", *, clock: Callable[[], float] = time.time) -> None:
        self.url = checked_url(url)
        self._context = ssl.create_default_context(cadata=authority or None)
        self._clock = clock

    @classmethod
    def pinned(cls, url: str, ca_sha256: str) -> tuple[FleetServer, str]:
        """Fetch the authority's certificate, and return the server that it vouches for, and the certificate as PEM.

        It is fetched from whoever answers, and trusted because its digest is the one that a person brought here.

        Raises:
            ClaimRefused: its digest is another one.
            FetchFailed: nobody answers.
        """
        anybody = ssl.create_default_context()
        anybody.check_hostname = False
        anybody.verify_mode = ssl.CERT_NONE
        server = cls(url)
        server._context = anybody
        pem = server._ask("GET", AUTHORITY_PATH).decode("ascii", "replace")
        try:
            digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
        except ValueError as error:
            raise ClaimRefused(f"{url} did not send a certificate.", hint="Is it the fleet's service?") from error
        if digest != ca_sha256.lower():
            raise ClaimRefused(
                f"{url} is not the fleet that is meant: its authority is {digest}.",
                hint="Somebody may stand between this device and the fleet. Do not go on; compare the install line.",
            )
        return cls(url, pem), pem

    def claim(self, token: str, key: DeviceKey, name: str = "") -> Claimed:
        """Claim the identity that a token is for. Raises ClaimRefused or FetchFailed."""
        body = Claim(token=token, request=key.request(), name=name).model_dump_json().encode()
        return _read(Claimed, self._ask("POST", CLAIM_PATH, body))

    def renew(self, holder: Holder, key: DeviceKey) -> Certified:
        """Ask for a certificate for another key of the same device. Raises ClaimRefused or FetchFailed."""
        body = Renewal(request=key.request()).model_dump_json().encode()
        return _read(Certified, self._ask("POST", RENEW_PATH, body, self._proof(holder, "POST", RENEW_PATH, body)))

    def fetch(self, bundle: BundleToFetch, holder: Holder, place: Path) -> None:
        """Download a bundle, and put it into its place only when every byte of it is the right one.

        Raises:
            FetchFailed: it did not come.
            BadHash: what came is something else; nothing is kept.
            NoSpace: the disk is full.
        """
        path = BUNDLES_PATH + bundle.sha256
        # Root writes here in a folder that the service's user owns: never by a name that this user could have taken.
        with replacing(place) as out:
            digest, size = self._download(path, self._proof(holder, "GET", path, b""), bundle.size_bytes, out)
            if (digest, size) != (bundle.sha256, bundle.size_bytes):
                raise BadHash(
                    f"{bundle.name} came as something else.", hint="Try again; then ask the fleet's operator."
                )

    def _proof(self, holder: Holder, method: str, path: str, body: bytes) -> dict[str, str]:
        at = int(self._clock())
        return holder.key.proof(method, path, body, certificate_pem=holder.certificate_pem, at=at)

    def _ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
        with self._answer(method, path, body, headers or {}) as answer:
            found = answer.read(MAX_ANSWER_BYTES + 1)
            if len(found) > MAX_ANSWER_BYTES:
                raise FetchFailed(f"{self.url} answers more than it should.", hint="Is it the fleet's service?")
            return found

    def _download(self, path: str, headers: Mapping[str, str], limit: int, out: int) -> tuple[str, int]:
        digest, size = hashlib.sha256(), 0
        with self._answer("GET", path, b"", headers) as answer:
            # Never more than was announced, however long the other side goes on.
            while size <= limit and (block := answer.read(_BLOCK)):
                digest.update(block)
                size += len(block)
                write_all(out, block)
        return digest.hexdigest(), size

    def _answer(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> _Answer:
        parts = urlsplit(self.url)
        connection = http.client.HTTPSConnection(
            str(parts.hostname), parts.port or 443, timeout=_TIMEOUT_S, context=self._context
        )
        kind = {"Content-Type": "application/json"} if body else {}
        try:
            connection.request(method, path, body or None, {**kind, "User-Agent": "edgesdk-agent", **headers})
            answer = connection.getresponse()
        except ssl.SSLCertVerificationError as error:
            connection.close()
            raise FetchFailed(f"{self.url} is not trusted: {error.verify_message}.", hint=_TRUST) from error
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
            raise FetchFailed(
                f"{self.url} does not answer: {reason}.", hint="Is the address right, and the network there?"
            ) from error
        if answer.status != 200:
            said = answer.read(8192)
            connection.close()
            raise _refusal(self.url, answer.status, said)
        return _Answer(connection, answer)


_TRUST = "Paste the whole install line; a clock that is far off makes every certificate look wrong as well."


class _Answer:
    """An answer that is read while its connection is open."""

    def __init__(self, connection: http.client.HTTPSConnection, answer: http.client.HTTPResponse) -> None:
        self._connection = connection
        self._answer = answer

    def read(self, count: int) -> bytes:
        try:
            return self._answer.read(count)
        except (OSError, http.client.HTTPException) as error:
            raise FetchFailed("The connection to the fleet broke off.", hint="Try again.") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def checked_url(url: str) -> str:
    """Return an https:// address of a host without a path. Raises InputError."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        usable = False
    if not usable or parts.path not in ("", "/") or parts.query or not url.isascii() or not url.isprintable():
        raise InputError(f"{url[:100]!r} is no address of a fleet's service.", hint="https://fleet.example.org:8443")
    return f"https://{parts.netloc}"


def _refusal(url: str, status: int, said: bytes) -> LinkError:
    """Return what an answer that is no success means; of its text only what is printable is shown."""
    message, hint = "", ""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        problem = json.loads(said)["error"]
        message, hint = str(problem["message"])[:300], str(problem["hint"])[:300]
    message, hint = ("".join(c for c in text if c.isprintable()) for text in (message, hint))
    text = message or f"{url} answered with {status}."
    return ClaimRefused(text, hint=hint) if 400 <= status < 500 and status != 429 else FetchFailed(text, hint=hint)


def _read(model: type[M], said: bytes) -> M:
    try:
        return model.model_validate_json(said)
    except ValidationError as error:
        raise FetchFailed(
            "The fleet answered something that this version does not understand.", hint="Update edgesdk on the device."
        ) from error
