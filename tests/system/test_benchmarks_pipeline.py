"""The pipeline's benchmark: its machinery, around a small model and a short film.

Times are not judged here; that the guard sees others' load, that counts and stamps are right, and that goals are judged as
they should, is.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT / "benchmarks") not in sys.path:
    sys.path.insert(0, str(ROOT / "benchmarks"))

from pipeline import made  # noqa: E402
from pipeline.contestants import Contestant, missing  # noqa: E402
from pipeline.findings import Findings, Goal, Rounds  # noqa: E402
from pipeline.load_guard import LoadGuard  # noqa: E402
from pipeline.page import page_text, summary_text  # noqa: E402
from pipeline.parts import ages, fairness, user_code  # noqa: E402
from pipeline.parts.plan import Plan  # noqa: E402
from pipeline.parts.stage_shares import stage_figures  # noqa: E402
from pipeline.process_cost import machine_busy_s, own_busy_s  # noqa: E402
from pipeline.programs import slow_device  # noqa: E402
from pipeline.programs.detections import detections  # noqa: E402
from pipeline.turn import Stream, Turn  # noqa: E402

pytestmark = pytest.mark.system


def _stream(at: list[float], stamp: list[float | None], frame: list[int] | None = None) -> Stream:
    count = len(at)
    stamps = np.array([np.nan if s is None else s for s in stamp])
    return Stream(np.array(at), np.array(frame or range(count)), stamps, np.ones(count, int), np.full(count, np.nan))


def _turn(name: str, *streams: Stream, rate_cpu: float = 0.0, failure: str = "") -> Turn:
    timeline = np.array([[0.0, 0.0], [100.0, rate_cpu]])
    return Turn(name, streams, [timeline], 1 << 20, 0.0, False, 0.1, {}, failure)


def test_the_guard_tells_our_own_load_from_that_of_others() -> None:
    code = "import time\nwhile time.process_time() < 0.4: pass"
    ours, machine = own_busy_s(), machine_busy_s()
    subprocess.run([sys.executable, "-c", code], check=True)
    assert own_busy_s() - ours > 0.3
    assert machine_busy_s() - machine > 0.3
    ours, machine = own_busy_s(), machine_busy_s()
    # Its parent has ended when it begins, so that it is nobody's descendant here; it ends with its standard output.
    orphan = f"import os, time\nif os.fork(): os._exit(0)\ntime.sleep(0.1)\n{code}"
    subprocess.run([sys.executable, "-c", orphan], check=True, stdout=subprocess.PIPE)
    assert machine_busy_s() - machine > 0.3
    assert own_busy_s() - ours < 0.3
    assert LoadGuard(0.0).wait_until_quiet() is False


def test_what_was_disturbed_is_measured_again_and_kept_where_no_quieter_turn_is_to_be_had() -> None:
    for shares, attempts, kept in (([0.5, 0.01, 0.0], 3, 0.01), ([0.5, 0.4, 0.3, 0.0], 3, 0.3), ([0.5, 0.0], 1, 0.5)):
        turns = iter(shares)
        guard = LoadGuard(0.0, attempts)
        assert guard.undisturbed("one", lambda turns=turns: next(turns), lambda share: share) == kept  # type: ignore[misc]


def test_what_is_compared_follows_each_other_in_a_round_of_its_own_order() -> None:
    a, b, c, d, e = (Contestant(name, "seq1") for name in "abcde")
    orders = [
        "".join(one.name for one in Plan(9).order_of_groups([[a, b, c], [d], [e]], number)) for number in range(9)
    ]
    assert all("abc" in order or "cba" in order for order in orders)
    assert any("abc" in order for order in orders)
    assert any("cba" in order for order in orders)
    assert len({order.replace("abc", "").replace("cba", "") for order in orders}) > 1
    assert len({order.find("b") for order in orders}) > 1
    assert [one.name for one in Plan(1, chosen=("b", "d")).order_of_groups([[a, b, c], [d]], 1)] in (
        ["b", "d"],
        ["d", "b"],
    )


def test_the_agents_time_is_told_by_stage_with_decoding_apart_and_the_rest_of_the_process() -> None:
    spent = {"capture": 5.0, "preprocess": 1.0, "infer": 0.5, "deliver": 0.5}
    cameras = {name: {"source": {"decode_cpu_s": 2.0}} for name in ("a", "b")}
    turn = _turn("ours", _stream([0.0, 50.0, 100.0], [None] * 3), rate_cpu=90.0)
    told = {"summary": {"cpu_s": spent, "seconds": 10.0, "cameras": cameras}}
    figures = stage_figures()
    by_stage = {name: figure(replace(turn, notes=told)) for name, figure in figures.items()}
    wanted = {"decode": 40, "capture": 10, "prepare": 10, "infer": 5, "deliver": 5, "rest": 20}
    assert by_stage == pytest.approx({f"{stage}_percent": share for stage, share in wanted.items()})
    assert np.isnan([figure(turn) for figure in figures.values()]).all()


def test_each_place_of_a_hook_is_judged_round_by_round(monkeypatch: pytest.MonkeyPatch) -> None:
    def rates(cases: Any, _reference: Any, number: int, _seconds: float) -> dict[Any, float]:
        kept = {"inline": 0.6, "thread": 0.8, "process": 1.0}
        return {case: 200.0 * (1 if case.rival == "none" else kept[case.isolation] + number / 10) for case in cases}

    monkeypatch.setattr(user_code, "one_round", rates)
    guarded: Any = SimpleNamespace(guard=LoadGuard(0.0, attempts=1))
    found = user_code.measure(guarded, Plan(2, quick=True)).to_json()
    goals = {goal["goal"]: goal for goal in found["goals"]}
    thread = goals["2 ms a frame, on a thread of the same process: rate kept"]
    assert (thread["least"], thread["median"], thread["most"], thread["rounds"]) == (0.8, 0.85, 0.9, 2)
    inline = next(goal for text, goal in goals.items() if text.startswith("2 ms a frame, inline"))
    assert (inline["median"], inline["met"]) == (0.65, False)
    row = next(row for row in found["rows"] if row["name"] == "hog thread, process")
    assert (row["rounds"], row["share"]) == (2, 1.05)


def test_the_commit_that_was_measured_is_known() -> None:
    assert re.fullmatch(r"[0-9a-f]{10}\+?|unknown", made._commit())


def test_ages_rates_and_repeats_come_from_stamps_and_arrivals() -> None:
    turn = _turn("one", _stream([1.0, 1.1, 1.2, 1.3], [0.95, 1.05, 1.05, None]), rate_cpu=50.0)
    assert turn.rate == pytest.approx(10.0)
    assert ages.age(turn, 100, 0.0) == pytest.approx(150.0)
    assert ages.repeats(turn) == 1
    assert ages.unstamped(turn) == 1
    assert turn.cpu_percent == pytest.approx(50.0)
    assert turn.cpu_ms_a_frame == pytest.approx(50.0)


def test_a_witness_gives_the_agents_messages_their_stamps_by_number() -> None:
    bare = _stream([1.0, 2.0], [None, None], [3, 5])
    assert bare.stamped({3: 0.5, 5: 1.5}).ages_ms.tolist() == pytest.approx([500.0, 500.0])
    assert np.isnan(bare.stamped({}).stamp).all()


def test_goals_are_met_missed_or_not_measured() -> None:
    assert Goal("a", ">= 0.9", [0.8, 0.95, 1.0]).to_json()["met"] is True
    assert Goal("a", ">= 0.9", [0.8, 0.85, 1.0]).to_json()["met"] is False
    assert Goal("a", "== 0", [0.0, 0.0]).to_json()["met"] is True
    assert Goal("a", "<= 1", [], "no such peer").to_json() == {
        "goal": "a",
        "bound": "<= 1",
        "met": None,
        "why_not": "no such peer",
    }


def test_a_ratio_compares_turns_of_one_round_and_a_failure_is_a_row_with_its_reason() -> None:
    rounds = Rounds()
    for factor in (1.0, 2.0):
        rounds.add(_turn("ours", _stream([0.0, 1.0 / factor], [None, None])))
        rounds.add(_turn("limit", _stream([0.0, 2.0 / factor], [None, None])))
    rounds.add(_turn("peer", failure="not installed"))
    assert rounds.ratios("ours", "limit", lambda turn: turn.rate) == pytest.approx([2.0, 2.0])
    assert rounds.row("peer", {}) == {"why_not": "not installed"}
    assert rounds.best(["peer", "limit"], lambda turn: turn.rate) == "limit"


def test_unfair_cameras_are_seen() -> None:
    even = _turn("even", *[_stream([0.0, 1.0, 2.0], [None] * 3)] * 2)
    uneven = _turn("uneven", _stream([0.0, 1.0, 2.0], [None] * 3), _stream([0.0, 0.1, 0.2], [None] * 3))
    assert fairness._jain(even, 0.0) == pytest.approx(1.0)
    assert fairness._jain(uneven, 0.0) < 0.7


def test_gaps_are_counted_and_of_a_camera_without_a_result_all_is_missing() -> None:
    one = _stream([0.0, 1.0, 2.0], [None] * 3, [4, 5, 9])
    assert fairness._missing(_turn("gaps", one, _stream([0.0], [None])), 0.0) == 3
    for none in (_turn("one is silent", one, _stream([], [])), _turn("none")):
        assert Goal("frames without a result", "== 0", [fairness._missing(none, 0.0)]).to_json()["met"] is False


def test_boxes_of_one_class_suppress_each_other_and_of_two_do_not() -> None:
    boxes = np.array([[[0, 0, 10, 10], [1, 1, 10, 10], [0, 0, 10, 10]]], np.float32)
    scores = np.array([[[0.9, 0], [0.8, 0], [0, 0.7]]], np.float32)
    assert [(c, round(s, 1)) for c, s, _ in detections(boxes, scores)] == [(0, 0.9), (1, 0.7)]
    assert detections(boxes, scores * 0.5) == []


def test_a_stage_on_a_slow_device_takes_its_time_in_all_whatever_the_inference_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, slept = [0.0], []
    monkeypatch.setattr(slow_device, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=slept.append))
    device = slow_device.SlowDevice(60)
    for taken_s in (0.02, 0.08):
        with device.inference():
            now[0] += taken_s
    assert slept == pytest.approx([0.04, 0.0])


def test_a_peer_that_is_not_there_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESDK_PEERS", str(tmp_path))
    assert "peers_setup" in str(missing(Contestant("x", "vidgear", "loops")))
    assert missing(Contestant("x", "agent")) is None


def test_the_page_says_what_is_met_what_is_missed_and_what_was_not_measured() -> None:
    findings = Findings("A question", "So it was measured.")
    findings.rows = {"ours": {"rate": 12.5}, "peer": {"why_not": "absent"}}
    findings.goals = [Goal("fast", ">= 1", [2.0]), Goal("small", "<= 1", [3.0]), Goal("new", "<= 1", [], "no peer")]
    host = {"cpu": "a processor", "cores": 2}
    facts = {"date": "2026-01-01", "rounds": 1, "quick": True, "guarded": True, "broker": "mosquitto", "host": host}
    facts |= {"edgesdk": "9.9", "commit": "abc"}
    document = {"parts": {"A": {**findings.to_json(), "made": facts}}}
    text = page_text(document, {})
    assert "2026-01-01, edgesdk 9.9 at commit abc, 1 rounds, a processor" in text
    assert "| fast | >= 1 | 2 | 2 … 2 | met |" in text
    assert "| small | <= 1 | 3 | 3 … 3 | **not met** |" in text
    assert "not measured: no peer" in text
    assert "not measured: absent" in text
    assert "MISSED" in summary_text(document)


@pytest.mark.parametrize("which", ["bare", "ours"])
def test_the_null_model_runs_in_both_loops(which: str) -> None:
    from pipeline.parts.own_cost import _run

    told = _run(which, "0", 0.3)
    assert told["rate"] > 0
    assert told["capture_to_infer_p95_us"] > 0


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from pipeline.artifacts import Artifacts

    from edgesdk_testkit.tiny_bundles import write_tiny_bundle

    folder = tmp_path_factory.mktemp("small")
    bundle = write_tiny_bundle(folder / "small.edgebundle")
    return Artifacts(folder, bundle, {}, folder)


def test_the_agents_live_results_carry_the_cameras_stamps(small: Any) -> None:
    from pipeline.parts.slow_model import _account
    from pipeline.workshop import Workshop

    from edgesdk_testkit.stamped_mjpeg import StampedMjpeg

    film = _film(small.folder)
    agent = Contestant("ours", "agent")
    with Workshop(small, LoadGuard(0.0, attempts=1)) as workshop, StampedMjpeg(film, fps=20) as url:
        turn = workshop.run(agent, [url], seconds=2.5, stage_ms=60, witness=True)
    assert turn.failure == ""
    assert turn.frames > 5
    assert ages.unstamped(turn) == ages.repeats(turn) == 0
    assert (turn.streams[0].ages_ms > 60).all()
    account = _account(turn)
    assert account["source"] == account["processed"] + account["dropped"]
    assert account["processed"] == account["results"] == turn.frames
    assert turn.cpu_percent > 0
    assert turn.peak_rss_bytes > 1 << 20


def _film(folder: Path) -> Path:
    import cv2

    path = folder / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 20, (640, 360))
    for number in range(20):
        writer.write(np.full((360, 640, 3), number * 10, np.uint8))
    writer.release()
    return path


def test_the_command_refuses_a_part_that_there_is_not() -> None:
    command = [sys.executable, str(ROOT / "benchmarks/pipeline_table.py"), "--only", "Z"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "invalid choice" in done.stderr
    assert json.dumps(done.stdout) == '""'
