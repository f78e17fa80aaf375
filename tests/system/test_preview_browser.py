"""The preview in a real browser: the token is sent as a form, and the live picture is seen with its box, zone and figures."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgesdk_agent.frame import FrameResult
from edgesdk_agent.preview.access import Access
from edgesdk_agent.preview.listen_address import ListenAddress
from edgesdk_agent.preview.live_picture import LivePictures
from edgesdk_agent.preview.outline import Outline
from edgesdk_agent.preview.server import PreviewServer
from edgesdk_targets.results import Detections

pytestmark = pytest.mark.system
TOKEN = "a-token-of-some-length"


def feed(pictures: LivePictures, over: threading.Event) -> None:
    found = Detections(
        np.array([[200, 150, 420, 330]], np.float32), np.array([0.91], np.float32), np.array([0]), ("parcel",)
    )
    seq = 0
    while not over.wait(0.05):
        image = np.full((360, 640, 3), 70, np.uint8)
        image[:, :, 1] += np.linspace(0, 90, 640).astype(np.uint8)
        if pictures.wants("gate"):
            pictures(FrameResult("gate", seq, 0, 0, 0.042, 0.003, 0.02, found, image))
        seq += 1


def form_page(target: str) -> type[BaseHTTPRequestHandler]:
    """A page that types the token, as a person does."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(
                f'<form method="post" action="{target}enter"><input name="token" value="{TOKEN}"></form>'
                "<script>document.forms[0].submit()</script>".encode()
            )

        def log_message(self, *_: Any) -> None:
            """Nobody listens."""

    return Page


def test_the_live_picture_is_seen(tmp_path: Path, needs_program: Callable[[str, str], str]) -> None:
    chromium = needs_program("chromium", "chromium")
    zones = {"gate": [Outline("yard", [(0.05, 0.5), (0.25, 0.5), (0.25, 0.9), (0.05, 0.9)])]}
    pictures, over = LivePictures(["gate"], fps=10, outlines=zones), threading.Event()
    server = PreviewServer(ListenAddress(port=0), Access(TOKEN), pictures)
    server.start()
    feeding = threading.Thread(target=feed, args=(pictures, over), daemon=True)
    feeding.start()
    typist = HTTPServer(("127.0.0.1", 0), form_page(server.where))
    threading.Thread(target=typist.serve_forever, daemon=True).start()
    shot = tmp_path / "preview.png"
    try:
        subprocess.run(
            [
                chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
                "--window-size=900,700", "--timeout=4000", f"--screenshot={shot}",
                f"http://127.0.0.1:{typist.server_port}/",
            ],
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip
    finally:
        over.set()
        typist.shutdown()
        typist.server_close()
        server.close()
        feeding.join(5)
    page = cv2.imread(str(shot))
    assert page is not None
    # The box has the palette's first colour, the zone its own: both are thin lines of the picture on the page.
    assert count(page, (233, 180, 86)) > 200
    assert count(page, (255, 200, 60)) > 100
    assert pictures.encodings > 0


def count(page: Any, bgr: tuple[int, int, int]) -> int:
    """Return how many pixels have about a colour."""
    return int((np.abs(page.astype(int) - bgr).max(axis=2) < 40).sum())
