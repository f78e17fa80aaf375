"""What a model answered, in one short line for a terminal.

The text comes from the network: whatever is in it, nothing but printable characters leaves this file, and nothing raises.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

_SHOWN_OBJECTS = 3
_WITH_OBJECTS = ("detections", "chain")


def printable(text: str, limit: int = 60) -> str:
    """Return the beginning of a text without control characters, which could drive a terminal."""
    clean = "".join(c if c.isprintable() else "?" for c in text[: limit + 1])
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def result_text(result: Mapping[str, JsonValue]) -> str:
    """Return a result as one line; of an unknown kind, its name."""
    kind = result.get("kind")
    if kind in _WITH_OBJECTS:
        return printable(_objects(result.get("objects")))
    if kind == "classification":
        return printable(_scored(_first(result.get("classes"))))
    if kind == "text":
        return printable(f"“{_word(result.get('text'))}”")
    if kind == "embedding":
        vector = result.get("vector")
        return f"vector of {len(vector)}" if isinstance(vector, list) else "vector"
    if kind == "regression":
        values = result.get("values")
        pairs = values.items() if isinstance(values, dict) else ()
        return printable(", ".join(f"{name} {_number(value)}" for name, value in pairs))
    return printable(_word(kind))


def _objects(value: JsonValue) -> str:
    if not isinstance(value, list) or not value:
        return "nothing"
    shown = ", ".join(_scored(item) for item in value[:_SHOWN_OBJECTS])
    return f"{len(value)}: {shown}" + (", …" if len(value) > _SHOWN_OBJECTS else "")


def _scored(value: JsonValue) -> str:
    if not isinstance(value, dict):
        return "?"
    then = value.get("then")
    # One level, whatever the network says: what follows a detection is no detection again.
    more = f" ({result_text(then)})" if isinstance(then, dict) and then.get("kind") not in _WITH_OBJECTS else ""
    return f"{_word(value.get('label'))} {_number(value.get('score'))}{more}"


def _first(value: JsonValue) -> JsonValue:
    return value[0] if isinstance(value, list) and value else None


def _word(value: JsonValue) -> str:
    """Return a name as it is said; of anything else what can be said of it without effort, however large it is."""
    return value if isinstance(value, str) else _number(value)


def _number(value: JsonValue) -> str:
    if not isinstance(value, (int, float)):
        return "?"
    try:
        return f"{value:.3g}"
    except OverflowError:
        # JSON has whole numbers of any length, and no float holds them.
        return "∞" if value > 0 else "-∞"
