"""How the running agent is asked for an update from afar: by a wish, as at the device itself."""

from __future__ import annotations

import secrets
from typing import Literal, Protocol

from edgesdk_agent.shadow.plan import ShadowPlan
from edgesdk_agent.update.launched import launched
from edgesdk_agent.update.wish import Wish, WishFiles


class Ask(Protocol):
    """Writes a wish: what to do, the address (of `back`: the release to be left), why, and a shadow run before an install."""

    def __call__(
        self, do: Literal["install", "back", "abort"], what: str, why: str, shadow: ShadowPlan | None = None
    ) -> None: ...


def asked_here() -> Ask | None:
    """Return what writes a wish; None where no launcher started this agent."""
    found = launched()
    if found is None:
        return None
    files = WishFiles(found.root)

    def ask(do: Literal["install", "back", "abort"], what: str, why: str, shadow: ShadowPlan | None = None) -> None:
        subject = {"release": what} if do == "back" else {"address": what}
        files.ask(Wish(do=do, token=secrets.token_hex(8), why=why, shadow=shadow, **subject))

    return ask
