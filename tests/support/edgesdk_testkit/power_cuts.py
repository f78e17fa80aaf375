"""What may be on a disk after its power was cut: every prefix of the file operations, without any of what was not synced.

A file system keeps what was synced, and of the rest whatever it likes: bytes without the name, the name without the
bytes, half of a write. `FileOperations` records what a store does by the calls of `os`; `crash_images` builds every disk
that could be found afterwards. A store is opened on each, in `written_to`'s folder.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from edgesdk_agent.update.environment import environments

# So many combinations of unsynced effects are tried at each moment; a small store never has more.
MOST_COMBINATIONS = 4096


@dataclass(frozen=True)
class Effect:
    """One change of the disk. `what` is create, truncate, write, rename, unlink, sync_file, sync_folder, sync_all or mark."""

    what: str
    inode: int = -1
    name: str = ""
    to: str = ""
    offset: int = 0
    data: bytes = b""


@dataclass
class Image:
    """One disk that could be found: files by their path below the root, and which marks had been reached."""

    files: dict[str, bytes]
    marks: tuple[str, ...]


@dataclass
class FileOperations:
    """Record what is done below a folder by `os.open`, `write`, `fsync`, `replace`, `rename`, `unlink` and `sync_file_system`.

    Everything is also done. Files that are there at the beginning count as synced.
    """

    root: Path
    effects: list[Effect] = field(default_factory=list)
    # Of what kind no sync is recorded: "file" or "folder", as if the store had left it out.
    without: str = ""

    def __post_init__(self) -> None:
        self._inodes: dict[str, int] = {}
        self._open: dict[int, tuple[str, int]] = {}
        self._next = 0
        self.before: dict[str, bytes] = {}
        for path in sorted(self.root.rglob("*")):
            if path.is_file():
                self.before[self._name(path)] = path.read_bytes()

    def mark(self, name: str) -> None:
        """Note that a promise was given: from here on, what it promises must hold on every disk."""
        self.effects.append(Effect("mark", name=name))

    def watch(self, patch: pytest.MonkeyPatch) -> FileOperations:
        """Begin to record, until the patch is undone."""
        instead = {
            "open": self._opened, "close": self._closed, "write": self._written, "fsync": self._synced,
            "replace": self._renamed, "rename": self._renamed, "unlink": self._unlinked,
        }  # fmt: skip
        self._real: dict[str, Any] = {name: getattr(os, name) for name in instead}
        for name, function in instead.items():
            patch.setattr(os, name, function)
        patch.setattr(environments, "sync_file_system", self._all_synced)
        return self

    def _opened(self, path: Any, flags: int, *rest: Any, **named: Any) -> int:
        inside = self._inside(path)
        existed = inside and Path(path).exists()
        handle = int(self._real["open"](path, flags, *rest, **named))
        if not inside:
            return handle
        name = self._name(Path(path))
        if Path(path).is_dir():
            self._open[handle] = (name, -1)
        elif flags & (os.O_WRONLY | os.O_RDWR):
            if not existed:
                self._inodes[name] = self._new()
                self.effects.append(Effect("create", self._inodes[name], name))
            inode = self._inodes.setdefault(name, self._new())
            if existed and flags & os.O_TRUNC:
                self.effects.append(Effect("truncate", inode, name))
            self._open[handle] = (name, inode)
        return handle

    def _written(self, handle: int, data: Any) -> int:
        offset = os.lseek(handle, 0, os.SEEK_CUR) if handle in self._open else 0
        count = int(self._real["write"](handle, data))
        if handle in self._open:
            self.effects.append(Effect("write", self._open[handle][1], offset=offset, data=bytes(data[:count])))
        return count

    def _synced(self, handle: int) -> None:
        self._real["fsync"](handle)
        if handle in self._open:
            name, inode = self._open[handle]
            kind = "folder" if inode < 0 else "file"
            if kind != self.without:
                self.effects.append(Effect(f"sync_{kind}", inode, name))

    def _all_synced(self, _folder: Path) -> None:
        # The machine's disk need not be kept busy for it.
        self.effects.append(Effect("sync_all"))

    def _renamed(self, source: Any, target: Any) -> None:
        self._real["replace"](source, target)
        if self._inside(target):
            old, new = self._name(Path(source)), self._name(Path(target))
            self._inodes[new] = inode = self._inodes.pop(old, -1)
            self.effects.append(Effect("rename", inode, old, new))

    def _unlinked(self, path: Any, **named: Any) -> None:
        self._real["unlink"](path, **named)
        if self._inside(path):
            name = self._name(Path(path))
            self.effects.append(Effect("unlink", self._inodes.pop(name, -1), name))

    def _closed(self, handle: int) -> None:
        self._open.pop(handle, None)
        self._real["close"](handle)

    def _new(self) -> int:
        self._next += 1
        return self._next

    def _inside(self, path: Any) -> bool:
        return not isinstance(path, int) and Path(path).is_relative_to(self.root)

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self.root))


def crash_images(recorded: FileOperations, since: int = 0) -> Iterator[Image]:
    """Yield every disk that could be found after a cut of the power, each once.

    Args:
        since: only cuts after so many effects.
    """
    seen = set()
    for end in range(since, len(recorded.effects) + 1):
        done = recorded.effects[:end]
        marks = tuple(one.name for one in done if one.what == "mark")
        for files in _disks(recorded.before, done):
            key = (tuple(sorted(files.items())), marks)
            if key not in seen:
                seen.add(key)
                yield Image(files, marks)


def one_left_out(recorded: FileOperations) -> Iterator[tuple[Effect, Iterator[Image]]]:
    """Yield each sync and each rename, and the disks that could be found if the store had left that one out."""
    for index, effect in enumerate(recorded.effects):
        if effect.what.startswith("sync") or effect.what == "rename":
            without = copy.copy(recorded)
            without.effects = [one for one in recorded.effects if one is not effect]
            yield effect, crash_images(without, since=index)


def written_to(image: Image, folder: Path) -> Path:
    """Write an image into an empty folder, and return that."""
    for name, content in image.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def _disks(before: dict[str, bytes], done: Sequence[Effect]) -> Iterator[dict[str, bytes]]:
    effects = [one for one in done if not one.what.startswith(("sync", "mark"))]
    loose = [index for index, one in enumerate(effects) if not _is_synced(one, done)]
    # An effect is on the disk (1) or not (0); of a write also the first half alone may be (2).
    choices = [(1, 0, 2) if effects[index].what == "write" else (1, 0) for index in loose]
    for count, chosen in enumerate(product(*choices)):
        assert count < MOST_COMBINATIONS, "too many unsynced effects for every combination to be tried"
        yield _disk(before, effects, dict(zip(loose, chosen, strict=True)))


def _is_synced(effect: Effect, done: Sequence[Effect]) -> bool:
    later = done[next(i for i, one in enumerate(done) if one is effect) + 1 :]
    if any(one.what == "sync_all" for one in later):
        return True
    if effect.what in {"write", "truncate"}:
        return any(one.what == "sync_file" and one.inode == effect.inode for one in later)
    folder = str(Path(effect.to or effect.name).parent)
    return any(one.what == "sync_folder" and one.name == folder for one in later)


def _disk(before: dict[str, bytes], effects: Sequence[Effect], chosen: dict[int, int]) -> dict[str, bytes]:
    contents: dict[int, bytes] = {-2 - number: data for number, data in enumerate(before.values())}
    names: dict[str, int] = {name: -2 - number for number, name in enumerate(before)}
    for index, one in enumerate(effects):
        kept = chosen.get(index, 1)
        if not kept:
            continue
        inode = one.inode if one.inode >= 0 else names.get(one.name, one.inode)
        if one.what == "create":
            names[one.name] = inode
        elif one.what == "truncate":
            contents[inode] = b""
        elif one.what == "write":
            data = one.data if kept == 1 else one.data[: len(one.data) // 2]
            old = contents.get(inode, b"").ljust(one.offset, b"\0")
            contents[inode] = old[: one.offset] + data + old[one.offset + len(data) :]
        elif one.what == "rename":
            names.pop(one.name, None)
            names[one.to] = inode
        elif one.what == "unlink":
            names.pop(one.name, None)
    return {name: contents.get(inode, b"") for name, inode in names.items()}
