"""Forged requests: a page elsewhere may make a browser send our cookie, but can neither read nor set our token.

With a session, the token is an HMAC keyed by the session's secret: nothing to store, and worth nothing in another
session. Before there is one (set-up, log-in), a random cookie plays that part. Besides, a browser says where a request
comes from (`Sec-Fetch-Site`, `Origin`), and what comes from elsewhere is refused whatever it carries.
"""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import urlsplit

from starlette.requests import Request

from edgesdk.fleet.service.security.refusals import Forbidden

HEADER = "x-csrf-token"
FIELD = "csrf"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def token_for(secret: str) -> str:
    """Return the token that belongs to a session's (or the log-in cookie's) secret."""
    return hmac.new(secret.encode(), b"edgesdk csrf", hashlib.sha256).hexdigest()


def check(request: Request, secret: str, given: str) -> None:
    """Let a request through that comes from our own page.

    Raises:
        Forbidden: it does not.
    """
    if request.method in SAFE:
        return
    check_origin(request)
    if not secret or not hmac.compare_digest(token_for(secret).encode(), given.encode("utf-8", "replace")):
        raise Forbidden("This form is out of date, or not ours.", hint="Reload the page and try again.")


def check_origin(request: Request) -> None:
    """Refuse what a browser says comes from another site.

    Raises:
        Forbidden: it does.
    """
    site = request.headers.get("sec-fetch-site", "same-origin")
    origin = request.headers.get("origin")
    elsewhere = origin is not None and urlsplit(origin).netloc != request.headers.get("host", "")
    if site not in ("same-origin", "none") or elsewhere:
        raise Forbidden("This request comes from another site.", hint="Use the dashboard's own pages.")
