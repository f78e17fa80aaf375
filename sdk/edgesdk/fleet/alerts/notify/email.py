"""A notice as an e-mail, by a mail server of the house."""

from __future__ import annotations

import re
import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Literal

from pydantic import SecretStr

from edgesdk.fleet.alerts.notice import Notice
from edgesdk.fleet.alerts.notify.delivery import NotDelivered
from edgesdk_targets.errors import InputError

_ADDRESS = re.compile(r"[^\s@<>,;:\"\\]{1,64}@[^\s@<>,;:\"\\]{1,255}")


@dataclass(frozen=True)
class Email:
    """Recipients, and the server that takes mail for them.

    Attributes:
        security: `starttls` begins in the clear and must then encrypt; `tls` encrypts from the first byte; `none` is for
            a server on this machine. A login is never sent without encryption.
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
        if self.security == "tls":
            return smtplib.SMTP_SSL(self.host, self.port, timeout=self.timeout_s, context=self._context())
        return smtplib.SMTP(self.host, self.port, timeout=self.timeout_s)

    def _context(self) -> ssl.SSLContext:
        return self.tls or ssl.create_default_context()


def _passing(error: smtplib.SMTPRecipientsRefused) -> bool:
    return all(code < 500 for code, _ in error.recipients.values())
