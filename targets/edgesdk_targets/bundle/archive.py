"""The container of a bundle: a deterministic zip, or the same files in a folder.

Rules, checked before anything is read out of it:
- every name is a plain relative path of known characters; nothing can lead outside;
- no more files, and no more bytes, than the limits; no entry expands to more than it declares;
- a zip ends with the sha256 of everything before it, so that one flipped byte anywhere is seen.
"""

from __future__ import annotations

import hashlib
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from edgesdk_targets.errors import BadBundle, BadHash, TooLarge, UnsafePath

SUFFIX = ".edgebundle"
# A zip's date cannot be before 1980; a fixed one makes equal content equal bytes.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_MARK = b"edgebundle sha256:"
_END = b"PK\x05\x06"
_END_SIZE = 22
# Of the closing record: how many entries, and how many bytes their table takes.
_END_FIELDS = struct.Struct("<10xHL6x")
# Stands before the closing record of an archive beyond 2 GiB or 65535 files, and leads to another size of the table.
_LOCATOR_64, _LOCATOR_64_SIZE = b"PK\x06\x07", 20
# An entry's fixed fields, its name of at most 200 characters, and room.
_MOST_ENTRY_BYTES = 512
_DIGEST_SIZE = 64
_SEAL_SIZE = len(_MARK) + _DIGEST_SIZE
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*(/[A-Za-z0-9_][A-Za-z0-9._+-]*){0,7}")
# Names of devices on Windows, where somebody may unpack a bundle.
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_COMPRESSION_LEVEL = 6
# What `zipfile` raises on content that somebody made up.
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OverflowError, RuntimeError, ValueError)
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What a bundle may at most be; a device sets its own."""

    total_bytes: int = 2 << 30
    files: int = 4096
    # deflate's own maximum is about 1032:1; weights never come near this.
    ratio: int = 200


class Archive(Protocol):
    """Read access to the container."""

    sizes: Mapping[str, int]

    def read(self, name: str) -> bytes: ...

    def close(self) -> None: ...


def check_name(name: str) -> None:
    """Raise UnsafePath unless `name` is a plain relative path of the allowed characters."""
    safe = _NAME.fullmatch(name) and not any(_DEVICE.fullmatch(part) for part in name.split("/"))
    if not safe or len(name) > 200:
        raise UnsafePath(
            f"The bundle holds a file of the name {name!r}, which is not allowed.",
            hint="Do not use this file; get the bundle from its maker again.",
        )


def pack(files: Mapping[str, bytes]) -> bytes:
    """Write `files` as a deterministic zip; the manifest first, then by name."""
    order = sorted(files, key=lambda name: (name != "manifest.json", name))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in order:
            check_name(name)
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3
            info.external_attr = 0o644 << 16
            archive.writestr(info, files[name], compresslevel=_COMPRESSION_LEVEL)
    # The closing record's last field is the length of the comment that follows it.
    sealed = buffer.getvalue()[:-2] + _SEAL_SIZE.to_bytes(2, "little") + _MARK
    return sealed + hashlib.sha256(sealed).hexdigest().encode()


class ZipArchive:
    """A bundle in its zip form."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self._path = path
        self._file: IO[bytes] = path.open("rb")
        try:
            _check_seal(self._file, path)
            _check_directory(self._file, limits)
            self._zip = zipfile.ZipFile(self._file)
            self.sizes: Mapping[str, int] = _check_entries(self._zip.infolist(), path.stat().st_size, limits)
        except _ZIP_ERRORS as error:
            self._file.close()
            raise _damaged(path, str(error)) from error
        except BaseException:
            self._file.close()
            raise

    def read(self, name: str) -> bytes:
        """Return one file's content, never more than it declares."""
        size = self.sizes[name]
        try:
            with self._zip.open(name) as stream:
                data = stream.read(size + 1)
        except (*_ZIP_ERRORS, OSError) as error:
            raise BadHash(f"{name} in {self._path} is damaged: {error}.", hint="Copy the bundle again.") from error
        if len(data) != size:
            raise BadHash(f"{name} in {self._path} is not as long as it declares.", hint="Copy the bundle again.")
        return data

    def close(self) -> None:
        self._zip.close()
        self._file.close()


class FolderArchive:
    """A bundle unpacked into a folder; links are not followed."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self._path = path
        sizes: dict[str, int] = {}
        for entry in sorted(path.rglob("*")):
            name = entry.relative_to(path).as_posix()
            if entry.is_symlink():
                raise UnsafePath(
                    f"{path} holds a link, {name}; a bundle has only files.", hint="Unpack the bundle again."
                )
            if entry.is_file():
                check_name(name)
                sizes[name] = entry.stat().st_size
                _check_totals(len(sizes), sum(sizes.values()), limits)
        self.sizes: Mapping[str, int] = sizes

    def read(self, name: str) -> bytes:
        """Return one file's content, as far as it was there when the folder was opened."""
        try:
            with (self._path / name).open("rb") as stream:
                return stream.read(self.sizes[name] + 1)
        except OSError as error:
            raise BadBundle(
                f"{self._path / name} cannot be read: {error.strerror or error}.", hint="Unpack the bundle again."
            ) from error

    def close(self) -> None:
        """Nothing is held open."""


def open_archive(path: Path, limits: Limits) -> Archive:
    """Open a bundle file or an unpacked bundle's folder, and check its container.

    Raises:
        BadBundle: missing, unreadable, not a bundle, or truncated.
        BadHash: a byte differs from what was written.
        UnsafePath: a name that is not allowed.
        TooLarge: more files or bytes than the limits.
    """
    try:
        if path.is_dir():
            return FolderArchive(path, limits)
        if path.exists() and not path.is_file():
            raise _damaged(path, "it is neither a file nor a folder")
        return ZipArchive(path, limits)
    except OSError as error:
        raise BadBundle(f"{path} cannot be read: {error.strerror or error}.", hint="Check the path.") from error


def _check_seal(file: IO[bytes], path: Path) -> None:
    """Compare the sha256 at the end of the file with the content before it."""
    size = file.seek(0, io.SEEK_END)
    tail_size = _END_SIZE + _SEAL_SIZE
    if size < tail_size:
        raise _damaged(path, "it is too short")
    file.seek(size - tail_size)
    tail = file.read(tail_size)
    if not tail.startswith(_END) or tail[_END_SIZE : _END_SIZE + len(_MARK)] != _MARK:
        raise _damaged(path, "it does not end as a bundle does")
    digest, left = hashlib.sha256(), size - _DIGEST_SIZE
    file.seek(0)
    while left:
        chunk = file.read(min(_CHUNK, left))
        if not chunk:
            raise _damaged(path, "it became shorter while it was read")
        digest.update(chunk)
        left -= len(chunk)
    if tail[-_DIGEST_SIZE:] != digest.hexdigest().encode():
        raise BadHash(f"{path} was altered or damaged after it was made.", hint="Copy the bundle again.")
    file.seek(0)


def _check_directory(file: IO[bytes], limits: Limits) -> None:
    """Refuse a table of contents that is larger than the limits allow, before `zipfile` reads it whole into memory."""
    end = file.seek(0, io.SEEK_END) - _END_SIZE - _SEAL_SIZE
    file.seek(max(0, end - _LOCATOR_64_SIZE))
    locator = file.read(end - file.tell())
    count, size = _END_FIELDS.unpack(file.read(_END_SIZE))
    _check_totals(count, 0, limits)
    if locator.startswith(_LOCATOR_64) or size > limits.files * _MOST_ENTRY_BYTES:
        raise TooLarge("The bundle's table of contents is too large.", hint="This is no model; do not use this file.")
    file.seek(0)


def _check_entries(entries: list[zipfile.ZipInfo], archive_bytes: int, limits: Limits) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for entry in entries:
        check_name(entry.filename)
        if entry.filename in sizes:
            raise BadBundle(f"The bundle holds {entry.filename} twice.", hint="Make the bundle again.")
        if entry.flag_bits & 0x1 or entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise BadBundle(f"{entry.filename} is encrypted or packed otherwise.", hint="Make the bundle again.")
        # Small files of one repeated byte compress well and harm nobody.
        if entry.file_size > _CHUNK and entry.file_size > limits.ratio * max(1, entry.compress_size):
            raise TooLarge(
                f"{entry.filename} would expand {entry.file_size // max(1, entry.compress_size)} times.",
                hint="This is no model; do not use this file.",
            )
        sizes[entry.filename] = entry.file_size
    # Entries that overlap in the file are how a small zip holds endless bytes.
    if sum(entry.compress_size for entry in entries) > archive_bytes:
        raise TooLarge("The bundle's entries overlap.", hint="This is no model; do not use this file.")
    _check_totals(len(sizes), sum(sizes.values()), limits)
    _check_apart(sizes)
    return sizes


def _check_apart(names: Mapping[str, int]) -> None:
    """Refuse names that cannot stand side by side in a folder, on any file system."""
    folders = {parent for name in names for parent in _parents(name.casefold())}
    if len({name.casefold() for name in names}) < len(names) or any(name.casefold() in folders for name in names):
        raise UnsafePath("The bundle holds names that would overwrite each other.", hint="Do not use this file.")


def _parents(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _check_totals(files: int, total: int, limits: Limits) -> None:
    if files > limits.files:
        raise TooLarge(f"The bundle holds more than {limits.files} files.", hint="Make a smaller bundle.")
    if total > limits.total_bytes:
        raise TooLarge(
            f"The bundle expands to {total} bytes; {limits.total_bytes} are allowed here.",
            hint="Make a bundle with fewer variants, or raise the limit.",
        )


def _damaged(path: Path, why: str) -> BadBundle:
    return BadBundle(
        f"{path} is not a bundle, or it is damaged: {why}.", hint="Copy it again, or make it with `edgesdk convert`."
    )
