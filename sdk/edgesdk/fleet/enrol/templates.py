"""Configuration that many devices share, what differs at a site or on one device, and what all of it comes to: pure.

    template ◀ site ◀ device ◀ what the enrolment gave

Mappings are merged, later ones over earlier ones; `null` takes a field away. A list is replaced whole, but for `cameras`,
whose entries are merged by their name: a site changes one camera's address without repeating the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgesdk_targets.enrolment import configuration_digest
from edgesdk_targets.errors import InputError
from edgesdk_targets.messages.envelope import check_json
from edgesdk_targets.topics import Node

Document = dict[str, Any]

# A device's own: who it is and how it reaches the fleet is not for a template to say.
_NOT_SHARED = ("device",)
_NOT_SHARED_MQTT = ("url", "username", "password", "ca", "cert", "key", "insecure", "client_id")
_MAX_DEPTH = 12


def check_template(body: object) -> Document:
    """Return a template's body, if it can be one.

    Raises:
        InputError: it is no mapping of names, or says what only a device itself can.
    """
    if not isinstance(body, dict) or not all(isinstance(name, str) for name in body):
        raise InputError("A template is a mapping, as edgesdk.yaml is.", hint="Begin with `cameras:` or `bundle:`.")
    try:
        check_json(body, depth=16 - _MAX_DEPTH)
    except ValueError as error:
        raise InputError(f"The template {error}.", hint="Use what JSON has.") from error
    section = body.get("mqtt")
    fields = [f"mqtt.{name}" for name in _NOT_SHARED_MQTT if isinstance(section, dict) and name in section]
    wrong = [name for name in _NOT_SHARED if name in body] + fields
    if wrong:
        raise InputError(
            f"A template cannot say {', '.join(wrong)}.", hint="Leave it out: enrolment sets it for each device."
        )
    return body


def check_place(scope: str, name: str) -> None:
    """Check where something differs from a template.

    Raises:
        InputError: it is neither a site nor a device.
    """
    if scope == "node":
        Node.parse(name)
    elif scope != "site":
        raise InputError(f"{scope[:40]!r} is no place.", hint="site or node")
    elif not name.strip() or not name.isprintable():
        raise InputError(f"{name[:80]!r} is no name of a site.", hint="As it stands at the devices.")


def render(template: Document, overrides: Sequence[Document]) -> Document:
    """Return what a template and what is laid over it come to; nothing that goes in is changed."""
    rendered: Any = template
    for override in overrides:
        rendered = _laid_over(rendered, override)
    found = _without_nulls(rendered)
    return found if isinstance(found, dict) else {}


def drift(wanted: Document, reported_digest: str, applied: Mapping[str, Any]) -> list[str]:
    """Say in what a device is not as its template wants it; empty where it is.

    Args:
        reported_digest: of the device's own file with what was laid over it from afar, as it reports; empty where it
            never did.
        applied: fields that were set from afar, by dotted path.
    """
    found = []
    if not reported_digest:
        found.append("the device has not said how it is configured")
    elif reported_digest != configuration_digest(wanted):
        found.append("it is configured otherwise than the template wants it")
    for path, value in sorted(applied.items()):
        known, expected = at_path(wanted, path)
        if not known or expected != value:
            found.append(f"{path} was set from afar to {value!r}" + (f", wanted {expected!r}" if known else ""))
    return found


def at_path(document: Mapping[str, Any], path: str) -> tuple[bool, Any]:
    """Return whether a document says something at a dotted path, and what."""
    found: Any = document
    for part in path.replace("[", ".").replace("]", "").split("."):
        if isinstance(found, list) and part.isdecimal() and int(part) < len(found):
            found = found[int(part)]
        elif isinstance(found, Mapping) and part in found:
            found = found[part]
        elif isinstance(found, list) and (named := _named(found)) is not None and part in named:
            found = named[part]
        else:
            return False, None
    return True, found


def _laid_over(below: Any, above: Any, *, name: str = "") -> Any:
    if isinstance(below, dict) and isinstance(above, dict):
        merged = dict(below)
        for key, value in above.items():
            merged[key] = _laid_over(below[key], value, name=key) if key in below else value
        return merged
    if name == "cameras" and isinstance(below, list) and isinstance(above, list):
        known, changed = _named(below), _named(above)
        if known is not None and changed is not None:
            kept = [_laid_over(entry, changed.get(key, {})) for key, entry in known.items()]
            return kept + [entry for key, entry in changed.items() if key not in known]
    return above


def _named(entries: list[Any]) -> dict[str, Any] | None:
    """Return entries by their name, or None where one has none or two have the same."""
    names = [entry.get("name") if isinstance(entry, dict) else None for entry in entries]
    if any(not isinstance(one, str) for one in names) or len(set(names)) != len(names):
        return None
    return dict(zip([str(one) for one in names], entries, strict=True))


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(one) for name, one in value.items() if one is not None}
    if isinstance(value, list):
        return [_without_nulls(one) for one in value]
    return value
