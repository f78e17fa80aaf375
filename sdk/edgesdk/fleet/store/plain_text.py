"""Text from the network, as every database can keep it."""

from __future__ import annotations

from typing import Any


def plain_text(text: str, limit: int) -> str:
    """Return the beginning of a text without what cannot be written.

    A lone surrogate, as a topic or a reason that quotes one may hold, is not UTF-8; PostgreSQL takes no NUL.
    """
    if text.isascii() and "\0" not in text:
        return text[:limit]
    return text[:limit].replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def plain_json(value: Any) -> Any:
    """Return a JSON document whose texts, keys too, can be written."""
    if isinstance(value, str):
        return plain_text(value, len(value))
    if isinstance(value, dict):
        return {plain_text(str(key), len(str(key))): plain_json(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_json(one) for one in value]
    return value
