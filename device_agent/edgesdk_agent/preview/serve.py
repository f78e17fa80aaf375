"""Start the preview of an agent, and tell its owner once where it is and what opens it."""

from __future__ import annotations

import sys
from contextlib import ExitStack

from edgesdk_agent.config.preview import PreviewSection
from edgesdk_agent.preview.access import Access
from edgesdk_agent.preview.listen_address import ListenAddress
from edgesdk_agent.preview.live_picture import LivePictures
from edgesdk_agent.preview.server import PreviewServer


def serve_preview(section: PreviewSection, pictures: LivePictures, stack: ExitStack) -> None:
    """Serve until `stack` ends it.

    Raises:
        InputError: the address cannot be used.
    """
    address = ListenAddress.parse(section.listen or "")
    access = Access("" if section.token is None else section.token.get_secret_value())
    server = PreviewServer(address, access, pictures, max_viewers=section.max_viewers)
    stack.callback(server.close)
    server.start()
    # Not by the log, whose lines are kept and sent: this is for whoever started it, and said once.
    opens = "the token of the configuration" if section.token is not None else f"token {access.token}"
    sys.stderr.write(f"preview: {server.where}  {opens}\n")
    if not address.is_loopback:
        sys.stderr.write("preview: HTTP without encryption; use it in a network that you trust, or through ssh -L\n")
    sys.stderr.flush()
