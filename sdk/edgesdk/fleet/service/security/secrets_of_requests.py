"""Random secrets that a request carries: of sessions and API tokens. The store keeps only their hash."""

from __future__ import annotations

import hashlib
import secrets

_BYTES = 32
TOKEN_PREFIX = "edgesdk_"  # noqa: S105  (the beginning of every token)


def new_secret() -> str:
    """Return 256 random bits as text."""
    return secrets.token_urlsafe(_BYTES)


def new_api_token() -> str:
    """Return a token that a scanner for leaked secrets can recognise."""
    return TOKEN_PREFIX + new_secret()


def stored_form(secret: str) -> str:
    """Return what is stored: a plain SHA-256, since 256 random bits cannot be guessed however fast the hash is."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
