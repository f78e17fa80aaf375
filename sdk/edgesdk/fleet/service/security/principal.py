"""Who asks: a person's session by cookie, or a program's API token by header."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

SESSION_COOKIE = "edgesdk_session"


@dataclass(frozen=True, slots=True)
class Principal:
    """A person who is logged in, or a token acting for one.

    Attributes:
        user_id, name: of the person; role: what may be done, of a token never more than its owner's.
        csrf: what this session's forms carry; empty for a token, which no browser sends by itself.
        token: the token's name; empty for a session.
        session: the stored form of the session's secret; empty for a token.
        stored_token: the stored form of the token; empty for a session.
    """

    user_id: int
    name: str
    role: str
    csrf: str = ""
    token: str = ""
    session: str = ""
    stored_token: str = ""

    @property
    def asker(self) -> str:
        """Under which the audit log and the rate limits know who it was."""
        return f"{self.name}/{self.token}" if self.token else self.name


def peer(request: Request) -> str:
    """Return the address that a request came from."""
    return request.client.host if request.client else "unknown"
