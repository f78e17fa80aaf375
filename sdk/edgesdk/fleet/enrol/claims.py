"""What becomes of a claim and of a renewal: checked, signed, written down; no HTTP.

A refusal never says which part of a token was wrong, and says the same of one that never was and one that was used up.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from cryptography import x509
from sqlalchemy import Connection, Engine

from edgesdk.fleet.enrol.authority import DEVICE_DAYS, Authority, Issued
from edgesdk.fleet.enrol.bundle_shelf import BundleShelf
from edgesdk.fleet.enrol.certificate import (
    BadRequest,
    fingerprint,
    key_fingerprint,
    read_request,
    request_key_fingerprint,
)
from edgesdk.fleet.enrol.templates import render
from edgesdk.fleet.enrol.tokens import token_hash
from edgesdk.fleet.store import enrolments, templates
from edgesdk.fleet.store.engine import reading, writing
from edgesdk_targets.enrolment import BundleToFetch, Certified, Claim, Claimed, Renewal
from edgesdk_targets.errors import EdgeError
from edgesdk_targets.topics import Node


class Refused(EdgeError):
    """A claim or a renewal is refused: who asks has not shown that he may."""

    code = "refused"


@dataclass(frozen=True)
class EnrolmentDesk:
    """Where devices get their identity.

    Attributes:
        engine: the store.
        broker: where enrolled devices report, `mqtts://host:8883`.
        bundles: which can be fetched.
        clock: seconds since 1970.
    """

    engine: Engine
    authority: Authority
    broker: str
    bundles: BundleShelf
    days: float = DEVICE_DAYS
    clock: Callable[[], float] = time.time

    def claim(self, claim: Claim) -> Claimed:
        """Give a device its identity.

        Raises:
            Refused: the token is not known, used, taken back or has run out.
            BadRequest: the request is not one that is signed; the token stays good.
        """
        now_ms = self._now_ms()
        hashed = token_hash(claim.token)
        # Reading disturbs nobody: who guesses tokens, or asks for a bundle whose digest takes a while, holds no writer up.
        with reading(self.engine) as connection:
            found = enrolments.find_enrolment(connection, hashed)
            if found is None or found.revoked_ms is not None:
                raise _refused()
            wanted = self.wanted(connection, found.template, found.site, found.node, found.configuration)
        self._bundle_of(wanted)
        with writing(self.engine) as connection:
            found = enrolments.find_enrolment(connection, hashed)
            if found is None or found.revoked_ms is not None:
                raise _refused()
            node = Node.parse(found.node)
            request = claim.request.encode()
            read_request(request, node)
            given = enrolments.certificate_of_enrolment(connection, found.id)
            if given is not None and self._is_lost_answer(given, found, request, now_ms):
                return self._claimed(connection, found, given.pem, given.not_before_ms, given.not_after_ms)
            if not enrolments.use_enrolment(connection, found, now_ms):
                raise _refused()
            issued = self.authority.sign_device(request, node, days=self.days)
            row = enrolments.enrolled_node(connection, found, now_ms)
            kept = _stored(issued, now_ms)
            enrolments.add_certificate(connection, row, found.id, kept)
            return self._claimed(connection, found, issued.pem, kept.not_before_ms, kept.not_after_ms)

    def renew(self, renewal: Renewal, holder: x509.Certificate) -> Certified:
        """Give a device another certificate; who asks has shown that he holds the present one.

        Raises:
            Refused: the present certificate was revoked, or is not one that this fleet gave out.
            BadRequest: the request is not one that is signed.
        """
        now_ms = self._now_ms()
        with writing(self.engine) as connection:
            node = self.check_holder(connection, holder)
            known = enrolments.node_row(connection, str(node))
            if known is None:
                raise _refused()
            issued = self.authority.sign_device(renewal.request.encode(), node, days=self.days)
            enrolments.add_certificate(connection, known[0], None, _stored(issued, now_ms))
        return Certified.model_validate(
            {
                "node": str(node), "certificate": issued.pem, "authority": self.authority.certificate_pem.decode(),
                "not_before": issued.not_before, "not_after": issued.not_after,
            }
        )  # fmt: skip

    def holder_of(self, certificate: x509.Certificate) -> Node:
        """Return the device that a certificate names, if it is good now. Raises Refused."""
        with reading(self.engine) as connection:
            return self.check_holder(connection, certificate)

    def check_holder(self, connection: Connection, certificate: x509.Certificate) -> Node:
        """Return the device that a certificate names, if it is good now. Raises Refused."""
        node = self.authority.device_of(certificate, datetime.fromtimestamp(self.clock(), timezone.utc))
        known = enrolments.find_certificate(connection, f"{certificate.serial_number:x}")
        if node is None or known is None or known.node != str(node) or known.fingerprint != fingerprint(certificate):
            raise _refused()
        row = enrolments.node_row(connection, str(node))
        if known.revoked_ms is not None or row is None or row[1] is not None:
            raise _refused()
        return node

    def wanted(
        self, connection: Connection, template: str, site: str, node: str, given: dict[str, Any]
    ) -> dict[str, Any]:
        """Return the configuration that a device is to have."""
        if not template:
            return render(given, ())
        body = templates.get_template(connection, template).body
        return render(body, [*templates.overrides_of(connection, template, site, node), given])

    def bundle_file(self, sha256: str) -> Path | None:
        """Return the bundle of a digest."""
        return self.bundles.file_of(sha256)

    def _claimed(
        self, connection: Connection, found: enrolments.Enrolment, pem: str, not_before_ms: int, not_after_ms: int
    ) -> Claimed:
        wanted = self.wanted(connection, found.template, found.site, found.node, found.configuration)
        enrolments.keep_given(connection, found.id, wanted)
        return Claimed(
            node=found.node,
            certificate=pem,
            authority=self.authority.certificate_pem.decode(),
            not_before=datetime.fromtimestamp(not_before_ms / 1000, timezone.utc),
            not_after=datetime.fromtimestamp(not_after_ms / 1000, timezone.utc),
            broker=self.broker,
            configuration=wanted,
            bundle=self._bundle_of(wanted),
        )

    def _bundle_of(self, wanted: dict[str, Any]) -> BundleToFetch | None:
        """Return the bundle that a configuration names; the shelf remembers its digest from then on.

        Raises:
            InputError: there is none of this name.
        """
        bundle = wanted.get("bundle")
        # A path is the device's own affair; a bare name is a bundle of the fleet's shelf.
        return self.bundles.find(bundle) if isinstance(bundle, str) and "/" not in bundle else None

    @staticmethod
    def _is_lost_answer(
        given: enrolments.StoredCertificate, found: enrolments.Enrolment, request: bytes, now_ms: int
    ) -> bool:
        """Tell whether the same key asks again, in the token's time, for what it was given."""
        same = key_fingerprint(x509.load_pem_x509_certificate(given.pem.encode())) == request_key_fingerprint(request)
        return same and given.revoked_ms is None and now_ms < found.expires_ms

    def _now_ms(self) -> int:
        return int(self.clock() * 1000)


def _refused() -> Refused:
    return Refused("The fleet refuses this.", hint="Ask for a new token: edgesdk fleet enrol NAME")


def _stored(issued: Issued, now_ms: int) -> enrolments.StoredCertificate:
    return enrolments.StoredCertificate(
        serial=issued.serial,
        node=issued.name,
        fingerprint=issued.sha256,
        pem=issued.pem,
        issued_ms=now_ms,
        not_before_ms=int(issued.not_before.timestamp() * 1000),
        not_after_ms=int(issued.not_after.timestamp() * 1000),
        revoked_ms=None,
        reason="",
    )


__all__ = ["BadRequest", "EnrolmentDesk", "Refused"]
