"""The dashboard's own files and its packages, read once: what is not in the list does not exist, whatever its path says."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Depends
from starlette.responses import Response

from edgesdk.fleet.service.security.refusals import NotFound
from edgesdk.fleet.service.security.roles import anyone

_FOLDER = Path(__file__).parent / "static"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
}
_FOR_EVER = "public, max-age=31536000, immutable"

router = APIRouter()


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file; its address holds the beginning of its hash, so that browsers may keep it for ever."""

    content: bytes
    media_type: str
    digest: str


@cache
def static_files() -> dict[str, StaticFile]:
    """Return every file by its name below `static`."""
    found = {}
    for path in sorted(_FOLDER.rglob("*")):
        if path.is_file() and path.suffix in _TYPES:
            name = path.relative_to(_FOLDER).as_posix()
            content = path.read_bytes()
            if path.suffix == ".js" and path.parent == _FOLDER:
                content = _bare(content)
            found[name] = StaticFile(content, _TYPES[path.suffix], hashlib.sha256(content).hexdigest()[:12])
    return found


def _bare(script: bytes) -> bytes:
    """Return a script of ours without what only people read: indentation, and comments that have a line of their own."""
    lines = (line.strip() for line in script.splitlines())
    return b"\n".join(line for line in lines if line and not line.startswith(b"//")) + b"\n"


def address_of(name: str) -> str:
    """Return where pages find a file."""
    return f"/static/{static_files()[name].digest}/{name}"


def has_packages() -> bool:
    """Tell whether htmx and uPlot are here; a wheel that was built without npm has them not."""
    return {"vendor/htmx.min.js", "vendor/uplot.min.js"} <= static_files().keys()


@router.get("/static/{digest}/{name:path}", dependencies=[Depends(anyone)], include_in_schema=False)
def static_file(digest: str, name: str) -> Response:
    """Return one file."""
    found = static_files().get(name)
    if found is None or found.digest != digest:
        raise NotFound("There is no such file.")
    return Response(found.content, media_type=found.media_type, headers={"cache-control": _FOR_EVER})
