"""A channel as a form: only the fields of its kind, and of a secret only whether there is one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgesdk.fleet.dashboard.forms.scope_fields import words
from edgesdk_targets.errors import InputError

# Kind → how it is called, and what it is good for.
KINDS: Mapping[str, tuple[str, str]] = {
    "webhook": ("Webhook", "An HTTPS request, signed: for chat services, pagers and programs of your own."),
    "email": ("E-mail", "By a mail server of yours."),
    "mqtt": ("MQTT", "Retained messages at the fleet's own broker: for lamps, sirens and home automation."),
}
SECURITY = {"starttls": "STARTTLS", "tls": "TLS from the first byte", "none": "none"}
_TEXTS = {"webhook": ("url", "secret"), "email": ("host", "security", "username", "password", "sender"), "mqtt": ()}
_LISTS = {"webhook": ("allow",), "email": ("recipients", "allow"), "mqtt": ()}
_NUMBERS = {"webhook": ("timeout_s",), "email": ("port",), "mqtt": ()}


def settings_of(kind: str, form: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings that a person wrote; what was left empty is left out.

    Raises:
        InputError: there is no such kind, or a number is none.
    """
    if kind not in KINDS:
        raise InputError(f"{kind[:40]!r} is no kind of channel.", hint=f"One of {', '.join(KINDS)}.")
    found: dict[str, Any] = {name: text for name in _TEXTS[kind] if (text := form.get(name, "").strip())}
    found |= {name: words(form.get(name, "")) for name in _LISTS[kind]}
    for name in _NUMBERS[kind]:
        text = form.get(name, "").strip()
        if not text:
            continue
        try:
            found[name] = float(text) if name == "timeout_s" else int(text)
        except ValueError as error:
            raise InputError(f"{text[:40]!r} is no number ({name.removesuffix('_s')}).") from error
    return found


def shown(kind: str, settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields' values of a channel; secrets and a webhook's URL are left empty, which keeps them."""
    filled = {
        name: ", ".join(value) if isinstance(value, (list, tuple)) else f"{value:g}" if isinstance(value, float) else str(value)
        for name, value in settings.items()
        if value is not None and name not in ("secret", "password", "url")
    }  # fmt: skip
    return blank(kind) | filled


def blank(kind: str) -> dict[str, str]:
    """Return the fields' values of a channel that is still to be made."""
    fields = dict.fromkeys((*_TEXTS[kind], *_LISTS[kind]), "")
    numbers = {"webhook": {"timeout_s": "10"}, "email": {"port": "587", "security": "starttls"}, "mqtt": {}}
    return {"name": "", "enabled": "on", **fields, **numbers[kind]}


def where(kind: str, settings: Mapping[str, Any]) -> str:
    """Say in one line where a channel leads; nothing secret is in it.

    Args:
        settings: as `shown_settings` gives them.
    """
    if kind == "webhook":
        return str(settings.get("url", ""))
    if kind == "email":
        return f"{', '.join(settings.get('recipients', ()))} by {settings.get('host', '')}:{settings.get('port', '')}"
    return "edgesdk-alerts/{device}/{rule}"
