"""A web service around a model: send it a picture, or ask what a camera shows now.

    python fastapi_app.py BUNDLE [--source SOURCE] [--port 8000]

    curl --data-binary @picture.jpg http://127.0.0.1:8000/picture     the model's answer, JSON
    curl http://127.0.0.1:8000/latest                                 the camera's newest result, JSON
    http://127.0.0.1:8000/live                                        the camera itself, in a browser (MJPEG)

Model and camera live as long as the service. Requests wait for their turn, and the event loop goes on; needs fastapi, uvicorn.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import cv2
import numpy as np
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse

import edgesdk


class Camera:
    """The newest frame of a source, for whoever asks."""

    def __init__(self) -> None:
        self.frame: edgesdk.FrameResult | None = None
        self.jpeg, self.error = b"", ""
        self.changed = asyncio.Condition()

    async def watch(self, model: edgesdk.Model, source: str) -> None:
        try:
            # keep_image: each result comes with its picture.
            async with aclosing(model.astream(source, keep_image=True)) as frames:
                async for frame in frames:
                    async with self.changed:
                        self.frame, self.jpeg = frame, cv2.imencode(".jpg", frame.image)[1].tobytes()
                        self.changed.notify_all()
            self.error = "The source has ended."
        except edgesdk.EdgeError as error:
            self.error = str(error)
        async with self.changed:
            self.changed.notify_all()

    async def pictures(self) -> AsyncIterator[bytes]:
        while not self.error:
            async with self.changed:
                await self.changed.wait()
                jpeg = self.jpeg
            yield b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" + jpeg + b"\r\n"


def service(bundle: str, source: str | None) -> FastAPI:
    camera = Camera()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # One model answers requests, and one of its own watches the camera: neither waits for the other.
        with edgesdk.load(bundle) as app.state.model, edgesdk.load(bundle) as watching:
            task = asyncio.create_task(camera.watch(watching, source)) if source else None
            yield
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    app = FastAPI(title="edgesdk", lifespan=lifespan)

    @app.post("/picture")
    async def picture(request: Request) -> dict[str, Any]:
        data = np.frombuffer(await request.body(), np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
        if image is None:
            raise HTTPException(415, "Send a picture (JPEG, PNG) as the body.")
        return (await app.state.model.acall(image)).to_json()

    @app.get("/latest")
    async def latest() -> dict[str, Any]:
        if camera.error:
            raise HTTPException(503, camera.error)
        if camera.frame is None:
            raise HTTPException(404, "There is no result yet." if source else "Start with --source.")
        frame = camera.frame
        return {"frame": frame.seq, "age_ms": round(frame.age_s * 1000, 1), "result": frame.result.to_json()}

    @app.get("/live")
    async def live() -> StreamingResponse:
        return StreamingResponse(camera.pictures(), media_type="multipart/x-mixed-replace; boundary=frame")

    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--source", help="a camera, file or address; none answers pictures only")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    uvicorn.run(
        service(options.bundle, options.source), host="127.0.0.1", port=options.port, timeout_graceful_shutdown=2
    )


if __name__ == "__main__":
    main()
