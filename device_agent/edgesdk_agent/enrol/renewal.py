"""A new certificate before the present one ends: asked for after two thirds of its time, by a thread of its own.

The new one counts from the next connection on; the present connection stays. A fleet that cannot be reached is asked again
and again until the end, with days between at first. The key is a new one each time.
"""

from __future__ import annotations

import logging
import random
import ssl
import threading
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from edgesdk_agent.enrol.identity_files import IdentityFacts, IdentityFiles
from edgesdk_targets.errors import EdgeError

log = logging.getLogger(__name__)

_SHARE = 2 / 3
_LONGEST_S = 6 * 3600.0
_SHORTEST_S = 60.0


def due_in_s(facts: IdentityFacts, now: datetime) -> float:
    """Return in how many seconds a certificate is to be renewed; 0 or less where it is time."""
    life = (facts.not_after - facts.not_before).total_seconds()
    return life * _SHARE - (now - facts.not_before).total_seconds()


class Renewal:
    """Renews the identity in a folder for as long as the agent runs.

    Args:
        files: the identity.
        tls: of the connection to the broker; gets the new certificate.
        now: the time.
        retry_s: the delay after a failure, given how much of the certificate's time is left.
    """

    def __init__(
        self,
        files: IdentityFiles,
        tls: ssl.SSLContext | None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
        retry_s: Callable[[float], float] | None = None,
    ) -> None:
        self._files = files
        self._tls = tls
        self._now = now
        self._retry_s = retry_s or _retry_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="edgesdk-renewal", daemon=True)
        self.renewed = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End it; a request that is under way is not waited for."""
        self._stopping.set()

    def renew(self) -> None:
        """Get a new certificate now, and use it from the next connection on.

        Raises:
            EdgeError: the fleet does not answer, or says no.
        """
        # Only now, once in weeks, are HTTP and cryptography needed.
        from edgesdk_agent.enrol.device_key import DeviceKey
        from edgesdk_agent.enrol.fleet_server import ClaimRefused, FleetServer, Holder

        facts = self._files.facts()
        key_pem, certificate = self._files.key_and_certificate()
        authority = self._files.authority()
        server = FleetServer(facts.server, authority if facts.pinned else "", clock=lambda: self._now().timestamp())
        new = DeviceKey()
        certified = server.renew(Holder(DeviceKey(key_pem), certificate), new)
        if not new.belongs_to(certified.certificate) or certified.node != facts.node:
            raise ClaimRefused("The fleet sent a certificate for somebody else.", hint="Ask the fleet's operator.")
        # The pinned authority stays: a renewal must not be a way to bring in another one.
        kept = certified.model_copy(update={"authority": authority})
        self._files.keep(new.pem, kept, server=facts.server, pinned=facts.pinned)
        if self._tls is not None:
            self._tls.load_cert_chain(str(self._files.device), password="")
        self.renewed += 1
        log.info("The certificate was renewed; it holds until %s", certified.not_after.isoformat())

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._stopping.wait(self._step())

    def _step(self) -> float:
        """Renew if it is time; return how long to wait."""
        left_s = 0.0
        try:
            facts = self._files.facts()
            left_s = (facts.not_after - self._now()).total_seconds()
            due = due_in_s(facts, self._now())
            if due > 0:
                # Not in one piece: the clock of a device may be set meanwhile.
                return min(due, _LONGEST_S) + 0.1
            self.renew()
            return _SHORTEST_S
        except EdgeError as error:
            log.warning("The certificate was not renewed, %.0f h before its end: %s", left_s / 3600, error.message)
            return self._retry_s(left_s)
        except Exception:  # the thread's top: whatever it is, the next attempt begins anew
            log.exception("The renewal failed")
            return _LONGEST_S


def _retry_s(left_s: float) -> float:
    """Wait a twentieth of what is left, between a minute and six hours, and not all devices at the same time."""
    return min(max(left_s / 20, _SHORTEST_S), _LONGEST_S) * (0.5 + random.random())  # noqa: S311  (no secret)


def renewal_for(certificate: Path | None, tls: ssl.SSLContext | None) -> Renewal | None:
    """Return what renews the certificate of a configuration, or None where it came from elsewhere."""
    if certificate is None:
        return None
    files = IdentityFiles(certificate.parent)
    return Renewal(files, tls) if files.device == certificate and files.exists() else None
