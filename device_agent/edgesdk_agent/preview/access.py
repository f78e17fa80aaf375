"""Who may look: whoever knows the token once, and then the cookie that it was changed for.

Token and cookies are compared in constant time. Wrong tokens are answered later and later, for everybody, as an address
says little of who it is; a token of 18 random bytes is not found by trying anyway.
"""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

COOKIE = "edgesdk_preview"
_SESSIONS = 32
_SESSION_S = 12 * 3600.0
_FREE_TRIES = 5
_LONGEST_WAIT_S = 30.0


class Access:
    """The token, and who was let in.

    Args:
        token: to be typed in; a new random one unless given.
        clock: monotonic seconds.
    """

    def __init__(self, token: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self.token = token or secrets.token_urlsafe(18)
        self._clock = clock
        self._lock = threading.Lock()
        self._sessions: OrderedDict[str, float] = OrderedDict()
        self._wrong = 0
        self._closed_until = 0.0

    def enter(self, token: str) -> str | None:
        """Return the cookie of a new session, or None where the token is wrong or tries come too fast."""
        with self._lock:
            now = self._clock()
            if now < self._closed_until:
                return None
            if not hmac.compare_digest(token.encode(), self.token.encode()):
                self._wrong += 1
                if self._wrong >= _FREE_TRIES:
                    self._closed_until = now + min(_LONGEST_WAIT_S, 2.0 ** (self._wrong - _FREE_TRIES))
                return None
            self._wrong = 0
            session = secrets.token_urlsafe(24)
            self._sessions[session] = now + _SESSION_S
            while len(self._sessions) > _SESSIONS:
                self._sessions.popitem(last=False)
            return session

    def knows(self, session: str) -> bool:
        """Say whether a cookie is that of a session that is not over."""
        with self._lock:
            now = self._clock()
            for known, until in list(self._sessions.items()):
                if now >= until:
                    del self._sessions[known]
            # Each is compared to its end, so that the time says nothing of how much was right.
            matches = [hmac.compare_digest(session.encode(), known.encode()) for known in self._sessions]
            return any(matches)

    def leave(self, session: str) -> None:
        """End a session."""
        with self._lock:
            self._sessions.pop(session, None)
