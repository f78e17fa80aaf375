from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgesdk_converters import cache
from edgesdk_converters.cache import StepCache, key_of


class Counted:
    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files, self.runs = files, 0

    def __call__(self) -> Mapping[str, bytes]:
        self.runs += 1
        return self.files


def test_a_step_is_run_once_for_one_key(tmp_path: Path) -> None:
    step, store = Counted({"model": b"weights"}), StepCache(tmp_path)
    assert store.get_or_run("k1", step) == ({"model": b"weights"}, False)
    assert store.get_or_run("k1", step) == ({"model": b"weights"}, True)
    assert step.runs == 1
    store.get_or_run("k2", step)
    assert step.runs == 2


def test_a_damaged_entry_counts_as_absent_and_is_made_again(tmp_path: Path) -> None:
    step, store = Counted({"model": b"weights" * 100}), StepCache(tmp_path)
    store.get_or_run("k", step)
    entry = next((tmp_path / "steps").iterdir())
    data = bytearray(entry.read_bytes())
    data[60] ^= 1
    entry.write_bytes(data)
    assert store.get_or_run("k", step) == ({"model": b"weights" * 100}, False)
    assert store.get_or_run("k", step)[1] is True


def test_no_folder_keeps_nothing() -> None:
    step, store = Counted({"a": b"1"}), StepCache(None)
    store.get_or_run("k", step)
    store.get_or_run("k", step)
    assert step.runs == 2


def test_a_folder_that_cannot_be_written_does_not_fail_the_step(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    assert StepCache(blocked).get_or_run("k", Counted({"a": b"1"}))[0] == {"a": b"1"}


def test_key_depends_on_every_part_and_on_versions() -> None:
    base = key_of("step", b"model", {"precision": "fp16"}, tools=("numpy",))
    assert base == key_of("step", b"model", {"precision": "fp16"}, tools=("numpy",))
    assert base != key_of("step", b"model", {"precision": "fp32"}, tools=("numpy",))
    assert base != key_of("step", b"other", {"precision": "fp16"}, tools=("numpy",))
    assert base != key_of("step", b"model", {"precision": "fp16"}, tools=("pydantic",))
    # Parts are told apart, so that "ab"+"c" is not "a"+"bc".
    assert key_of(b"ab", b"c") != key_of(b"a", b"bc")


def test_the_oldest_go_when_the_folder_is_over_its_budget(tmp_path: Path, monkeypatch: object) -> None:
    import os

    store = StepCache(tmp_path)
    for name in ("old", "mid", "new"):
        store.get_or_run(name, Counted({"model": os.urandom(1000)}))
    folder = tmp_path / "steps"
    for age, name in enumerate(("new", "mid", "old")):
        os.utime(folder / name, (1_000_000 - age, 1_000_000 - age))
    budget, cache.BUDGET_BYTES = cache.BUDGET_BYTES, 2500
    try:
        store.get_or_run("newest", Counted({"model": b"x"}))
    finally:
        cache.BUDGET_BYTES = budget
    assert not (folder / "old").exists()
    assert (folder / "newest").exists()
