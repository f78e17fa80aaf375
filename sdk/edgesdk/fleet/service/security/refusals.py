"""Why a request is refused: each with its HTTP status, and words for the person or program that asked."""

from __future__ import annotations


class Refused(Exception):
    """A request that is not served.

    Attributes:
        status: of HTTP; code: a stable key; message: what is wrong; hint: what to do, may be empty.
    """

    status = 400
    code = "refused"

    def __init__(self, message: str = "", *, hint: str = "", retry_after_s: int = 0) -> None:
        super().__init__(message or self.__doc__ or "")
        self.message = message or (self.__doc__ or "").split("\n")[0]
        self.hint = hint
        self.retry_after_s = retry_after_s


class BadRequest(Refused):
    """The request cannot be used."""

    code = "bad_request"


class LoginNeeded(Refused):
    """Log in first."""

    status = 401
    code = "login_needed"


class Forbidden(Refused):
    """This is not allowed."""

    status = 403
    code = "forbidden"


class NotFound(Refused):
    """There is no such thing."""

    status = 404
    code = "not_found"


class Conflict(Refused):
    """This does not go together with what is there."""

    status = 409
    code = "conflict"


class TooLargeBody(Refused):
    """The request's body is too large."""

    status = 413
    code = "too_large"


class TooManyRequests(Refused):
    """Too many requests."""

    status = 429
    code = "too_many"


class Unavailable(Refused):
    """This cannot be done at present."""

    status = 503
    code = "unavailable"
