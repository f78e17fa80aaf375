"""The browser that other tests look through: it is on the page that it was sent to, whatever the page before still does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from edgesdk_testkit.browser import Browser

pytestmark = pytest.mark.system

BODIES = {"/first": b"<p>first<img src=/picture>", "/other": b"<p>other"}


class Site(ThreadingHTTPServer):
    """`/first` is complete only once `/other` was asked for; `/other` answers after that, and its text comes later still."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Pages)
        self.picture_asked, self.other_asked, self.picture_given = (threading.Event() for _ in range(3))


class Pages(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        body = BODIES.get(self.path, b"")
        if self.path == "/picture":
            self.server.picture_asked.set()
            self.server.other_asked.wait(10)
        elif self.path == "/other":
            self.server.other_asked.set()
            self.server.picture_given.wait(10)
            threading.Event().wait(0.2)  # the first page tells that it is complete
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.path == "/picture":
            self.server.picture_given.set()
        elif self.path == "/other":
            threading.Event().wait(0.3)
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as site:
        thread = threading.Thread(target=site.serve_forever)
        thread.start()
        yield site
        site.shutdown()
        thread.join()


def test_it_is_on_the_page_that_it_was_sent_to_though_the_one_before_ends_late(
    tmp_path: Path, needs_program: Callable[[str, str], str], site: Site
) -> None:
    url = f"http://127.0.0.1:{site.server_port}"
    with Browser(needs_program("chromium", "chromium"), tmp_path) as browser:
        browser.tell("Page.navigate", url=f"{url}/first")
        assert site.picture_asked.wait(10)
        browser.go(f"{url}/other")
        assert browser.run("document.body.innerText") == "other"
