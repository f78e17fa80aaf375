from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgesdk.timeline.frame_times import busy, parts
from edgesdk.timeline.page import middle, timeline_page
from edgesdk.timeline.write import check_timeline_path, write_timeline
from edgesdk_agent.main import run as run_agent
from edgesdk_agent.timeline.timeline import Span, Timeline
from edgesdk_agent.timeline.trace_events import trace_events
from edgesdk_targets.errors import InputError
from edgesdk_testkit.tiny_bundles import write_tiny_bundle

# Of each frame, in ms from its begin: as in this table.
_WAY_MS = {"capture": (0, 10), "preprocess": (11, 13), "infer": (20, 40), "deliver": (41, 42)}


def frames(count: int, camera: str = "door", way_ms: dict[str, tuple[float, float]] = _WAY_MS) -> list[Span]:
    return [
        Span(stage, camera, seq, f"edgesdk-{stage}", seq * 0.05 + start / 1e3, seq * 0.05 + end / 1e3)  # type: ignore[arg-type]
        for seq in range(count)
        for stage, (start, end) in way_ms.items()
    ]


def test_where_the_time_of_a_frame_goes() -> None:
    found = {part.name: part for part in parts(frames(10))}
    ways = ["waits for preprocessing", "preprocess", "waits for the model", "infer", "waits for its turn", "deliver"]
    assert list(found) == ways
    assert [round(part.p50_ms, 6) for part in found.values()] == [1, 2, 7, 20, 1, 1]
    assert sum(part.share for part in found.values()) == pytest.approx(1.0)
    assert found["infer"].share == pytest.approx(20 / 32)


def test_frames_that_were_dropped_on_their_way_have_no_part() -> None:
    dropped = [span for span in frames(4) if span.seq != 2 or span.stage in {"capture", "preprocess"}]
    assert [part.to_json() for part in parts(dropped)] == [part.to_json() for part in parts(frames(4))]
    assert parts(dropped[:2]) == []
    assert "No frame came through" in timeline_page(dropped[:2], title="x").html()


def test_on_frame_is_a_part_of_its_own_where_there_is_one() -> None:
    way_ms = {**_WAY_MS, "on_frame": (10.5, 10.7)}
    left_out = [span for span in frames(4, "gate", way_ms) if span.stage in {"capture", "on_frame"}]
    spans = frames(4, "door", dict(sorted(way_ms.items(), key=lambda one: one[1]))) + left_out
    found = parts(spans)
    assert [part.name for part in found[:4]] == [
        "waits for on_frame",
        "on_frame",
        "waits for preprocessing",
        "preprocess",
    ]
    assert [round(part.p50_ms, 6) for part in found] == [0.5, 0.2, 0.3, 2, 7, 20, 1, 1]
    assert [one.spans for one in busy(spans) if one.stage == "on_frame"] == [8]
    events = trace_events(spans)["traceEvents"]
    assert isinstance(events, list)
    assert [e["ph"] for e in events if e.get("id") == "door/1"] == ["s", "t", "t", "f"]


def test_how_busy_the_threads_are() -> None:
    found = {one.thread: one for one in busy(frames(20))}
    seconds = 19 * 0.05 + 0.042
    assert found["edgesdk-infer"].share == pytest.approx(20 * 0.02 / seconds)
    assert [one.stage for one in found.values()] == ["capture", "preprocess", "infer", "deliver"]
    assert busy([]) == []


def test_an_agents_whole_run_is_recorded_and_written_at_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], log_put_back: None
) -> None:
    bundle, out = write_tiny_bundle(tmp_path / "a.edgebundle"), tmp_path / "run.json"
    words = ["run", "--bundle", bundle, "--source", "synthetic:?frames=20&live=0", "--no-mqtt", "--json", "--quiet"]
    assert run_agent([*map(str, words), "--profile", str(out)]) == 0
    assert json.loads(capsys.readouterr().out)["frames"]["processed"] == 20
    events = json.loads(out.read_text("utf-8"))["traceEvents"]
    assert {event["args"]["frame"] for event in events if event.get("name") == "infer"} == set(range(20))
    assert run_agent([*map(str, words), "--profile", str(tmp_path / "run.png")]) == 2
    assert "cannot be written as run.png" in capsys.readouterr().err


def test_trace_events_name_threads_and_join_the_stages_of_a_frame() -> None:
    events = trace_events(frames(2))["traceEvents"]
    assert isinstance(events, list)
    assert [e["args"]["name"] for e in events if e["name"] == "thread_name"] == [f"edgesdk-{s}" for s in _WAY_MS]
    infer = [e for e in events if e["ph"] == "X" and e["name"] == "infer"]
    assert [(e["ts"], e["dur"], e["args"]["frame"]) for e in infer] == [(20_000, 20_000, 0), (70_000, 20_000, 1)]
    assert [e["ph"] for e in events if e.get("id") == "door/1"] == ["s", "t", "f"]


def test_the_page_says_where_the_time_goes_and_draws_some_frames(tmp_path: Path) -> None:
    spans = frames(100)
    assert {span.seq for span in middle(spans)} == set(range(42, 58))
    html = timeline_page(spans, title="digits <1>", lost=3).html()
    assert "digits &lt;1&gt;" in html
    assert "%, is: infer." in html
    assert "3 older spans" in html
    assert html.count("<svg") == 1


@pytest.mark.parametrize("suffix", [".html", ".json"])
def test_a_timeline_is_written_by_its_ending(tmp_path: Path, suffix: str) -> None:
    timeline, path = Timeline(), tmp_path / f"t{suffix}"
    for span in frames(3):
        timeline.add(span.stage, span.camera, span.seq, span.start_s, span.end_s)
    check_timeline_path(path)
    assert not path.exists()
    write_timeline(timeline, path, title="digits")
    if suffix == ".json":
        assert len(json.loads(path.read_text())["traceEvents"]) == 2 + 3 * 4 + 3 * 3
    else:
        assert "<svg" in path.read_text()


def test_a_file_that_could_not_be_written_is_refused_before(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be written as t\.txt"):
        check_timeline_path(tmp_path / "t.txt")
    (tmp_path / "file").touch()
    with pytest.raises(InputError):
        check_timeline_path(tmp_path / "file" / "t.html")
