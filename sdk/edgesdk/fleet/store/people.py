"""Users, their sessions and API tokens. Secrets come here as hashes only."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from edgesdk.fleet.store.engine import reading, writing
from edgesdk.fleet.store.tables_people import api_tokens, sessions, users
from edgesdk_targets.errors import InputError


@dataclass(frozen=True, slots=True)
class User:
    """A person; `role` is viewer, operator or admin."""

    id: int
    name: str
    role: str
    password_hash: str
    created_ms: int
    last_login_ms: int | None
    disabled: bool


@dataclass(frozen=True, slots=True)
class Session:
    """A browser's session; times in seconds since 1970."""

    user: User
    used: float
    expires: float


@dataclass(frozen=True, slots=True)
class Token:
    """A program's token; `prefix` is how a person knows it again. Times in seconds since 1970."""

    id: int
    user: User
    name: str
    role: str
    prefix: str
    created: float
    used: float | None
    expires: float | None


class People:
    """Reads and writes users, sessions and tokens.

    Args:
        engine: of the store.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def empty(self) -> bool:
        """Tell whether there is no user yet."""
        with reading(self._engine) as connection:
            return connection.execute(select(users.c.id).limit(1)).first() is None

    def all(self) -> list[User]:
        """Return everybody, by name."""
        with reading(self._engine) as connection:
            return [_user(row) for row in connection.execute(select(users).order_by(users.c.name)).mappings()]

    def user_named(self, name: str) -> User | None:
        """Return the user of this name, or None."""
        with reading(self._engine) as connection:
            row = connection.execute(select(users).where(users.c.name == name)).mappings().first()
        return None if row is None else _user(row)

    def add_first(self, name: str, password_hash: str) -> User:
        """Make the first user, an admin.

        Raises:
            InputError: somebody was first.
        """
        with writing(self._engine) as connection:
            if connection.execute(select(users.c.id).limit(1)).first() is not None:
                raise InputError("There is an administrator already.", hint="Log in.")
            connection.execute(insert(users).values(**_new_user(name, "admin", password_hash)))
        return self._must(name)

    def add(self, name: str, role: str, password_hash: str) -> User:
        """Make a user.

        Raises:
            InputError: the name is taken.
        """
        try:
            with writing(self._engine) as connection:
                connection.execute(insert(users).values(**_new_user(name, role, password_hash)))
        except IntegrityError as error:
            raise InputError(f"There is a user {name} already.", hint="Choose another name.") from error
        return self._must(name)

    def set_password(self, user_id: int, password_hash: str) -> None:
        """Write a new hash."""
        with writing(self._engine) as connection:
            values = {"password_hash": password_hash, "password_changed_ms": _now_ms()}
            connection.execute(update(users).where(users.c.id == user_id).values(**values))

    def add_session(
        self, stored: str, user_id: int, *, now: float, expires: float, peer: str = "", agent: str = ""
    ) -> None:
        """Begin a session; those that are over are forgotten."""
        with writing(self._engine) as connection:
            connection.execute(delete(sessions).where(sessions.c.expires_ms < int(now * 1000)))
            connection.execute(
                insert(sessions).values(
                    token_hash=stored, user=user_id, address=peer, user_agent=agent,
                    created_ms=int(now * 1000), seen_ms=int(now * 1000), expires_ms=int(expires * 1000),
                )
            )  # fmt: skip
            connection.execute(update(users).where(users.c.id == user_id).values(last_login_ms=int(now * 1000)))

    def session(self, stored: str) -> Session | None:
        """Return a session with its user, or None."""
        query = (
            select(users, sessions.c.seen_ms, sessions.c.expires_ms)
            .join(users, users.c.id == sessions.c.user)
            .where(sessions.c.token_hash == stored)
        )
        with reading(self._engine) as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else Session(_user(row), row["seen_ms"] / 1000, row["expires_ms"] / 1000)

    def note_session_use(self, stored: str, now: float) -> None:
        """Write down that a session is in use."""
        with writing(self._engine) as connection:
            connection.execute(update(sessions).where(sessions.c.token_hash == stored).values(seen_ms=int(now * 1000)))

    def end_session(self, stored: str) -> None:
        """End one session."""
        with writing(self._engine) as connection:
            connection.execute(delete(sessions).where(sessions.c.token_hash == stored))

    def end_sessions(self, user_id: int, *, but: str = "") -> None:
        """End a user's sessions, but for one."""
        with writing(self._engine) as connection:
            connection.execute(delete(sessions).where(sessions.c.user == user_id, sessions.c.token_hash != but))

    def add_token(
        self, stored: str, user_id: int, *, name: str, role: str, prefix: str, now: float, expires: float | None
    ) -> int:
        """Write down a token, and return its id."""
        with writing(self._engine) as connection:
            done = connection.execute(
                insert(api_tokens).values(
                    token_hash=stored, user=user_id, name=name, role=role, prefix=prefix,
                    created_ms=int(now * 1000), expires_ms=None if expires is None else int(expires * 1000),
                )
            )  # fmt: skip
            return int(done.inserted_primary_key[0]) if done.inserted_primary_key else 0

    def token(self, stored: str) -> Token | None:
        """Return a token that was not withdrawn, or None."""
        found = self._tokens(api_tokens.c.token_hash == stored)
        return found[0] if found else None

    def tokens(self, user_id: int) -> list[Token]:
        """Return a user's tokens, the newest first."""
        return self._tokens(api_tokens.c.user == user_id)

    def note_token_use(self, token_id: int, now: float) -> None:
        """Write down that a token is in use."""
        with writing(self._engine) as connection:
            connection.execute(update(api_tokens).where(api_tokens.c.id == token_id).values(used_ms=int(now * 1000)))

    def withdraw_token(self, token_id: int, user_id: int) -> bool:
        """Make one of a user's tokens worthless; return whether there was one."""
        with writing(self._engine) as connection:
            done = connection.execute(
                update(api_tokens)
                .where(api_tokens.c.id == token_id, api_tokens.c.user == user_id, api_tokens.c.revoked_ms.is_(None))
                .values(revoked_ms=_now_ms())
            )
            return done.rowcount > 0

    def _tokens(self, condition: Any) -> list[Token]:
        query = (
            select(users, *(column.label(f"token_{column.name}") for column in api_tokens.c))
            .join(users, users.c.id == api_tokens.c.user)
            .where(condition, api_tokens.c.revoked_ms.is_(None))
            .order_by(api_tokens.c.id.desc())
        )
        with reading(self._engine) as connection:
            return [_token(row) for row in connection.execute(query).mappings()]

    def _must(self, name: str) -> User:
        user = self.user_named(name)
        if user is None:
            raise InputError(f"There is no user {name[:80]}.")
        return user


def change_user(
    connection: Connection, name: str, *, role: str | None = None, disabled: bool | None = None,
    password_hash: str | None = None,
) -> User:  # fmt: skip
    """Change a user within a transaction, and return them; what is None stays.

    Who is kept out or gets another password has no session any more.

    Raises:
        InputError: there is no such user, or nobody would be left who is an admin and let in.
    """
    values: dict[str, Any] = {}
    if role is not None:
        values["role"] = role
    if disabled is not None:
        values["disabled_ms"] = _now_ms() if disabled else None
    if password_hash is not None:
        values |= {"password_hash": password_hash, "password_changed_ms": _now_ms()}
    # All of them, in one order: of two admins who demote each other at the same moment, one waits and then sees it.
    admins = select(users.c.name).where(users.c.role == "admin", users.c.disabled_ms.is_(None)).order_by(users.c.id)
    others = [one for one in connection.execute(admins.with_for_update()).scalars() if one != name]
    if not others and (disabled or (role is not None and role != "admin")):
        raise InputError("Nobody would be left who manages people.", hint="Make somebody else an admin first.")
    if values:
        connection.execute(update(users).where(users.c.name == name).values(**values))
    row = connection.execute(select(users).where(users.c.name == name)).mappings().first()
    if row is None:
        raise InputError(f"There is no user {name[:80]}.")
    if disabled is not None or password_hash is not None:
        connection.execute(delete(sessions).where(sessions.c.user == row["id"]))
    return _user(row)


def _new_user(name: str, role: str, password_hash: str) -> dict[str, Any]:
    return {"name": name, "role": role, "password_hash": password_hash, "created_ms": _now_ms()}


def _user(row: Mapping[Any, Any]) -> User:
    return User(
        row["id"], row["name"], row["role"], row["password_hash"], row["created_ms"], row["last_login_ms"],
        row["disabled_ms"] is not None,
    )  # fmt: skip


def _token(row: Mapping[Any, Any]) -> Token:
    used, expires = row["token_used_ms"], row["token_expires_ms"]
    return Token(
        row["token_id"], _user(row), row["token_name"], row["token_role"], row["token_prefix"],
        row["token_created_ms"] / 1000, used and used / 1000, expires and expires / 1000,
    )  # fmt: skip


def _now_ms() -> int:
    return int(time.time() * 1000)
