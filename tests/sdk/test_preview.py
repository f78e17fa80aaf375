"""The preview page: a real browser's requests, answered with the newest pictures as JPEG."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse

import cv2
import numpy as np
import pytest

from edgesdk.preview import PagePreview, WindowPreview, open_preview
from edgesdk_targets.errors import InputError

TIMEOUT_S = 20.0


@pytest.fixture
def page() -> Iterator[PagePreview]:
    preview = PagePreview()
    yield preview
    preview.close()


def picture(value: int) -> np.ndarray:
    return np.full((48, 64, 3), value, np.uint8)


def port_of(preview: PagePreview) -> int:
    return int(preview.where.rstrip("/").rpartition(":")[2])


def get(preview: PagePreview, path: str, **headers: str) -> tuple[HTTPConnection, HTTPResponse]:
    connection = HTTPConnection("127.0.0.1", port_of(preview), timeout=TIMEOUT_S)
    connection.request("GET", path, headers=headers)
    return connection, connection.getresponse()


def next_jpeg(response: HTTPResponse) -> np.ndarray:
    """Read one part of the stream and decode it."""
    assert response.readline() == b"--edgesdk-frame\r\n"
    assert response.readline() == b"Content-Type: image/jpeg\r\n"
    length = int(response.readline().removeprefix(b"Content-Length: "))
    assert response.readline() == b"\r\n"
    jpeg = response.read(length)
    assert response.readline() == b"\r\n"
    decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded


def test_the_page_embeds_the_stream(page: PagePreview) -> None:
    connection, response = get(page, "/")
    body = response.read().decode()
    connection.close()
    assert response.status == 200
    assert response.headers["Content-Type"].startswith("text/html")
    assert 'src="/stream"' in body
    assert page.where.startswith("http://127.0.0.1:")


def test_the_stream_delivers_each_new_picture(page: PagePreview) -> None:
    assert page.show(picture(40))
    connection, response = get(page, "/stream")
    assert response.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=edgesdk-frame"
    assert abs(int(next_jpeg(response).mean()) - 40) <= 2
    for value in (90, 160, 220):
        assert page.show(picture(value))
        got = next_jpeg(response)
        assert got.shape == (48, 64, 3)
        assert abs(int(got.mean()) - value) <= 2
    connection.close()


def test_two_viewers_see_the_same(page: PagePreview) -> None:
    page.show(picture(10))
    viewers = [get(page, "/stream") for _ in range(2)]
    for _, response in viewers:
        next_jpeg(response)
    page.show(picture(200))
    for connection, response in viewers:
        assert abs(int(next_jpeg(response).mean()) - 200) <= 2
        connection.close()


def test_without_a_viewer_no_jpeg_is_made(page: PagePreview, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    encode = cv2.imencode

    def counting(*arguments: object) -> object:
        made.append(1)
        return encode(*arguments)

    monkeypatch.setattr(cv2, "imencode", counting)
    for _ in range(5):
        assert page.show(picture(1))
    assert len(made) == 1, "only the first, for whoever comes later"


def test_closing_ends_the_streams_and_frees_the_port() -> None:
    preview = PagePreview()
    preview.show(picture(5))
    connection, response = get(preview, "/stream")
    next_jpeg(response)
    ended = threading.Event()

    def drain() -> None:
        response.read()
        ended.set()

    reader = threading.Thread(target=drain)
    reader.start()
    preview.close()
    assert ended.wait(TIMEOUT_S)
    reader.join()
    connection.close()
    again = PagePreview(port_of(preview))
    again.close()


def test_a_viewer_that_leaves_is_no_error(page: PagePreview, capfd: pytest.CaptureFixture[str]) -> None:
    page.show(picture(1))
    connection, response = get(page, "/stream")
    next_jpeg(response)
    response.close()
    connection.close()
    # Until the server notices, it writes; then it counts the viewer out, and the next one is served as before.
    for value in range(30):
        page.show(picture(value * 8))
    other, again = get(page, "/stream")
    next_jpeg(again)
    other.close()
    assert "Traceback" not in capfd.readouterr().err


def test_other_paths_and_other_names_are_refused(page: PagePreview) -> None:
    connection, response = get(page, "/../etc/passwd")
    assert response.status == 404
    connection.close()
    for path in ("/", "/stream"):
        connection, response = get(page, path, Host="evil.example")
        assert response.status == 403
        connection.close()


def test_a_port_in_use_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError) as caught:
            PagePreview(taken.getsockname()[1])
    assert "cannot be used" in caught.value.message
    assert "--port" in caught.value.hint


def test_without_a_display_the_page_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(cv2, "namedWindow", lambda *_: pytest.fail("OpenCV's Qt would end the process here"))
    preview = open_preview("x")
    preview.close()
    assert isinstance(preview, PagePreview)


def test_a_display_without_windows_in_opencv_gives_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_windows(*_: object) -> None:
        raise cv2.error("The function is not implemented.")

    monkeypatch.setenv("DISPLAY", ":77")
    monkeypatch.setattr(cv2, "namedWindow", no_windows)
    preview = open_preview("x")
    preview.close()
    assert isinstance(preview, PagePreview)


class Windows:
    """OpenCV's window functions, as a person uses them: presses a key, or closes the window."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.key, self.visible, self.shown = -1, 1.0, 0
        monkeypatch.setenv("DISPLAY", ":77")
        monkeypatch.setattr(cv2, "namedWindow", lambda *_: None)
        monkeypatch.setattr(cv2, "imshow", self._imshow)
        monkeypatch.setattr(cv2, "waitKey", lambda _: self.key)
        monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: self.visible)
        monkeypatch.setattr(cv2, "destroyWindow", self._destroy)

    def _imshow(self, *_: object) -> None:
        self.shown += 1

    def _destroy(self, _: str) -> None:
        if self.visible < 1:
            raise cv2.error("NULL window")
        self.visible = 0.0


@pytest.mark.parametrize(("key", "visible"), [(ord("q"), 1.0), (27, 1.0), (-1, 0.0)])
def test_a_window_is_closed_by_q_escape_or_its_button(
    key: int, visible: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = Windows(monkeypatch)
    preview = open_preview("x")
    assert isinstance(preview, WindowPreview)
    assert preview.show(picture(1))
    windows.key, windows.visible = key, visible
    assert not preview.show(picture(2))
    assert windows.shown == 2
    preview.close()
