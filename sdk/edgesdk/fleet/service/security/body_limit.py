"""No request's body is read beyond a limit, whatever its header says of its length."""

from __future__ import annotations

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 256 * 1024


class _TooLarge(Exception):
    """Ends the application's reading."""


class BodyLimit:
    """ASGI middleware that answers 413 to what is larger than `limit_bytes`.

    Args:
        streamed: what begins so, with PATCH, is read in pieces by its route, which has a limit of its own.
    """

    def __init__(self, app: ASGIApp, *, limit_bytes: int = MAX_BODY_BYTES, streamed: str = "") -> None:
        self._app = app
        self._limit = limit_bytes
        self._streamed = streamed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        streamed = self._streamed and scope.get("method") == "PATCH" and scope["path"].startswith(self._streamed)
        if scope["type"] != "http" or streamed:
            await self._app(scope, receive, send)
            return
        refused = JSONResponse({"error": {"code": "too_large", "message": "The body is too large."}}, 413)
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) > self._limit:
            await refused(scope, receive, send)
            return
        read, began = 0, False

        async def limited() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._limit:
                raise _TooLarge
            return message

        async def noted(message: Message) -> None:
            nonlocal began
            began = began or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, limited, noted)
        except _TooLarge:
            if not began:
                await refused(scope, receive, send)
