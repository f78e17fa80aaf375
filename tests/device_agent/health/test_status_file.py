from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path

import pytest

from edgesdk_agent.health.status_file import find_status, process_ticks, status_folder, write_status
from edgesdk_agent.health.status_text import exit_code_of, in_words, is_stale
from edgesdk_targets.errors import InputError


def status(**changes: object) -> dict[str, object]:
    own = {"pid": os.getpid(), "started_ticks": process_ticks(os.getpid())}
    at = datetime.now(timezone.utc).isoformat()
    return {
        "device": "gate-1",
        "state": "online",
        "level": "ok",
        "version": "1",
        "uptime_s": 60,
        "at": at,
        **own,
        **changes,
    }


def test_what_is_written_is_found_whole_and_known_to_run(tmp_path: Path) -> None:
    environment = {"XDG_RUNTIME_DIR": str(tmp_path)}
    folder = status_folder(environment)
    path = write_status(folder, "gate-1", status())
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [one.name for one in folder.iterdir()] == [path.name]
    (one,) = find_status("gate-1", environment)
    assert one["running"] is True
    assert exit_code_of([one]) == 0
    assert in_words(one).startswith("gate-1: online")


def test_a_process_with_the_same_number_is_not_the_agent(tmp_path: Path) -> None:
    environment = {"XDG_RUNTIME_DIR": str(tmp_path)}
    write_status(status_folder(environment), "gate-1", status(started_ticks=1))
    (one,) = find_status(environment=environment)
    assert one["running"] is False
    assert exit_code_of([one]) == 1
    assert "does not run" in in_words(one)


def test_what_fails_and_what_is_old_is_told_by_the_exit_code() -> None:
    failing = {**status(level="failing", state="degraded"), "running": True}
    finding = {"check": "disk_space", "level": "failing", "reason": "0 MB are free.", "hint": "Delete."}
    assert exit_code_of([failing]) == 1
    assert "FAILING  0 MB are free." in in_words({**failing, "findings": [finding]})
    old = {**status(at="2026-01-01T00:00:00+00:00"), "running": True}
    assert is_stale(old)
    assert exit_code_of([old]) == 1


def test_no_status_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=str(tmp_path)):
        find_status(environment={"XDG_RUNTIME_DIR": str(tmp_path)})


def test_a_folder_of_somebody_else_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(PermissionError):
        write_status(tmp_path / "link", "gate-1", status())


def test_garbage_in_the_folder_is_passed_over(tmp_path: Path) -> None:
    environment = {"XDG_RUNTIME_DIR": str(tmp_path)}
    write_status(status_folder(environment), "gate-1", status())
    for name, text in (("a", "{"), ("b", "[]"), ("c", "x" * (2 << 20))):
        (status_folder(environment) / f"{name}.status.json").write_text(text)
    assert len(find_status(environment=environment)) == 1
