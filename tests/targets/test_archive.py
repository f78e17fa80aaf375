from __future__ import annotations

import hashlib
import io
import os
import struct
import tempfile
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesdk_targets.bundle.archive import Limits, check_name, open_archive, pack
from edgesdk_targets.errors import BadBundle, BadHash, BundleError, TooLarge, UnsafePath

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


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    return tmp_path / "a.edgebundle"


class TestNames:
    @pytest.mark.parametrize("name", ["a", "models/x-1/model.onnx", "_hidden", "a/b/c/d/e/f/g/h", "v1.2+cpu"])
    def test_plain_names_are_taken(self, name: str) -> None:
        check_name(name)

    @pytest.mark.parametrize(
        "name",
        [
            "",
            ".",
            "..",
            "../x",
            "a/../../x",
            "a/..",
            "a/./b",
            "/etc/passwd",
            "//x",
            "a//b",
            "a/",
            "C:/x",
            "c:x",
            "a\\..\\b",
            "\\\\server\\share",
            "~/.ssh/id",
            ".bashrc",
            "a/.git/hooks",
            "-rf",
            "a b",
            "a\nb",
            "a\n",
            "a\x00b",
            "naïve",
            "a/b/c/d/e/f/g/h/i",
            "x" * 201,
            "con",
            "NUL",
            "aux.txt",
            "models/COM1/model",
            "models/lpt9.onnx",
        ],
    )
    def test_others_are_refused(self, name: str) -> None:
        with pytest.raises(UnsafePath):
            check_name(name)

    @given(st.text(max_size=30))
    def test_a_name_that_is_taken_stays_inside(self, name: str) -> None:
        try:
            check_name(name)
        except UnsafePath:
            return
        inside = Path("/bundle")
        place = Path(os.path.normpath(inside / name))
        assert place != inside
        assert inside in place.parents

    def test_bad_names_are_not_written(self) -> None:
        with pytest.raises(UnsafePath):
            pack({"../x": b""})

    @pytest.mark.parametrize("name", ["../x", "/abs", "a\\b", "a/", "nul", "é"])
    def test_bad_names_are_not_read(self, stored: Path, name: str) -> None:
        stored.write_bytes(sealed(plain_zip({name: b"x"})))
        with pytest.raises(UnsafePath):
            read_all(stored)

    @pytest.mark.parametrize("names", [("a", "A"), ("a", "a/b"), ("x/Y", "x/y/z")])
    def test_names_that_would_overwrite_each_other_are_refused(self, stored: Path, names: tuple[str, str]) -> None:
        stored.write_bytes(sealed(plain_zip(dict.fromkeys(names, b"x"))))
        with pytest.raises(UnsafePath, match="overwrite"):
            read_all(stored)


NAMES = st.from_regex(r"\A[a-z][a-z0-9_.-]{0,8}(/[a-z][a-z0-9]{0,5}){0,3}\Z").filter(lambda name: not _refused(name))


def _refused(name: str) -> bool:
    try:
        check_name(name)
    except UnsafePath:
        return True
    return False


def _apart(files: Mapping[str, bytes]) -> bool:
    return not any(other.startswith(name + "/") for name in files for other in files)


class TestPack:
    @given(st.dictionaries(NAMES, st.binary(max_size=2000), max_size=6).filter(_apart))
    @settings(max_examples=60, deadline=None)
    def test_what_is_packed_is_read(self, files: dict[str, bytes]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a"
            path.write_bytes(pack(files))
            assert read_all(path) == files

    def test_order_of_the_files_does_not_matter(self) -> None:
        files = {"manifest.json": b"{}", "b": b"2", "a": b"1"}
        assert pack(files) == pack(dict(reversed(files.items())))

    def test_the_manifest_comes_first(self) -> None:
        data = pack({"a": b"1", "manifest.json": b"{}"})
        assert zipfile.ZipFile(io.BytesIO(data)).namelist() == ["manifest.json", "a"]

    def test_any_zip_tool_reads_it(self) -> None:
        data = pack({"a/b": b"12345" * 100})
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            assert archive.testzip() is None
            assert archive.read("a/b") == b"12345" * 100


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


def patched(archive: bytes, record: bytes, offset: int, value: bytes, which: int = 0) -> bytes:
    """Overwrite a field of the `which`-th local or central record."""
    position = -1
    for _ in range(which + 1):
        position = archive.index(record, position + 1)
    data = bytearray(archive)
    data[position + offset : position + offset + len(value)] = value
    return bytes(data)


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


class TestFolder:
    def test_reads_what_lies_there(self, tmp_path: Path) -> None:
        (tmp_path / "models").mkdir()
        (tmp_path / "manifest.json").write_bytes(b"{}")
        (tmp_path / "models" / "m").write_bytes(b"123")
        (tmp_path / "empty").mkdir()
        assert read_all(tmp_path) == {"manifest.json": b"{}", "models/m": b"123"}

    @pytest.mark.parametrize("target", ["/etc/passwd", "manifest.json", "absent", "."])
    def test_links_are_refused(self, tmp_path: Path, target: str) -> None:
        (tmp_path / "manifest.json").write_bytes(b"{}")
        (tmp_path / "link").symlink_to(target)
        with pytest.raises(UnsafePath, match="link"):
            read_all(tmp_path)

    def test_a_link_to_a_folder_is_not_entered(self, tmp_path: Path) -> None:
        (tmp_path / "outside").mkdir()
        (tmp_path / "outside" / "secret").write_bytes(b"1")
        inside = tmp_path / "bundle"
        inside.mkdir()
        (inside / "models").symlink_to(tmp_path / "outside")
        with pytest.raises(UnsafePath, match="link"):
            read_all(inside)

    def test_odd_names_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / ".hidden").write_bytes(b"1")
        with pytest.raises(UnsafePath):
            read_all(tmp_path)

    def test_limits_hold(self, tmp_path: Path) -> None:
        for number in range(5):
            (tmp_path / f"f{number}").write_bytes(bytes(10))
        with pytest.raises(TooLarge):
            read_all(tmp_path, Limits(files=4))
        with pytest.raises(TooLarge):
            read_all(tmp_path, Limits(total_bytes=49))
        assert len(read_all(tmp_path, Limits(files=5, total_bytes=50))) == 5

    def test_a_file_that_went_away_is_an_error_of_ours(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(b"1")
        archive = open_archive(tmp_path, Limits())
        (tmp_path / "a").unlink()
        with pytest.raises(BadBundle, match="cannot be read"):
            archive.read("a")

    def test_a_file_that_grew_is_not_read_to_its_end(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(b"1")
        archive = open_archive(tmp_path, Limits())
        (tmp_path / "a").write_bytes(b"1" * 1000)
        assert len(archive.read("a")) <= 2
