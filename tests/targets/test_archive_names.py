"""Names in a bundle: only such as cannot lead out of it, or overwrite each other."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk_targets.bundle.archive import check_name, pack
from edgesdk_targets.errors import UnsafePath
from edgesdk_testkit.zip_files import plain_zip, read_all, sealed


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
