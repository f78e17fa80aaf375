"""Reports: one file, nothing from outside, text stays text, the same figures give the same bytes."""

from __future__ import annotations

import html.parser
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgesdk.evaluate.dataset import open_dataset
from edgesdk.evaluate.gate import AccuracyGate
from edgesdk.report.page import Page
from edgesdk.report.place import check_report, page_path, pages_at
from edgesdk.report.plots import bars, histograms, scatter
from edgesdk_targets.errors import InputError
from edgesdk_testkit.coloured_models import (
    COLOURS,
    colour_predictor,
    square_predictor,
    write_colours,
    write_squares,
)

EVIL = '<script>alert("x")</script><img src=http://evil.example/x.png onerror=alert(1)>'
_FETCHES = {("img", "src"), ("script", "src"), ("link", "href"), ("iframe", "src"), ("image", "href"), ("use", "href")}


class Elements(html.parser.HTMLParser):
    """All elements of a page, with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def fetched(self) -> list[str]:
        """Return what a browser would ask another place for."""
        asked = [
            value or ""
            for tag, attributes in self.found
            for name, value in attributes.items()
            if (tag, name.removeprefix("xlink:")) in _FETCHES
        ]
        return [url for url in asked if not url.startswith(("data:", "#"))]

    def pictures(self) -> list[str]:
        return [attributes.get("src") or "" for tag, attributes in self.found if tag == "img"]


def a_page() -> Page:
    picture = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes()
    return (
        Page(EVIL, EVIL)
        .heading(EVIL)
        .text(EVIL)
        .table([EVIL], [[EVIL]], EVIL)
        .figure(bars([EVIL, "b"], {EVIL: [1, 2], "two": [2, 1]}, unit=EVIL), EVIL)
        .figure(histograms({"a": [0.1, 0.2], "b": []}, unit="score"), "histogram")
        .figure(scatter([(1, 2, EVIL), (2, 3, "b")], across="x", up="y", front=[0, 1]), "scatter")
        .pictures([(picture, EVIL)], EVIL)
    )


def test_text_from_outside_stays_text() -> None:
    page = Elements(a_page().html())
    tags = {tag for tag, _ in page.found}
    assert "script" not in tags
    assert len(page.pictures()) == 1
    assert not [name for _, attributes in page.found for name in attributes if name.startswith("on")]
    assert "".join(page.text).count('alert("x")') >= 7


def test_a_long_name_leaves_room_for_the_plot() -> None:
    assert "<svg" in bars(["a very long name " * 40, "b"], {"one": [1, 2], "two": [2, 1]}, unit="recall")


def test_a_dollar_is_no_formula() -> None:
    """Names come from labels and files; a formula that cannot be read would end the whole report."""
    name = "$x_{$ costs $1^$"
    plots = (
        bars([name, "b"], {name: [0.1, 0.2], "two": [0.2, 0.1]}, unit=name, most=1.0),
        histograms({name: [0.1, 0.2]}, unit=name),
        scatter([(1, 2, name)], across=name, up=name),
    )
    assert all(name in svg for svg in plots)


class TestScatter:
    NAMES = ("x86-cpu-openvino-fp32", "generic-onnx-onnxruntime-fp32", "rpi5-litert-int8", "a-name-that-is-rather-long")

    def _labels(self, monkeypatch: pytest.MonkeyPatch, points: list[tuple[float, float, str]]) -> Any:
        """Return the axes after a plot was drawn."""
        from matplotlib.figure import Figure

        drawn: list[Any] = []
        monkeypatch.setattr(Figure, "savefig", lambda self, out, **_: (drawn.append(self), out.write("<svg/>")))
        scatter(points, across="ms", up="top1", front=[0], most=1.0)
        return drawn[0].axes[0]

    def test_names_stay_on_the_plot_and_apart(self, monkeypatch: pytest.MonkeyPatch) -> None:
        points = [(1.0 + i / 50, 1.0 - i / 500, name) for i, name in enumerate(self.NAMES)]
        axes = self._labels(monkeypatch, [*points, (9.0, 0.9, "the slowest one, at the right end")])
        frame = axes.get_window_extent()
        boxes = [text.get_window_extent() for text in axes.texts]
        assert len(boxes) == 5
        assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 for box in boxes)
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])

    def test_a_share_ends_at_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self._labels(monkeypatch, [(1.0, 1.0, "a"), (2.0, 0.99, "b")]).get_ylim()[1] == 1.0


class TestPlace:
    def test_one_that_cannot_be_written_is_refused_and_nothing_is_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        (tmp_path / "folder.html").mkdir()
        for path, says in (
            (tmp_path / "file/report.html", "cannot be written"),
            (tmp_path / "file/reports", "cannot be written"),
            (tmp_path / "folder.html", "is a folder"),
        ):
            with pytest.raises(InputError, match=says) as caught:
                check_report(path)
            assert "--report" in (caught.value.hint or "")
        check_report(tmp_path / "new/report.html")
        check_report(tmp_path / "new/reports")
        assert not (tmp_path / "new").exists()

    def test_a_file_takes_the_first_page_and_others_lie_beside_it(self, tmp_path: Path) -> None:
        report = tmp_path / "gate.html"
        places = [page_path(report, "a", first=True), page_path(report, "b x/y"), page_path(report, "layers")]
        assert [place.name for place in places] == ["gate.html", "gate-b-x-y.html", "gate-layers.html"]
        self._write(places)
        (tmp_path / "other.html").write_text("")
        assert pages_at(report) == sorted(places)

    def test_a_folder_takes_a_page_for_each(self, tmp_path: Path) -> None:
        places = [page_path(tmp_path / "pages", name, first=name == "a") for name in ("a", "../b")]
        assert [place.relative_to(tmp_path).as_posix() for place in places] == ["pages/a.html", "pages/b.html"]
        self._write(places)
        assert pages_at(tmp_path / "pages") == places

    def _write(self, places: list[Path]) -> None:
        for place in places:
            place.parent.mkdir(exist_ok=True)
            place.write_text("<html>")


def test_nothing_is_asked_from_outside() -> None:
    text = a_page().html()
    assert Elements(text).fetched() == []
    assert not re.search(r"@import|url\(\s*['\"]?(?!#|data:)", text)


def test_a_page_that_asks_is_found() -> None:
    """Negative control of the check above."""
    assert Elements('<img src="http://x/y.png">').fetched() == ["http://x/y.png"]


def test_the_same_report_twice_is_the_same_file() -> None:
    assert a_page().html() == a_page().html()


def test_other_figures_give_another_plot() -> None:
    assert bars(["a"], {"x": [1.0]}, unit="u") != bars(["a"], {"x": [2.0]}, unit="u")


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The page of a classifier with one dead class."""
    folder = tmp_path_factory.mktemp("page")
    write_colours(folder / "data", 320)

    def dead(logits: Any) -> Any:
        changed = logits.copy()
        changed[1] = -100
        return changed

    report = folder / "page.html"
    gate = AccuracyGate(open_dataset(folder / "data", task="classify", labels=COLOURS), report=report)
    return report, gate.judge("rpi5-<int8>", colour_predictor(), colour_predictor(dead))


class TestPageOfAVerdict:
    def test_begins_with_the_sentence(self, failed: tuple[Path, Any]) -> None:
        page = Elements(failed[0].read_text("utf-8"))
        text = " ".join(page.text)
        assert "Failed: rpi5-<int8>" in text
        assert failed[1].reason in text
        assert text.index(failed[1].reason) < text.index("What was compared")

    def test_shows_every_figure_with_its_interval(self, failed: tuple[Path, Any]) -> None:
        text = failed[0].read_text("utf-8")
        drop = failed[1].report["drop"]
        assert f"{drop['low']:+.4f} … {drop['high']:+.4f}" in text
        for model in ("reference_metrics", "artifact_metrics"):
            metric = failed[1].report[model]["top1"]
            assert f"{metric['low']:.4f} … {metric['high']:.4f}" in text

    def test_shows_the_ten_worst_pictures_side_by_side(self, failed: tuple[Path, Any]) -> None:
        import base64

        pictures = Elements(failed[0].read_text("utf-8")).pictures()
        assert len(pictures) == 10
        data = base64.b64decode(pictures[0].partition(",")[2])
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert image.shape == (480, 2 * 480 + 8, 3)
        # Both halves show the same picture, with different answers written on it.
        left, right = image[:, :480].astype(int), image[:, 488:].astype(int)
        assert np.abs(left[200:] - right[200:]).mean() < 4
        assert np.abs(left[:60] - right[:60]).max() > 60

    def test_says_what_is_right_and_what_was_said(self, failed: tuple[Path, Any]) -> None:
        text = " ".join(Elements(failed[0].read_text("utf-8")).text)
        assert "Right: green. Float model: green" in text

    def test_has_bars_and_histograms(self, failed: tuple[Path, Any]) -> None:
        page = Elements(failed[0].read_text("utf-8"))
        assert [tag for tag, _ in page.found].count("svg") == 2
        assert "lost" in page.text

    def test_asks_nothing_from_outside(self, failed: tuple[Path, Any]) -> None:
        assert Elements(failed[0].read_text("utf-8")).fetched() == []

    def test_is_the_same_twice_and_one_a_further_artifact(self, tmp_path: Path) -> None:
        write_squares(tmp_path / "data", 30)
        dataset = open_dataset(tmp_path / "data", task="detect", labels=COLOURS[:3])
        half = square_predictor(lambda o: {**o, "scores": o["scores"] * 0.4})
        for name in ("one.html", "two.html"):
            gate = AccuracyGate(dataset, report=tmp_path / name)
            reference = square_predictor()
            gate.judge("a", reference, half)
            gate.judge("b/../c", reference, square_predictor())
        assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()
        assert (tmp_path / "one-b-..-c.html").is_file()
        assert "No picture is answered worse" in (tmp_path / "one-b-..-c.html").read_text("utf-8")

    def test_names_what_it_was_compared_with(self, tmp_path: Path) -> None:
        write_colours(tmp_path / "data", 30)
        dataset = open_dataset(tmp_path / "data", task="classify", labels=COLOURS)
        gate = AccuracyGate(dataset, report=tmp_path / "page.html", baseline="old.edgebundle:rpi5-fp16")
        gate.judge("a", colour_predictor(), colour_predictor(lambda logits: logits[::-1]))
        assert gate.page == tmp_path / "page.html"
        text = gate.page.read_text("utf-8")
        assert "old.edgebundle:rpi5-fp16 and a, task classify" in text
        assert "float model" not in text.lower()

    def test_a_narrow_picture_leaves_room_for_its_answer(self) -> None:
        from edgesdk.evaluate.gate_page import _pair
        from edgesdk_targets.results import Classification

        result = Classification(np.asarray([0]), np.asarray([0.9], np.float32), ("a rather long label",))
        data = np.frombuffer(_pair(np.zeros((60, 6, 3), np.uint8), [result, result]), np.uint8)
        assert cv2.imdecode(data, cv2.IMREAD_COLOR).shape == (480, 2 * 256 + 8, 3)

    def test_a_folder_gets_a_page_for_each(self, tmp_path: Path) -> None:
        write_colours(tmp_path / "data", 30)
        gate = AccuracyGate(open_dataset(tmp_path / "data", task="classify", labels=COLOURS), report=tmp_path / "pages")
        (tmp_path / "pages").mkdir()
        verdict = gate.judge("a", colour_predictor(), colour_predictor())
        assert verdict.outcome == "need more samples"
        assert gate.page == tmp_path / "pages/a.html"
        assert "Not decided: a" in (tmp_path / "pages/a.html").read_text("utf-8")
