"""A real SMTP server on loopback, and the mails that it took."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.policy import default as modern
from typing import Any

from aiosmtpd.controller import Controller


class Mailbox:
    """What a real mail server hands on; it refuses as it is told.

    Attributes:
        mails: recipients and message of each; refuse: the answer for an address.
    """

    def __init__(self) -> None:
        self.mails: list[Any] = []
        self.refuse: dict[str, str] = {}

    async def handle_RCPT(  # noqa: N802  (the library calls it so)
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        self.mails.append((envelope.rcpt_tos, message_from_bytes(envelope.content, policy=modern)))
        return "250 taken"


@contextmanager
def mail_server(**options: Any) -> Iterator[tuple[Mailbox, int]]:
    """Run a server and return its box and its port.

    Args:
        options: as `aiosmtpd.controller.Controller` takes them.
    """
    box = Mailbox()
    # Its own check of the start connects to the port that it was asked for, so that 0 will not do.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running = Controller(box, hostname="127.0.0.1", port=port, **options)
    running.start()
    try:
        yield box, port
    finally:
        running.stop()
