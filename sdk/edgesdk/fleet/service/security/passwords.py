"""Passwords: argon2id, with the parameters of RFC 9106 for ordinary machines.

An unknown user costs as much time as a wrong password, so that names cannot be found out by the clock. Only two hashes
are computed at a time, and few wait for their turn: each takes 64 MiB, and whoever waits holds one of the threads that
answer everybody. A flood of log-ins must take neither the machine nor the dashboard down.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from edgesdk.fleet.service.security.refusals import BadRequest, TooManyRequests

if TYPE_CHECKING:
    from argon2 import PasswordHasher

MIN_LENGTH = 10
MAX_LENGTH = 256
_AT_ONCE = threading.BoundedSemaphore(2)
_WAITING = threading.BoundedSemaphore(8)
_PATIENCE_S = 5
_lock = threading.Lock()
_nobody = ""


def check_new(password: str, user: str) -> str:
    """Return a password that may be set.

    Raises:
        BadRequest: it is too short or long, or is the user's name.
    """
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise BadRequest(f"A password has {MIN_LENGTH} to {MAX_LENGTH} characters.", hint="Three words are a good one.")
    if password.lower() in {user.lower(), user.lower() * 2} or len(set(password)) < 4:
        raise BadRequest("This password would be guessed first.", hint="Three words are a good one.")
    return password


def hash_password(password: str) -> str:
    """Return the hash that is stored, with its salt and parameters in it. Raises TooManyRequests where many wait."""
    with _turn():
        return _hasher().hash(password)


def verify_password(stored: str | None, password: str) -> bool:
    """Tell whether the password is the one of the stored hash; None stands for a user that is not there.

    Raises:
        TooManyRequests: many wait for their turn already.
    """
    from argon2.exceptions import InvalidHashError, VerificationError

    if len(password) > MAX_LENGTH:
        return False
    with _turn():
        try:
            right = _hasher().verify(stored if stored is not None else _hash_of_nobody(), password)
        except (VerificationError, InvalidHashError):
            return False
    return right and stored is not None


def needs_rehash(stored: str) -> bool:
    """Tell whether a hash was made with weaker parameters than are used now."""
    return _hasher().check_needs_rehash(stored)


@contextmanager
def _turn() -> Iterator[None]:
    if not _WAITING.acquire(blocking=False):
        raise TooManyRequests("Too many log in at this moment; try again.", retry_after_s=_PATIENCE_S)
    try:
        with _AT_ONCE:
            yield
    finally:
        _WAITING.release()


def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher()


def _hash_of_nobody() -> str:
    global _nobody  # noqa: PLW0603  (made once, when first needed: it takes a tenth of a second)
    with _lock:
        if not _nobody:
            _nobody = _hasher().hash("the password of nobody")
        return _nobody
