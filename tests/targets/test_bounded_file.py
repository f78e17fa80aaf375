"""A file from outside is read as far as such a file goes, and what is wrong with it is told in the reader's words."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest

from edgesdk_targets.bounded_file import FileTooLarge, read_bounded
from edgesdk_targets.errors import InputError


def test_what_is_as_large_as_it_may_be_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 2048)
    assert read_bounded(tmp_path / "file", 2048) == b"x" * 2048
    with pytest.raises(FileTooLarge, match=r"file is larger than 1 KiB\.") as refused:
        read_bounded(tmp_path / "file", 2047, larger="Cut it.")
    assert refused.value.hint == "Cut it."


def test_what_does_not_say_its_size_is_not_read_to_its_end() -> None:
    with pytest.raises(FileTooLarge, match=r"larger than 1 MiB\."):
        read_bounded(Path("/dev/zero"), 1 << 20)


@pytest.mark.parametrize("says_its_size", [True, False])
def test_the_bound_is_not_allocated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, says_its_size: bool) -> None:
    content = os.urandom(1000) * 3000
    (tmp_path / "file").write_bytes(content)
    if not says_its_size:
        monkeypatch.setattr(os, "fstat", lambda _descriptor: os.stat_result((0,) * 10))
    tracemalloc.start()
    try:
        assert read_bounded(tmp_path / "file", 1 << 28) == content
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1 << 24


def test_a_large_file_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "sparse").open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(FileTooLarge, match="larger than 16 MiB"):
        read_bounded(tmp_path / "sparse", 16 << 20)
    # The control: one that claims to be small is read up to the bound and no further.
    monkeypatch.setattr(os, "fstat", lambda _descriptor: os.stat_result((0,) * 10))
    with pytest.raises(FileTooLarge, match="larger than 1 MiB"):
        read_bounded(tmp_path / "sparse", 1 << 20)


def test_what_is_not_there_or_not_readable_is_told_in_the_callers_words(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"field pw: .*none cannot be read: No such file or directory\.") as refused:
        read_bounded(tmp_path / "none", 1, name=f"field pw: {tmp_path / 'none'}", hint="Correct it.")
    assert refused.value.hint == "Correct it."
    with pytest.raises(InputError, match=r"none does not exist\.") as refused:
        read_bounded(tmp_path / "none", 1, absent="Make one.")
    assert refused.value.hint == "Make one."
    with pytest.raises(InputError, match=r"cannot be read: Is a directory\."):
        read_bounded(tmp_path, 1, absent="Make one.")
