"""A notice as an e-mail, by a mail server of the house.

The connection goes to an address that was looked at, as that of a webhook: whoever may set a mail server could otherwise ask
this machine's own services what they answer.
"""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any, Literal

from pydantic import SecretStr

from edgesdk.fleet.alerts.notice import Notice
from edgesdk.fleet.alerts.notify.delivery import NotDelivered
from edgesdk.fleet.alerts.notify.destination import Address, networks, resolve
from edgesdk_targets.errors import InputError

_ADDRESS = re.compile(r"[^\s@<>,;:\"\\]{1,64}@[^\s@<>,;:\"\\]{1,255}")


@dataclass(frozen=True)
class Email:
    """Recipients, and the server that takes mail for them.

    Attributes:
        security: `starttls` begins in the clear and must then encrypt; `tls` encrypts from the first byte; `none` is for
            a server that one trusts the way to. A login is never sent without encryption.
        allow: networks that may be reached although they are refused by default: `127.0.0.0/8` for a server on this machine.
        tls: how the server is checked; the system's authorities unless given.
    """

    name: str
    host: str
    sender: str
    recipients: tuple[str, ...]
    port: int = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str = ""
    password: SecretStr | None = None
    allow: tuple[str, ...] = ()
    timeout_s: float = 20.0
    tls: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        if not self.recipients:
            raise InputError("The e-mail channel has no recipient.", hint="Give at least one address.")
        for address in (self.sender, *self.recipients):
            if not _ADDRESS.fullmatch(address):
                raise InputError(f"{address[:100]!r} is no e-mail address.", hint="Such as ops@example.org.")
        if self.username and self.security == "none":
            raise InputError("A login would be sent without encryption.", hint="Set security to starttls or tls.")
        networks(self.allow)

    def message(self, notice: Notice) -> EmailMessage:
        """Return the mail; one of the same id is the same notice sent again."""
        mail = EmailMessage()
        # What devices call themselves is checked, and still no line of it may become a header.
        mail["Subject"] = " ".join(notice.title.split())[:200]
        mail["From"] = self.sender
        mail["To"] = ", ".join(self.recipients)
        mail["Date"] = format_datetime(notice.at)
        mail["Message-ID"] = f"<{notice.id}@{self.sender.rpartition('@')[2]}>"
        # Answers of absence machines are of no use to anybody.
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(notice.text)
        return mail

    def send(self, notice: Notice) -> None:
        """Hand a notice to the mail server once. Raises NotDelivered."""
        try:
            with self._connected() as server:
                if self.security == "starttls":
                    server.starttls(context=self._context())
                if self.username:
                    password = self.password.get_secret_value() if self.password else ""
                    server.login(self.username, password)
                refused = server.send_message(self.message(notice))
        except smtplib.SMTPAuthenticationError as error:
            raise NotDelivered(f"{self.host} does not take the login.", again=False) from error
        except smtplib.SMTPNotSupportedError as error:
            raise NotDelivered(f"{self.host} offers no encryption.", hint="Try security: tls.", again=False) from error
        except smtplib.SMTPRecipientsRefused as error:
            raise NotDelivered(f"{self.host} takes mail for none of the recipients.", again=_passing(error)) from error
        except smtplib.SMTPResponseException as error:
            raise NotDelivered(f"{self.host} answered with {error.smtp_code}.", again=error.smtp_code < 500) from error
        except ssl.SSLError as error:
            raise NotDelivered(f"{self.host} is not trusted: {error.reason}.", again=False) from error
        except (OSError, smtplib.SMTPException) as error:
            raise NotDelivered(f"{self.host}:{self.port} cannot be reached: {type(error).__name__}.") from error
        if refused:
            # The others have it: sending again would tell them twice.
            raise NotDelivered(f"{self.host} takes no mail for {len(refused)} of the recipients.", again=False)

    def _connected(self) -> smtplib.SMTP:
        addresses = resolve(self.host, self.port, networks(self.allow))
        tls = self._context() if self.security == "tls" else None
        return _ToAddress(self.host, self.port, addresses, self.timeout_s, tls)

    def _context(self) -> ssl.SSLContext:
        return self.tls or ssl.create_default_context()


class _ToAddress(smtplib.SMTP):
    """A connection to one of the addresses that were looked at, for a host of that name."""

    def __init__(
        self, host: str, port: int, addresses: Sequence[Address], timeout_s: float, tls: ssl.SSLContext | None
    ) -> None:
        self._addresses = addresses
        self._tls = tls
        super().__init__(host, port, timeout=timeout_s)

    def _get_socket(self, host: str, port: int, timeout: float) -> Any:
        # The library's own place to say where a connection goes: `SMTP_SSL` does the same.
        raw = _connected_to(self._addresses, port, timeout)
        return raw if self._tls is None else self._tls.wrap_socket(raw, server_hostname=host)


def _connected_to(addresses: Sequence[Address], port: int, timeout_s: float) -> socket.socket:
    last = OSError("no address")
    for address in addresses:
        try:
            return socket.create_connection((str(address), port), timeout=timeout_s)
        except OSError as error:
            last = error
    raise last


def _passing(error: smtplib.SMTPRecipientsRefused) -> bool:
    return all(code < 500 for code, _ in error.recipients.values())
