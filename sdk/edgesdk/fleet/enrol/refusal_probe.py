"""Ask the broker itself whether it has read the list of revoked certificates: show it one that stands in the list.

A broker reads its list when it is told to, and some time after. A device whose connection is ended before that is back at
once. So whoever revokes makes a certificate that never was anybody's, puts it into the same list, and comes with it until
the broker refuses: from then on it refuses the device too.
"""

from __future__ import annotations

import socket
import ssl
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from edgesdk.fleet.enrol.authority import Authority, Issued, Revoked
from edgesdk.fleet.enrol.certificate import key_pem, new_key
from edgesdk.fleet.enrol.disconnect import connect_packet
from edgesdk_targets import broker_problem
from edgesdk_targets.broker_address import BrokerAddress, tls_context
from edgesdk_targets.topics import Node
from edgesdk_targets.whole_file import OWNER_ONLY, write_whole

_NODE = Node("revocation-probe", "local")
# As long as it could be of any use to somebody who finds it; it is revoked from its first second on.
_DAYS = 1 / 24
_TRY_EVERY_S = 0.1
_ANSWER_S = 5.0


class RefusalProbe:
    """A certificate that is revoked before it is shown to anybody."""

    def __init__(self, authority: Authority) -> None:
        key = new_key()
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, str(_NODE))])
        request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
        pem = request.public_bytes(Encoding.PEM)
        self._issued: Issued = authority.sign_device(pem, _NODE, days=_DAYS)
        self._key = key_pem(key)

    @property
    def revoked(self) -> Revoked:
        """What the list has to say of it."""
        return Revoked(self._issued.serial, datetime.now(timezone.utc))

    def wait_refused(self, host: str, port: int, *, ca: Path | None, within_s: float) -> bool:
        """Return whether the broker refuses it within the time, at the port where devices come.

        Raises:
            NotConnected: nobody listens there, or it is not the broker that `ca` vouches for.
        """
        deadline = time.monotonic() + within_s
        with tempfile.TemporaryDirectory(prefix="edgesdk-probe-") as folder:
            pem = Path(folder) / "probe.pem"
            write_whole(pem, self._issued.pem.encode() + self._key, OWNER_ONLY)
            context = tls_context(ca=ca, cert=pem)
            while self._enters(context, BrokerAddress(host, port, tls=True)):
                if time.monotonic() >= deadline:
                    return False
                time.sleep(_TRY_EVERY_S)
        return True

    @staticmethod
    def _enters(context: ssl.SSLContext, address: BrokerAddress) -> bool:
        try:
            raw = socket.create_connection((address.host, address.port), timeout=_ANSWER_S)
        except OSError as error:
            raise broker_problem.from_exception(address, error).error() from error
        with raw:
            try:
                with context.wrap_socket(raw, server_hostname=address.host) as tls:
                    # With TLS 1.3 the broker's refusal comes after our handshake: only its answer to a word tells.
                    tls.sendall(connect_packet(str(_NODE)))
                    return bool(tls.recv(1))
            except ssl.SSLCertVerificationError as error:
                raise broker_problem.from_exception(address, error).error() from error
            except TimeoutError:
                return True
            except OSError:
                return False
