"""What a process is said to hold."""

from __future__ import annotations

import mmap
import os
import sys
from pathlib import Path

import pytest

from edgesdk_targets import child_watch
from edgesdk_targets.child_watch import available_bytes, held_bytes, own_bytes

_SIZE = 64 << 20


def test_a_file_that_is_read_is_not_its_own_memory(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"1" * _SIZE)
    held, own = held_bytes(os.getpid()), own_bytes(os.getpid())
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        assert mapped[:: mmap.PAGESIZE].count(b"1") == _SIZE // mmap.PAGESIZE
        assert held_bytes(os.getpid()) - held > _SIZE // 2
        assert own_bytes(os.getpid()) - own < _SIZE // 4
    taken = bytearray(b"1") * _SIZE
    assert own_bytes(os.getpid()) - own > _SIZE // 2
    del taken


def test_who_has_ended_holds_nothing() -> None:
    assert own_bytes(1 << 30) == 0


@pytest.mark.parametrize(
    ("service", "outer", "left"),
    [
        ({"max": "1000000", "current": "400000"}, {}, 600_000),
        ({"max": "1000000", "current": "400000", "stat": "anon 300000\ninactive_file 100000\n"}, {}, 700_000),
        ({"max": "1000000", "current": "400000"}, {"max": "500000", "current": "450000"}, 50_000),
        ({"max": "1000000", "current": "1000001"}, {}, 0),
        ({"max": "max", "current": "400000"}, {}, None),
        ({}, {}, None),
    ],
    ids=["limited", "files-are-dropped", "the-outer-one-is-stricter", "full", "not-limited", "no-files"],
)
def test_a_services_own_limit_counts(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    service: dict[str, str],
    outer: dict[str, str],
    left: int | None,
) -> None:
    group = tmp_path / "groups/system.slice/edgesdk-agent.service"
    group.mkdir(parents=True)
    for folder, files in ((group, service), (group.parent, outer)):
        for name, text in files.items():
            (folder / f"memory.{name}").write_text(text + "\n")
    own = tmp_path / "cgroup"
    own.write_text("1:name=systemd:/\n0::/system.slice/edgesdk-agent.service\n")
    monkeypatch.setattr(child_watch, "_CGROUPS", tmp_path / "groups")
    monkeypatch.setattr(child_watch, "_OWN_CGROUP", own)
    found = available_bytes()
    assert found == left if left is not None else 1 << 20 < found < sys.maxsize
