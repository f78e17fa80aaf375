"""What `edgesdk fleet deploy` says while it follows: each state once, from the beginning to the end, whatever that is."""

from __future__ import annotations

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from edgesdk.cli import fleet_rollout
from edgesdk.cli.app import run
from edgesdk.fleet.rollout.policy import Policy
from edgesdk.fleet.rollout.shelf import Shelf
from edgesdk_testkit.rollout_store import BUNDLE, stored_world
from edgesdk_testkit.rollout_world import Way

POLICY = Policy(soak_s=100, reports=3, silent_after_s=400, baseline_s=200, shares=(0.5, 1.0))
PATIENCE_S = 60
LINE = re.compile(r"m-2\.0\.0-1: (?P<status>[a-z ]+), wave (?P<wave>\d) of 3: (?P<steps>[^(\n]*)(\((?P<why>.*)\))?")


@pytest.mark.parametrize(
    ("way", "code", "end"),
    [
        (Way.GOOD, 0, ("done", "3", "4 confirmed")),
        (Way.WORSE, 3, ("rolled back", "1", "1 back, 3 waiting")),
    ],
    ids=["good", "worse"],
)
def test_each_state_is_a_line_and_the_last_says_how_it_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, way: Way, code: int,
    end: tuple[str, str, str],
) -> None:  # fmt: skip
    # The world's devices know one bundle, which no file holds.
    monkeypatch.setattr(Shelf, "put", lambda _self, _path: BUNDLE)
    monkeypatch.setattr(fleet_rollout, "_LOOK_S", 0.02)
    read, looked = fleet_rollout._read, threading.Event()

    def reads(*asked: Any) -> dict[str, Any]:
        found = read(*asked)
        looked.set()
        return found

    monkeypatch.setattr(fleet_rollout, "_read", reads)
    rules, db = tmp_path / "rules.yaml", tmp_path / "fleet.db"
    rules.write_text(yaml.safe_dump(POLICY.model_dump(mode="json")))
    with stored_world([way] * 4, db, tmp_path, at=time.time() - 300) as stored, ThreadPoolExecutor(1) as pool:
        words = ["fleet", "deploy", "m.edgebundle", "--db", str(db), "--policy", str(rules), "--bundles", str(tmp_path)]
        asked = pool.submit(run, words)
        # Nothing happens before its first line, however slow it is.
        looked.wait(PATIENCE_S)
        until = time.monotonic() + PATIENCE_S
        while not asked.done() and time.monotonic() < until:
            stored.look()
            stored.tick(20)
            # So long that whoever follows sees most of what happens.
            time.sleep(0.05)
        assert asked.result(1) == code
    out, err = capsys.readouterr()
    assert "m-2.0.0-1 has begun" in err
    assert "edgesdk fleet rollback m-2.0.0-1" in out + err
    lines = [" ".join(line.split()) for line in err.splitlines() if line.startswith("m-2.0.0-1: ")]
    found = [match for line in lines if (match := LINE.match(line))]
    assert len(found) == len(lines), err
    first = found[0]
    assert (first["status"], first["wave"], first["steps"].strip()) == ("running", "1", "4 waiting")
    assert all(one != other for one, other in pairwise(lines)), "a state that lasts is said once"
    assert {one["status"] for one in found[:-1]} <= {"running", "rolling back"}
    waves = [int(one["wave"]) for one in found]
    assert waves == sorted(waves)
    last = found[-1]
    assert (last["status"], last["wave"], last["steps"].strip()) == end
    if way is Way.WORSE:
        assert "1 of 1 devices failed in wave 1" in (last["why"] or "")
    # The same line stands below the table of devices, for whoever keeps only what is printed.
    assert out.strip().splitlines()[-1].startswith("m-2.0.0-1: ")
