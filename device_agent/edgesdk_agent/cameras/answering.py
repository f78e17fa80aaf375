"""Ask whether anybody answers at a camera's address, before OpenCV is let at it.

OpenCV opens one stream at a time in a process: a lock inside it is held until FFmpeg has an answer or its time is over.
An address that is silent would keep every other camera from being opened meanwhile, so that its silence is waited for here.
"""

from __future__ import annotations

import os
import socket
import time
from urllib.parse import SplitResult, urlsplit

from edgesdk_targets.secret_url import SecretUrl

# TLS is not spoken here: behind it, only the connection is asked for.
_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
# What costs a camera nothing comes first. A small web server may not answer HEAD, but there is none that ignores GET.
_QUESTIONS = {"rtsp": ("OPTIONS",), "http": ("HEAD", "GET")}
_LEAST_S = 0.1


def answers(url: SecretUrl, timeout_s: float) -> bool:
    """Say whether somebody answers in the address's own protocol within a time; any answer will do.

    True also where this cannot be asked: whoever opens it then says what is wrong.
    """
    try:
        parts = urlsplit(url.reveal())
        usual = _PORTS[parts.scheme]
        port = parts.port or usual
    except (ValueError, KeyError):
        return True
    if not parts.hostname or (parts.scheme.startswith("http") and os.environ.get("http_proxy")):
        return True
    ends = time.monotonic() + timeout_s
    questions = _QUESTIONS.get(parts.scheme, ("",))
    for number, method in enumerate(questions):
        share_s = max(_LEAST_S, (ends - time.monotonic()) / (len(questions) - number))
        try:
            if _answers_once(parts, port, method, share_s):
                return True
        except TimeoutError:
            continue
        except OSError:
            return False
    return False


def _answers_once(parts: SplitResult, port: int, method: str, timeout_s: float) -> bool:
    with socket.create_connection((parts.hostname or "", port), timeout_s) as connection:
        if method:
            connection.sendall(_question(parts, method))
            # An end without a word is an answer too: somebody is there, and did not like the question.
            connection.recv(1)
    return True


def _question(parts: SplitResult, method: str) -> bytes:
    """Return a request without a login, which is never told to whoever happens to listen."""
    host = parts.netloc.rpartition("@")[2]
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if parts.scheme == "rtsp":
        line, extra = f"{method} rtsp://{host}{parts.path} RTSP/1.0", "CSeq: 1\r\n"
    else:
        line, extra = f"{method} {path} HTTP/1.0", ""
    return f"{line}\r\nHost: {host}\r\n{extra}User-Agent: edgesdk\r\n\r\n".encode()
