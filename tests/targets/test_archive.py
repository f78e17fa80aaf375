"""What is packed is read again, from a bundle's file or from a folder."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesdk_targets.bundle.archive import Limits, check_name, open_archive, pack
from edgesdk_targets.errors import BadBundle, TooLarge, UnsafePath
from edgesdk_testkit.zip_files import read_all

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
