"""`edgesdk fleet ls`: devices with their states, as a table and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy")

from edgesdk.cli.app import run
from edgesdk.fleet.store.engine import open_store
from edgesdk_testkit.fleet_seed import seed


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("fleet") / "fleet.db")
    engine = open_store(path)
    seed(engine, 12, minutes=1)
    engine.dispose()
    return path


def told(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, list[dict[str, object]]]:
    assert run(["fleet", "ls", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)  # type: ignore[no-any-return]


def test_every_device_is_listed_with_its_state(db: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, "--db", db)["devices"]
    assert [one["node"] for one in found] == [f"local.cam-{number:04}" for number in range(12)]
    assert {"online", "never_seen"} <= {one["state"] for one in found}
    assert run(["fleet", "ls", "--db", db]) == 0
    lines = capsys.readouterr().out.splitlines()
    for one in found:
        (line,) = [line for line in lines if one["node"] in line.split()]
        assert f" {one['state']} " in line


def test_filters_are_those_of_the_api(db: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert [one["node"] for one in told(capsys, "--db", db, "--state", "never_seen")["devices"]] == ["local.cam-0009"]
    indoor = told(capsys, "--db", db, "--tag", "indoor", "--limit", "4")
    assert all("indoor" in one["tags"] for one in indoor["devices"])  # type: ignore[operator]
    assert indoor["next"]
    rest = told(capsys, "--db", db, "--tag", "indoor", "--cursor", str(indoor["next"]))
    assert len(indoor["devices"]) + len(rest["devices"]) == 6
    assert rest["next"] == ""
    names = [one["node"] for one in told(capsys, "--db", db, "--sort=-name")["devices"]]
    assert names == sorted(names, reverse=True)  # type: ignore[type-var]


@pytest.mark.parametrize(
    ("words", "says"),
    [(["--state", "asleep"], "no state of a device"), (["--sort", "weight"], "not sorted by"), (["--cursor", "x"], "")],
    ids=["state", "sort", "cursor"],
)
def test_what_cannot_be_meant_is_refused(
    db: str, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert run(["fleet", "ls", "--db", db, *words]) == 2
    assert says in capsys.readouterr().err


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fleet", "ls", "--db", str(tmp_path / "none.db")]) == 2
    assert "none.db" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
