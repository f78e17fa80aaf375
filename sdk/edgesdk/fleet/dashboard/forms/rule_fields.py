"""An alert rule as a form: times in minutes, a share in per cent, as people think of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgesdk.fleet.alerts.rule import Rule, rule_from_json
from edgesdk.fleet.dashboard.forms import scope_fields
from edgesdk_targets.errors import InputError

# Kind → how it is called, the limit's unit, and how much of the rule's own unit one of the form's is.
KINDS: Mapping[str, tuple[str, str, float]] = {
    "offline_for": ("Offline for", "minutes", 60.0),
    "age_over": ("Results older than, p95", "ms", 1.0),
    "temperature_over": ("Warmer than", "°C", 1.0),
    "fps_under": ("Frame rate under", "% of its own usual rate", 0.01),
}
_MINUTES = ("for_s", "clear_for_s", "repeat_s")


def rule_of(form: Mapping[str, str]) -> Rule:
    """Return the rule that a person wrote.

    Raises:
        InputError: a field is missing, or has a value that it cannot have.
    """
    kind = form.get("kind", "")
    factor = KINDS[kind][2] if kind in KINDS else 1.0
    document: dict[str, Any] = {
        "name": form.get("name", "").strip(), "kind": kind, "limit": _number(form, "limit", factor),
        "clear": _number(form, "clear", factor) if form.get("clear", "").strip() else None,
        "severity": form.get("severity", ""), "scope": scope_fields.scope_of(form),
        "channels": scope_fields.ticked(form, "channel"), "enabled": "enabled" in form,
        **{field: _number(form, field, 60.0) for field in _MINUTES},
    }  # fmt: skip
    return rule_from_json(document)


def shown(rule: Rule) -> dict[str, str]:
    """Return the fields' values of a rule; what is ticked is `on`."""
    factor = KINDS[rule.kind][2]
    ticks = {f"channel.{name}": "on" for name in rule.channels} | ({"enabled": "on"} if rule.enabled else {})
    return {
        "name": rule.name, "kind": rule.kind, "limit": _text(rule.limit / factor), "severity": rule.severity,
        "clear": "" if rule.clear is None else _text(rule.clear / factor),
        **{field: _text(getattr(rule, field) / 60) for field in _MINUTES}, **scope_fields.shown(rule.scope), **ticks,
    }  # fmt: skip


def blank() -> dict[str, str]:
    """Return the fields' values of a rule that is still to be made."""
    return {
        "name": "", "kind": "offline_for", "limit": "5", "clear": "", "severity": "warning", "for_s": "1",
        "clear_for_s": "1", "repeat_s": "0", "nodes": "", "sites": "", "tags": "", "enabled": "on",
    }  # fmt: skip


def limit_words(rule: Rule) -> str:
    """Return what a rule looks for, as a person says it."""
    words, unit, factor = KINDS[rule.kind]
    return f"{words} {_text(rule.limit / factor)} {unit}"


def _number(form: Mapping[str, str], field: str, factor: float) -> float:
    text = form.get(field, "").strip().replace(",", ".")
    try:
        return float(text) * factor
    except ValueError as error:
        raise InputError(f"{text[:40]!r} is no number ({field.removesuffix('_s')}).") from error


def _text(value: float) -> str:
    return f"{value:.6g}"
