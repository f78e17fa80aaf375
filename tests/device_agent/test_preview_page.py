"""The preview over real HTTP: nothing without the token, pictures for who looks, and nothing done for nobody."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest

from edgesdk_agent.frame import FrameResult
from edgesdk_agent.preview.access import COOKIE, Access
from edgesdk_agent.preview.listen_address import ListenAddress
from edgesdk_agent.preview.live_picture import LivePictures, scaled
from edgesdk_agent.preview.outline import Outline
from edgesdk_agent.preview.server import PreviewServer
from edgesdk_targets.errors import InputError
from edgesdk_targets.results import Detections

TOKEN = "a-token-of-some-length"
ZONE = {"gate": [Outline("yard", [(0.5, 0.5), (0.9, 0.5), (0.9, 0.9)])]}


def seen(camera: str = "gate", seq: int = 0) -> FrameResult:
    found = Detections(
        np.array([[100, 100, 400, 300]], np.float32), np.array([0.9], np.float32), np.array([0]), ("cat",)
    )
    image = np.full((540, 1920, 3), 60, np.uint8)
    return FrameResult(camera, seq, 0.0, 0.0, 0.05, 0.0, 0.0, found, image)


class Site:
    def __init__(self) -> None:
        self.pictures = LivePictures(["gate", "yard door"], fps=30.0, width=960, outlines=ZONE)
        self.server = PreviewServer(ListenAddress(port=0), Access(TOKEN), self.pictures, max_viewers=1)
        self.server.start()
        self.port = int(self.server.where.rstrip("/").rpartition(":")[2])

    def ask(self, method: str, path: str, body: str = "", cookie: str = "") -> http.client.HTTPResponse:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        line.request(method, path, body or None, {"Cookie": f"{COOKIE}={cookie}"} if cookie else {})
        return line.getresponse()

    def enter(self) -> str:
        answer = self.ask("POST", "/enter", f"token={TOKEN}")
        assert answer.status == 303
        said = answer.getheader("Set-Cookie", "") or ""
        assert "HttpOnly" in said
        assert "SameSite=Strict" in said
        return said.partition("=")[2].partition(";")[0]


@pytest.fixture
def site() -> Iterator[Site]:
    one = Site()
    yield one
    one.server.close()


@pytest.mark.parametrize(
    "path", ["/", "/state", "/stream/gate", f"/state?token={TOKEN}", "/preview.js", "/../etc/passwd"]
)
def test_without_the_token_there_is_nothing_but_the_question_for_it(site: Site, path: str) -> None:
    answer = site.ask("GET", path)
    body = answer.read()
    assert answer.status == (200 if path == "/" else 401)
    assert b"Token, as the agent printed it" in body
    assert b"gate" not in body
    assert site.ask("GET", path, cookie="guessed").status == answer.status
    assert "default-src 'none'" in (answer.getheader("Content-Security-Policy") or "")


def test_a_wrong_token_is_refused_and_after_some_even_the_right_one_has_to_wait(site: Site) -> None:
    assert [site.ask("POST", "/enter", f"token=wrong{n}").status for n in range(5)] == [403] * 5
    assert site.ask("POST", "/enter", f"token={TOKEN}").status == 403


@pytest.mark.parametrize("body", ["", "token", "token=" + "x" * 5000, "%ff=%zz", "token=%00%ff"])
def test_a_form_that_is_none_is_refused(site: Site, body: str) -> None:
    assert site.ask("POST", "/enter", body).status in (400, 403)


@pytest.mark.parametrize("length", ["9" * 5000, "-1", "\u00b2", "1e3"])
def test_a_length_that_is_none_is_refused_and_is_no_error_of_ours(
    site: Site, length: str, caplog: pytest.LogCaptureFixture
) -> None:
    line = http.client.HTTPConnection("127.0.0.1", site.port, timeout=5)
    line.request("POST", "/enter", headers={"Content-Length": length})
    assert line.getresponse().status == 400
    assert not caplog.records


def test_the_page_shows_each_camera_and_its_state_and_leaving_ends_the_session(site: Site) -> None:
    cookie = site.enter()
    page = site.ask("GET", "/", cookie=cookie).read().decode()
    assert "/stream/gate" in page
    assert "/stream/yard%20door" in page
    for _ in range(3):
        site.pictures.wants("gate")
    state: Any = json.loads(site.ask("GET", "/state", cookie=cookie).read())["cameras"]
    assert state["gate"]["results"] == 3
    assert state["yard door"]["silent_s"] is None
    assert site.ask("POST", "/leave", cookie=cookie).status == 303
    assert site.ask("GET", "/state", cookie=cookie).status == 401


def test_a_viewer_gets_annotated_pictures_and_one_more_viewer_is_turned_away(site: Site) -> None:
    cookie = site.enter()
    assert not site.pictures.wants("gate"), "nobody looks"
    answer = site.ask("GET", "/stream/gate", cookie=cookie)
    assert site.pictures.wants("gate")
    assert site.ask("GET", "/stream/gate", cookie=cookie).status == 503
    site.pictures(seen())
    head = {}
    assert answer.readline().startswith(b"--edgesdk-frame")
    while line := answer.readline().strip():
        name, _, value = line.partition(b":")
        head[name] = value
    jpeg = answer.read(int(head[b"Content-Length"]))
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (270, 960, 3)
    assert image[100:110, 48:53].max() > 120, "the box, at half its place"
    assert np.ptp(image[130:140, 480:860]) > 60, "the zone's edge"
    assert image[20:40, 600:900].max() < 90, "and nothing elsewhere"


def test_nothing_is_compressed_for_nobody_and_each_picture_once_for_all() -> None:
    pictures = LivePictures(["gate"], fps=1000.0)
    for seq in range(10):
        pictures(seen(seq=seq))
    assert pictures.encodings == 0
    assert [pictures.next("gate", 0) is not None for _ in range(4)] == [True] * 4
    assert pictures.encodings == 1


def test_a_picture_is_left_out_rather_than_waited_for() -> None:
    pictures = LivePictures(["gate"])
    done = threading.Event()

    def give() -> None:
        pictures(seen())
        done.set()

    with pictures._views["gate"].lock:
        threading.Thread(target=give, daemon=True).start()
        assert done.wait(5)
    assert pictures._views["gate"].number == 0


def test_pictures_are_made_at_the_rate_that_was_asked_for() -> None:
    now = [0.0]
    pictures = LivePictures(["gate"], fps=5.0, clock=lambda: now[0])
    pictures.watch("gate", watching=True)
    wanted = []
    for step in range(20):
        now[0] = step * 0.05
        wanted.append(pictures.wants("gate"))
        if wanted[-1]:
            pictures(seen())
    assert sum(wanted) == 5


def test_sessions_end_after_their_time_and_are_bounded() -> None:
    now = [0.0]
    access = Access("", clock=lambda: now[0])
    assert len(access.token) >= 24
    first = access.enter(access.token)
    assert first is not None
    assert access.knows(first)
    now[0] = 13 * 3600
    assert not access.knows(first)
    sessions = [access.enter(access.token) or "" for _ in range(40)]
    assert sum(access.knows(one) for one in sessions) == 32


@pytest.mark.parametrize(
    ("text", "shown", "loopback"),
    [
        ("127.0.0.1:9000", "127.0.0.1:9000", True),
        (":9001", "127.0.0.1:9001", True),
        ("0.0.0.0", "0.0.0.0:8090", False),
        ("[::1]:80", "[::1]:80", True),
    ],
)
def test_an_address_is_loopback_unless_told(text: str, shown: str, loopback: bool) -> None:
    address = ListenAddress.parse(text)
    assert (str(address), address.is_loopback) == (shown, loopback)


@pytest.mark.parametrize("text", ["host:99999", "a b:1", "http://x", "1.2.3.4:"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="no address"):
        ListenAddress.parse(text)


def test_boxes_are_scaled_with_their_picture() -> None:
    result = scaled(seen().result, 0.5)
    assert isinstance(result, Detections)
    assert result.boxes.tolist() == [[50, 50, 200, 150]]
