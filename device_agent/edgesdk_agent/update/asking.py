"""How the running agent is asked for an update from afar: by a wish, as at the device itself."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Literal

from edgesdk_agent.update.launched import launched
from edgesdk_agent.update.wish import Wish, WishFiles

Ask = Callable[[Literal["install", "back", "abort"], str, str], None]


def asked_here() -> Ask | None:
    """Return what writes a wish: what to do, the address (of `back`: the release to be left), why.

    None where no launcher started this agent.
    """
    found = launched()
    if found is None:
        return None
    files = WishFiles(found.root)

    def ask(do: Literal["install", "back", "abort"], what: str, why: str) -> None:
        subject = {"release": what} if do == "back" else {"address": what}
        files.ask(Wish(do=do, token=secrets.token_hex(8), why=why, **subject))

    return ask
