"""A bundle that was changed, cut off or added to is never read as if it were whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgesdk_targets.bundle.archive import pack
from edgesdk_targets.errors import BadBundle, BundleError
from edgesdk_testkit.zip_files import plain_zip, read_all

SMALL = pack({"manifest.json": b'{"x": 1}' * 20, "models/a/model": bytes(range(256)) * 2})


class TestDamage:
    def test_every_changed_byte_is_seen(self, stored: Path) -> None:
        """At every position, the zip's own records and the seal included."""
        for position in range(len(SMALL)):
            data = bytearray(SMALL)
            data[position] ^= 1 << position % 8
            stored.write_bytes(data)
            with pytest.raises(BundleError):
                read_all(stored)

    def test_every_shorter_file_is_seen(self, stored: Path) -> None:
        for length in range(len(SMALL)):
            stored.write_bytes(SMALL[:length])
            with pytest.raises(BadBundle):
                read_all(stored)

    @pytest.mark.parametrize("extra", [b"\0", b"PK\x05\x06" + bytes(18), SMALL])
    def test_what_follows_or_precedes_is_seen(self, stored: Path, extra: bytes) -> None:
        for data in (SMALL + extra, extra + SMALL):
            stored.write_bytes(data)
            with pytest.raises(BundleError):
                read_all(stored)

    def test_the_whole_file_is_taken(self, stored: Path) -> None:
        """Control: what the tests above damage is good."""
        stored.write_bytes(SMALL)
        assert set(read_all(stored)) == {"manifest.json", "models/a/model"}

    def test_a_file_without_a_seal_is_refused(self, stored: Path) -> None:
        stored.write_bytes(plain_zip({"a": os.urandom(300)}))
        with pytest.raises(BadBundle, match="does not end"):
            read_all(stored)

    @pytest.mark.parametrize("content", [b"", b"x" * 5000, b"PK"])
    def test_what_is_no_zip_is_refused(self, stored: Path, content: bytes) -> None:
        stored.write_bytes(content)
        with pytest.raises(BadBundle, match="not a bundle"):
            read_all(stored)

    def test_what_is_not_there_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(BadBundle, match="No such file"):
            read_all(tmp_path / "absent")

    def test_what_is_no_file_is_refused(self, tmp_path: Path) -> None:
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        with pytest.raises(BadBundle, match="neither"):
            read_all(pipe)
