"""Sessions and tokens, checked against the store at each request: what was withdrawn ends at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from edgesdk.fleet.service.security import csrf, passwords
from edgesdk.fleet.service.security.first_run import SetupCode
from edgesdk.fleet.service.security.known_browser import browser_of
from edgesdk.fleet.service.security.login_limits import LoginLimits
from edgesdk.fleet.service.security.network import network_of
from edgesdk.fleet.service.security.principal import Principal
from edgesdk.fleet.service.security.rate_limit import ANY, COMMANDS, RateLimit
from edgesdk.fleet.service.security.refusals import LoginNeeded
from edgesdk.fleet.service.security.role import Role
from edgesdk.fleet.service.security.secrets_of_requests import new_secret, stored_form
from edgesdk.fleet.store.people import People, User

# A session ends after so long without a request, and after so long in any case.
IDLE_S = 12 * 3600
LONGEST_S = 7 * 24 * 3600
# The last use is written down this seldom: reading a page must not write to the disk each time.
_NOTE_USE_S = 300


@dataclass(slots=True)
class Limits:
    """The rate limits of one service."""

    logins: LoginLimits = field(default_factory=LoginLimits)
    requests: RateLimit = field(default_factory=lambda: RateLimit(ANY))
    commands: RateLimit = field(default_factory=lambda: RateLimit(COMMANDS))

    def ask(self, asker: str) -> None:
        """Count any request.

        Raises:
            TooManyRequests: there were too many.
        """
        self.requests.take(asker)


class Access:
    """Says who a session or token belongs to, and begins and ends sessions.

    Args:
        people: the store's users, sessions and tokens.
        wall: seconds since 1970.
    """

    def __init__(self, people: People, *, limits: Limits | None = None, wall: Callable[[], float] = time.time) -> None:
        self.people = people
        self.limits = limits or Limits()
        self.setup = SetupCode()
        self._wall = wall

    def log_in(self, name: str, password: str, *, peer: str, agent: str = "", browser: str = "") -> tuple[User, str]:
        """Begin a session; return the user and the session's secret.

        Args:
            browser: the cookie of a browser in which somebody logged in before; see `known_browser`.

        Raises:
            LoginNeeded: name or password is wrong; which, is not said.
            TooManyRequests: there were too many tries from this network, or for this name; or too many at once.
        """
        network = network_of(peer)
        self.limits.logins.from_network(network)
        user = self.people.user_named(name)
        known = browser_of(browser, user, self._wall()) if user is not None else ""
        self.limits.logins.for_name(name, network, browser=known)
        stored = user.password_hash if user is not None and not user.disabled else None
        if not passwords.verify_password(stored, password) or user is None:
            raise LoginNeeded("Name or password is wrong.")
        self.limits.logins.was_right(name, network, browser=known)
        if passwords.needs_rehash(user.password_hash):
            stored = passwords.hash_password(password)
            self.people.set_password(user.id, stored)
            user = replace(user, password_hash=stored)
        return user, self.begin(user, peer=peer, agent=agent)

    def begin(self, user: User, *, peer: str, agent: str = "") -> str:
        """Begin a session of a user, and return its secret."""
        secret = new_secret()
        now = self._wall()
        self.people.add_session(
            stored_form(secret), user.id, now=now, expires=now + LONGEST_S, peer=peer, agent=agent[:200]
        )
        return secret

    def by_session(self, secret: str) -> Principal | None:
        """Return whose session it is, or None where it is unknown or over."""
        now, stored = self._wall(), stored_form(secret)
        found = self.people.session(stored)
        if found is None:
            return None
        if now >= found.expires or now - found.used >= IDLE_S or found.user.disabled:
            self.people.end_session(stored)
            return None
        if now - found.used >= _NOTE_USE_S:
            self.people.note_session_use(stored, now)
        user = found.user
        return Principal(user.id, user.name, user.role, csrf=csrf.token_for(secret), session=stored)

    def by_token(self, stored: str) -> Principal | None:
        """Return for whom a token acts, or None where it is unknown, withdrawn or expired."""
        now = self._wall()
        found = self.people.token(stored)
        if found is None or found.user.disabled or (found.expires is not None and now >= found.expires):
            return None
        if found.used is None or now - found.used >= _NOTE_USE_S:
            self.people.note_token_use(found.id, now)
        # A person who loses a role loses it for the tokens too.
        role = found.role if Role(found.user.role).covers(Role(found.role)) else found.user.role
        return Principal(found.user.id, found.user.name, role, token=found.name, stored_token=stored)

    def still(self, who: Principal) -> bool:
        """Tell whether somebody who was let in may stay: the session is open, the token good, the person not kept out.

        An answer that goes on for hours asks this again and again; it does not count as a use of the session.
        """
        now = self._wall()
        if who.stored_token:
            token = self.people.token(who.stored_token)
            return token is not None and not token.user.disabled and (token.expires is None or now < token.expires)
        found = self.people.session(who.session)
        return found is not None and not found.user.disabled and now < found.expires and now - found.used < IDLE_S
