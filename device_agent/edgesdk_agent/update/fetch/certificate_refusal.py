"""Why a server's certificate is refused, in words: often it is the device's clock that is wrong, and not the certificate.

A board without a battery starts in 1970, when no certificate is valid yet. It is asked again like any server that cannot be reached
now, so that it comes as soon as the clock is right.
"""

from __future__ import annotations

import ssl
from datetime import datetime, timezone

from edgesdk_targets.errors import FetchFailed

# OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED, which Python has no names for.
_NOT_YET_VALID, _EXPIRED = 9, 10
# X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH.
_OTHER_NAME = (62, 64)
_CLOCK = "Look at it with timedatectl."


class ClockDoubted(FetchFailed):
    """By this device's clock the server's certificate is not valid now."""

    code = "clock_doubted"


class UntrustedServer(FetchFailed):
    """The server's certificate is not trusted here."""

    code = "untrusted_server"


def untrusted(host: str, error: ssl.SSLCertVerificationError) -> FetchFailed:
    """Return what is told of a certificate that was refused, with what to do about it."""
    today = f"{datetime.now(timezone.utc):%Y-%m-%d}"
    if error.verify_code == _NOT_YET_VALID:
        return ClockDoubted(
            f"{host} shows a certificate that is not valid yet by this device's clock, which says {today}: set the clock, by a "
            "time server or one with a battery. It goes on by itself then; a bundle on a stick needs no clock.",
            hint=_CLOCK,
        )
    if error.verify_code == _EXPIRED:
        return ClockDoubted(
            f"{host} shows a certificate that has expired by this device's clock, which says {today}: renew it, or set the clock "
            "if that is wrong. It goes on by itself then.",
            hint=_CLOCK,
        )
    if error.verify_code in _OTHER_NAME:
        return UntrustedServer(
            f"{host} shows a certificate for another name: {error.verify_message}. Give the address as the certificate has it.",
            hint="It is tried again.",
        )
    return UntrustedServer(
        f"{host} shows a certificate that is not trusted here: {error.verify_message}. Name its authority in update.ca.",
        hint="It is tried again.",
    )
