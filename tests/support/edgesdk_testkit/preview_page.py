"""The page that shows a camera, as a viewer gets it: enters with the token, and takes a picture of the stream."""

from __future__ import annotations

import http.client

from edgesdk_agent.preview.access import COOKIE


def page_picture(port: int, token: str, camera: str = "hall") -> bytes:
    """Return the stream's next picture, a JPEG."""

    def ask(method: str, path: str, body: str | None = None, cookie: str = "") -> http.client.HTTPResponse:
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        line.request(method, path, body, {"Cookie": cookie} if cookie else {})
        return line.getresponse()

    said = ask("POST", "/enter", f"token={token}").getheader("Set-Cookie") or ""
    answer = ask("GET", f"/stream/{camera}", cookie=f"{COOKIE}={said.partition('=')[2].partition(';')[0]}")
    length, line = 0, b""
    while not length or line.strip():
        line = answer.readline()
        if line.lower().startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    return answer.read(length)
