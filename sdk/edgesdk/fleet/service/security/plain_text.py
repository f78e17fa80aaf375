"""An address with a control character in it is nobody's, and some databases cannot take it: refused at the door."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

MAX_QUERY_BYTES = 8192


class PlainText:
    """ASGI middleware that answers 400 to control characters in the path or the query, and to what is no UTF-8."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _plain(scope):
            body = {"error": {"code": "bad_request", "message": "This address cannot be read."}}
            await JSONResponse(body, 400)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _plain(scope: Scope) -> bool:
    query: bytes = scope.get("query_string", b"")
    raw = unquote_to_bytes(query.replace(b"+", b" ")) + scope["path"].encode("utf-8", "surrogatepass")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return len(query) <= MAX_QUERY_BYTES and not any(ord(c) < 32 or ord(c) == 127 for c in text)
