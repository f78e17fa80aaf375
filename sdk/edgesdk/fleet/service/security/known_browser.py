"""A browser in which somebody has logged in before: its owner is let try while strangers fill the limit of the name.

The cookie is signed with a key made of the stored hash of the password: nothing is kept for it, another password makes it
worthless, and it opens nothing by itself. It counts against a limit of its own, so who steals it cannot guess on.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from edgesdk.fleet.store.people import User

COOKIE = "edgesdk_browser"
LASTS_S = 180 * 24 * 3600


def cookie_for(user: User, now: float) -> str:
    """Return what a browser keeps in which this user has just logged in."""
    said = f"{int(now) + LASTS_S}.{secrets.token_urlsafe(12)}"
    return f"{said}.{_signature(user, said)}"


def browser_of(cookie: str, user: User, now: float) -> str:
    """Return the browser's number, or nothing where the cookie is not this user's, is changed, or too old."""
    said, _, signature = cookie.rpartition(".")
    expires, _, number = said.partition(".")
    if not hmac.compare_digest(_signature(user, said).encode(), signature.encode("utf-8", "replace")):
        return ""
    return number if expires.isdigit() and now < int(expires) else ""


def _signature(user: User, said: str) -> str:
    key = hashlib.sha256(f"edgesdk known browser {user.id} {user.password_hash}".encode()).digest()
    return hmac.new(key, said.encode("utf-8", "replace"), hashlib.sha256).hexdigest()
