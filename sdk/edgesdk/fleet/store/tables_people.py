"""Tables of who may do what: people, their sessions, tokens, what they did, how devices become members."""

from __future__ import annotations

from sqlalchemy import Index, Table

from edgesdk.fleet.store.columns import document, metadata, moment, number, reference, row_id, text

# `role` is viewer, operator or admin; passwords are kept as argon2 hashes.
users = Table(
    "users",
    metadata,
    row_id(),
    text("name", unique=True),
    text("email"),
    text("role"),
    text("password_hash"),
    number("failed_logins"),
    moment("locked_until_ms"),
    moment("created_ms", nullable=False),
    moment("password_changed_ms"),
    moment("last_login_ms"),
    moment("disabled_ms"),
)

# Browser sessions; the cookie's value itself is kept nowhere.
sessions = Table(
    "sessions",
    metadata,
    text("token_hash", primary_key=True),
    reference("user", "users", nullable=False, index=True),
    text("csrf"),
    text("address"),
    text("user_agent"),
    moment("created_ms", nullable=False),
    moment("seen_ms", nullable=False),
    moment("expires_ms", nullable=False, index=True),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    row_id(),
    text("name"),
    text("token_hash", unique=True),
    # The beginning, by which a person knows it again.
    text("prefix"),
    text("role"),
    reference("user", "users", nullable=False),
    moment("created_ms", nullable=False),
    moment("expires_ms"),
    moment("used_ms"),
    moment("revoked_ms"),
)

# Who did what to what; nothing is ever changed here. `actor` is a name that stays when the user is gone.
audit = Table(
    "audit",
    metadata,
    row_id(),
    moment("at_ms", nullable=False, index=True),
    text("actor"),
    text("address"),
    text("action"),
    text("subject"),
    # ok, refused, failed
    text("outcome"),
    document("detail"),
    Index("ix_audit_subject", "subject", "at_ms"),
)

# A token with which a device may claim its identity. `node` is empty where the device's name is its own choice.
enrolments = Table(
    "enrolments",
    metadata,
    row_id(),
    text("token_hash", unique=True),
    text("prefix"),
    text("tenant"),
    text("node"),
    text("title"),
    text("site"),
    text("target"),
    text("template"),
    document("tags"),
    document("configuration"),
    # What its file holds since the claim: template and all that was laid over it, as they were then.
    document("given"),
    number("uses_left", server_default="1"),
    text("actor"),
    moment("created_ms", nullable=False),
    moment("expires_ms", nullable=False),
    moment("used_ms"),
    moment("revoked_ms"),
)

certificates = Table(
    "certificates",
    metadata,
    text("serial", primary_key=True),
    reference("node", "nodes", nullable=False, index=True),
    reference("enrolment", "enrolments"),
    text("fingerprint", unique=True),
    text("pem"),
    moment("issued_ms", nullable=False),
    moment("not_before_ms", nullable=False),
    moment("not_after_ms", nullable=False, index=True),
    moment("revoked_ms"),
    text("reason"),
)

# What the service remembers of itself, by key: JSON. Nothing secret stands here in the open.
settings = Table(
    "settings",
    metadata,
    text("key", primary_key=True),
    document("value"),
    moment("updated_ms", nullable=False),
)
