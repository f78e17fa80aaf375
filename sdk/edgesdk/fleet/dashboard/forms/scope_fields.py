"""Which devices, as three lines of words: names, sites, tags; commas between them."""

from __future__ import annotations

from collections.abc import Mapping

from edgesdk.fleet.alerts.scope import Scope

FIELDS = ("nodes", "sites", "tags")


def scope_of(form: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the scope's document: what stands between commas, each once."""
    return {field: words(form.get(field, "")) for field in FIELDS}


def shown(scope: Scope) -> dict[str, str]:
    """Return the fields' values of a scope."""
    return {field: ", ".join(getattr(scope, field)) for field in FIELDS}


def words(text: str) -> list[str]:
    """Return what stands between commas, in its order, each once."""
    return list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def ticked(form: Mapping[str, str], prefix: str) -> list[str]:
    """Return the names of a list of boxes, `prefix.NAME`, that are ticked."""
    return [field.removeprefix(f"{prefix}.") for field in form if field.startswith(f"{prefix}.")]
