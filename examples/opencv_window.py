"""Show a camera in a window, with what a detector finds drawn into it.

    python opencv_window.py BUNDLE SOURCE [--headless] [--frames N]

SOURCE is a camera's number, a file, an address, or the sample camera "conveyor:?fps=30". The key q ends it. With --headless,
or where there is no display, each frame is printed as a line instead.
"""

from __future__ import annotations

import argparse
import os
import sys

import cv2
import numpy as np

import edgesdk

GREEN = (0, 200, 0)


def draw(image: np.ndarray, found: edgesdk.Detections) -> None:
    for i, box in enumerate(found.boxes):
        left, top, right, bottom = (round(float(value)) for value in box)
        cv2.rectangle(image, (left, top), (right, bottom), GREEN, 1)
        cv2.putText(image, found.label(i), (left, max(10, top - 3)), cv2.FONT_HERSHEY_SIMPLEX, 0.4, GREEN, 1)


def has_window() -> bool:
    """Say whether OpenCV can open one: its headless build cannot, and neither can a machine without a display."""
    built = "GUI:                           NONE" not in cv2.getBuildInformation()
    return built and (sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("source")
    parser.add_argument("--headless", action="store_true", help="print instead of showing a window")
    parser.add_argument("--frames", type=int, help="end after so many")
    options = parser.parse_args()
    window = not options.headless and has_window()
    with edgesdk.load(options.bundle) as model:
        # In a loop each frame's picture is its own, and may be drawn into. Windows belong to the main thread.
        for shown, frame in enumerate(model.stream(options.source, keep_image=True), start=1):
            if not isinstance(frame.result, edgesdk.Detections) or frame.image is None:
                sys.exit(f"{options.bundle} is no detector: it answers with {frame.result.kind}")
            draw(frame.image, frame.result)
            if window:
                cv2.imshow("edgesdk", frame.image)
                if cv2.waitKey(1) == ord("q"):
                    break
            else:
                print(f"frame {frame.seq}: {len(frame.result)} objects, {frame.age_s * 1000:.0f} ms old", flush=True)
            if shown == options.frames:
                break


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
    except edgesdk.EdgeError as error:
        sys.exit(f"error: {error}")
