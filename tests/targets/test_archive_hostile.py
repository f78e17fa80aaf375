"""Bundles that are well sealed, and made to harm whoever expands them."""

from __future__ import annotations

import os
import struct
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesdk_targets.bundle.archive import Limits, pack
from edgesdk_targets.errors import BadBundle, BadHash, BundleError, TooLarge
from edgesdk_testkit.zip_files import CENTRAL, LOCAL, patched, plain_zip, read_all, sealed


class TestHostileZips:
    """Well sealed, but made to harm whoever expands it."""

    def test_a_bomb_is_refused_before_it_expands(self, stored: Path) -> None:
        stored.write_bytes(sealed(plain_zip({"bomb": bytes(50 << 20)})))
        assert stored.stat().st_size < 100_000
        with pytest.raises(TooLarge, match="times"):
            read_all(stored)

    def test_more_bytes_than_allowed_are_refused(self, stored: Path) -> None:
        files = {f"f{i}": os.urandom(1000) for i in range(10)}
        stored.write_bytes(pack(files))
        with pytest.raises(TooLarge, match="expands to 10000 bytes"):
            read_all(stored, Limits(total_bytes=9999))
        assert len(read_all(stored, Limits(total_bytes=10_000))) == 10

    def test_more_files_than_allowed_are_refused(self, stored: Path) -> None:
        stored.write_bytes(pack({f"f{i}": b"" for i in range(11)}))
        with pytest.raises(TooLarge, match="more than 10 files"):
            read_all(stored, Limits(files=10))
        assert len(read_all(stored, Limits(files=11))) == 11

    def test_a_table_of_contents_without_bounds_is_refused_unread(
        self, stored: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """`zipfile` reads all of it into memory, and nobody knows yet who made it."""
        usual = plain_zip({f"f{i}": b"" for i in range(20)})
        end = usual[-22:]
        forged = [
            (usual, "more than 10 files"),
            (usual[:-22] + end[:8] + bytes(4) + end[12:], "table of contents"),
            (usual[:-22] + b"PK\x06\x07" + bytes(16) + end[:8] + bytes(4) + end[12:], "table of contents"),
        ]
        monkeypatch.setattr(zipfile, "ZipFile", None)
        for limits, (content, says) in zip((10, 1, 20), forged, strict=True):
            stored.write_bytes(sealed(content))
            with pytest.raises(TooLarge, match=says):
                read_all(stored, Limits(files=limits))

    def test_entries_that_overlap_are_refused(self, stored: Path) -> None:
        """Many central records that lead to one local entry: a small file that holds endless bytes."""
        content = os.urandom(4000)
        whole = plain_zip({"a": content}, zipfile.ZIP_STORED)
        start, end = whole.index(CENTRAL), whole.rindex(b"PK\x05\x06")
        record = bytearray(whole[start:end])
        copies = b""
        for letter in b"abcdefgh":
            record[46] = letter
            copies += bytes(record)
        closing = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 8, 8, len(copies), start, 0)
        stored.write_bytes(sealed(whole[:start] + copies + closing))
        with pytest.raises(TooLarge, match="overlap"):
            read_all(stored)

    def test_two_overlapping_entries_are_refused(self, stored: Path) -> None:
        """Too few to be seen by their sum: the second's local header is inside the first one's content."""
        inner = plain_zip({"b": b"x" * 100}, zipfile.ZIP_STORED)
        outer = plain_zip({"a": inner[: inner.index(CENTRAL)] + os.urandom(4000)}, zipfile.ZIP_STORED)
        start, end = outer.index(CENTRAL), outer.rindex(b"PK\x05\x06")
        second = bytearray(inner[inner.index(CENTRAL) : inner.rindex(b"PK\x05\x06")])
        second[42:46] = struct.pack("<L", outer.index(LOCAL, 1))
        records = outer[start:end] + bytes(second)
        closing = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 2, 2, len(records), start, 0)
        stored.write_bytes(sealed(outer[:start] + records + closing))
        # Harmless in memory, as both are counted; what matters is that neither gives more than it declares.
        try:
            contents = read_all(stored)
        except BundleError:
            return
        assert sum(map(len, contents.values())) < 2 * stored.stat().st_size

    @pytest.mark.parametrize("declared", [0, 100, 4999, 5001, 1 << 20])
    def test_sizes_that_lie_are_seen(self, stored: Path, declared: int) -> None:
        whole = plain_zip({"a": os.urandom(5000)})
        size = struct.pack("<L", declared)
        whole = patched(patched(whole, LOCAL, 22, size), CENTRAL, 24, size)
        stored.write_bytes(sealed(whole))
        with pytest.raises(BadHash):
            read_all(stored)

    def test_a_bomb_that_declares_little_gives_little(self, stored: Path) -> None:
        whole = plain_zip({"a": bytes(20 << 20)})
        size = struct.pack("<L", 10)
        stored.write_bytes(sealed(patched(patched(whole, LOCAL, 22, size), CENTRAL, 24, size)))
        with pytest.raises(BadHash):
            read_all(stored)

    def test_content_that_does_not_expand_is_refused(self, stored: Path) -> None:
        whole = bytearray(plain_zip({"a": b"hello" * 100}))
        whole[31:40] = b"\xff" * 9
        stored.write_bytes(sealed(bytes(whole)))
        with pytest.raises(BadHash, match="damaged"):
            read_all(stored)

    def test_names_that_differ_in_both_records_are_refused(self, stored: Path) -> None:
        whole = plain_zip({"a": b"1"})
        stored.write_bytes(sealed(patched(whole, LOCAL, 30, b"b")))
        with pytest.raises(BadHash):
            read_all(stored)

    def test_a_name_twice_is_refused(self, stored: Path) -> None:
        whole = plain_zip({"a": b"1", "b": b"2"})
        whole = patched(patched(whole, LOCAL, 30, b"a", 1), CENTRAL, 46, b"a", 1)
        stored.write_bytes(sealed(whole))
        with pytest.raises(BadBundle, match="twice"):
            read_all(stored)

    def test_an_encrypted_entry_is_refused(self, stored: Path) -> None:
        whole = patched(plain_zip({"a": b"1"}), CENTRAL, 8, b"\x01\x00")
        stored.write_bytes(sealed(whole))
        with pytest.raises(BadBundle, match="encrypted"):
            read_all(stored)

    @pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_other_compressions_are_refused(self, stored: Path, compression: int) -> None:
        stored.write_bytes(sealed(plain_zip({"a": b"1" * 1000}, compression)))
        with pytest.raises(BadBundle, match="packed otherwise"):
            read_all(stored)

    @given(st.binary(max_size=300), st.integers(0, 400))
    @settings(max_examples=200, deadline=None)
    def test_sealed_noise_is_an_error_of_ours(self, noise: bytes, position: int) -> None:
        """Whatever stands in a sealed file: content, or a BundleError, never another exception."""
        whole = bytearray(plain_zip({"manifest.json": b"{}" * 50, "a/b": b"x" * 90}))
        place = position % len(whole)
        whole[place : place + len(noise)] = noise
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a"
            path.write_bytes(sealed(bytes(whole)))
            with suppress(BundleError):
                read_all(path)
