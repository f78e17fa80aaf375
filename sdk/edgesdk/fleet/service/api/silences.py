"""Silences: when nobody is told, and about what."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from edgesdk.fleet.alerts.silence import Silence
from edgesdk.fleet.service.api.asked import Operator, RowId, Viewer
from edgesdk.fleet.service.clock import now_ms
from edgesdk.fleet.service.parts import note, parts_of
from edgesdk.fleet.service.security.principal import Principal
from edgesdk.fleet.service.security.refusals import NotFound
from edgesdk.fleet.store import alert_rules as store
from edgesdk.fleet.store.engine import reading, writing
from edgesdk_targets.errors import InputError

router = APIRouter(prefix="/api/v1/silences", tags=["alerts"])


@router.get("")
def silences(request: Request, _who: Viewer) -> dict[str, Any]:
    """Return the silences that have not ended."""
    with reading(parts_of(request).engine) as connection:
        found = store.list_silences(connection, now_ms())
    return {"silences": [{"id": row, **silence.model_dump(mode="json")} for row, silence in found.items()]}


@router.post("", status_code=201)
def add(request: Request, who: Operator, silence: Silence) -> dict[str, Any]:
    """Begin a silence, now or when it says."""
    return {"id": begin_silence(request, who, silence)}


@router.put("/{row}")
def change(request: Request, who: Operator, row: RowId, silence: Silence) -> dict[str, Any]:
    """End a silence and begin another in its place, in one step; return the new one's number."""
    return {"id": begin_silence(request, who, silence, instead_of=row)}


@router.delete("/{row}")
def end(request: Request, who: Operator, row: RowId) -> dict[str, Any]:
    """End a silence now; what goes on is told."""
    stop_silence(request, who, row)
    return {"ended": row}


def begin_silence(request: Request, who: Principal, silence: Silence, *, instead_of: int | None = None) -> int:
    """Write a silence for whoever asks, note it, and return its number.

    Raises:
        NotFound: the one whose place it takes does not go on.
    """
    with writing(parts_of(request).engine) as connection:
        if instead_of is not None:
            _end(connection, instead_of)
        row = store.add_silence(connection, silence, who.asker, now_ms())
    told: dict[str, Any] = silence.model_dump(mode="json", exclude_defaults=True)
    if instead_of is not None:
        told["instead_of"] = instead_of
    note(request, who, "silence.begin", str(row), **told)
    return row


def stop_silence(request: Request, who: Principal, row: int) -> None:
    """End a silence for whoever asks, and note it.

    Raises:
        NotFound: none of this number goes on.
    """
    with writing(parts_of(request).engine) as connection:
        _end(connection, row)
    note(request, who, "silence.end", str(row))


def _end(connection: Any, row: int) -> None:
    try:
        store.end_silence(connection, row, now_ms())
    except InputError as error:
        raise NotFound("There is no such silence that goes on.") from error
