"""The code that the first administrator needs: printed where the service was started, so that only who started it has it.

Without it, whoever on the network finds the page first would own the fleet.
"""

from __future__ import annotations

import hmac
import secrets

from edgesdk.fleet.service.security.refusals import Forbidden


class SetupCode:
    """One code for one run of the service."""

    def __init__(self) -> None:
        self.code = secrets.token_urlsafe(12)

    def check(self, given: str) -> None:
        """Let the right code through.

        Raises:
            Forbidden: it is another one.
        """
        if not hmac.compare_digest(self.code.encode(), given.strip().encode("utf-8", "replace")):
            raise Forbidden("This is not the set-up code.", hint="It stands where the service was started.")
