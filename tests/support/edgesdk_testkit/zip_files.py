"""Zip files as a bundle's are, and as an attacker would write them."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from edgesdk_targets.bundle.archive import Limits, open_archive

MARK = b"edgebundle sha256:"
LOCAL, CENTRAL = b"PK\x03\x04", b"PK\x01\x02"


def sealed(archive: bytes) -> bytes:
    """Close a zip as a bundle is closed: what an attacker can do to any zip."""
    body = archive[:-2] + (len(MARK) + 64).to_bytes(2, "little") + MARK
    return body + hashlib.sha256(body).hexdigest().encode()


def plain_zip(files: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def read_all(path: Path, limits: Limits | None = None) -> dict[str, bytes]:
    archive = open_archive(path, limits or Limits())
    try:
        return {name: archive.read(name) for name in archive.sizes}
    finally:
        archive.close()


def patched(archive: bytes, record: bytes, offset: int, value: bytes, which: int = 0) -> bytes:
    """Overwrite a field of the `which`-th local or central record."""
    position = -1
    for _ in range(which + 1):
        position = archive.index(record, position + 1)
    data = bytearray(archive)
    data[position + offset : position + offset + len(value)] = value
    return bytes(data)
