"""Answers of probes that are kept in files: what is believed, for how long, and how many."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from edgesdk_targets.probe_cache import ProbeCache
from edgesdk_targets.probe_result import Outcome, ProbeResult


def kept(folder: Path) -> tuple[ProbeCache, Path]:
    cache = ProbeCache(folder)
    cache.put("key", ProbeResult(Outcome.FINE))
    assert cache.get("key") == ProbeResult(Outcome.FINE)
    return cache, folder / "probes" / "key.json"


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"format": 1}', b"[" * 50_000, b" " * (1 << 17)],
    ids=["empty", "cut", "list", "null", "binary", "bare", "deep", "long"],
)
def test_a_damaged_file_counts_as_absent(tmp_path: Path, content: bytes) -> None:
    cache, path = kept(tmp_path)
    path.write_bytes(content)
    assert cache.get("key") is None
    cache.put("key", ProbeResult(Outcome.FINE))
    assert cache.get("key") is not None


def test_a_foreign_files_answer_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another fingerprint's, a wrong type in it, a link, a pipe on which reading would wait, another user's."""
    cache, path = kept(tmp_path)
    good = path.read_text()
    data = json.loads(good)
    for wrong in (
        {**data, "key": "0" * 64},
        {**data, "format": 99},
        {**data, "at": "noon"},
        {**data, "result": {**data["result"], "outcome": "splendid"}},
        {**data, "result": {**data["result"], "reason": 5}},
        {**data, "result": {**data["result"], "versions": ["1"]}},
        {**data, "result": {**data["result"], "seconds": {"load": "long"}}},
    ):
        path.write_text(json.dumps(wrong))
        assert cache.get("key") is None
    path.write_text(good)
    assert cache.get("key") is not None
    with monkeypatch.context() as patch:
        uid = os.geteuid()
        patch.setattr(os, "geteuid", lambda: uid + 1)
        assert cache.get("key") is None
    path.rename(tmp_path / "elsewhere.json")
    path.symlink_to(tmp_path / "elsewhere.json")
    assert cache.get("key") is None
    path.unlink()
    os.mkfifo(path)
    assert cache.get("key") is None


def test_what_failed_is_tried_again_after_a_while(tmp_path: Path) -> None:
    now = 1_000_000.0
    cache = ProbeCache(tmp_path, clock=lambda: now)
    day = 86400
    for outcome, lasts in (
        (Outcome.ILLEGAL_INSTRUCTION, 30 * day),
        (Outcome.CRASHED, day),
        (Outcome.HANGS, 3600),
        (Outcome.OUT_OF_MEMORY, 3600),
        (Outcome.REFUSED, 3600),
    ):
        now = 1_000_000.0
        cache.put("key", ProbeResult(outcome, "why", "what to do"))
        now += lasts - 1
        assert cache.get("key") == ProbeResult(outcome, "why", "what to do")
        now += 2
        assert cache.get("key") is None
        now = 10.0  # the clock of a board without a battery
        assert cache.get("key") is None
    cache.put("key", ProbeResult(Outcome.FINE))
    now += 1000 * day
    assert cache.get("key") is not None


def test_only_so_many_are_kept(tmp_path: Path) -> None:
    cache = ProbeCache(tmp_path)
    for number in range(70):
        cache.put(f"key{number}", ProbeResult(Outcome.FINE))
    assert len(list((tmp_path / "probes").iterdir())) == 64
    assert cache.get("key69") is not None
