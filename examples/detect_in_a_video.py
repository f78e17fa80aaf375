"""Count what a detector finds in a video, or on any camera, while frames keep coming.

    python detect_in_a_video.py BUNDLE SOURCE

SOURCE is a video file, a folder of pictures, rtsp://…, http://…, 0 for the first USB camera, or the sample camera
"conveyor:?frames=100". Capturing, preprocessing and inference overlap on threads of their own; results come in order.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter

import edgesdk


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("source")
    options = parser.parse_args()
    seen: Counter[str] = Counter()

    def on_result(frame: edgesdk.FrameResult) -> None:
        # Called for each frame on the inference thread: what takes long here slows the camera down.
        if isinstance(frame.result, edgesdk.Detections):
            labels = [frame.result.label(i) for i in range(len(frame.result))]
            seen.update(labels)
            print(f"frame {frame.seq}, {frame.age_s * 1000:.0f} ms old: {', '.join(labels) or 'nothing'}")

    with edgesdk.load(options.bundle) as model:
        pipeline = edgesdk.Pipeline(model, options.source, on_result=on_result)
        with pipeline:
            # Waits for the end of the source. Ctrl-C gets through between two waits, and stops the pipeline cleanly.
            try:
                while not pipeline.wait(0.5):
                    pass
            except KeyboardInterrupt:
                print("stopping")
    stats = pipeline.stats()
    print(f"{stats.processed} of {stats.captured} frames at {stats.fps:.1f} fps, {sum(stats.dropped.values())} dropped")
    print(", ".join(f"{label}: {count}" for label, count in seen.most_common()))


if __name__ == "__main__":
    try:
        main()
    except edgesdk.EdgeError as error:
        sys.exit(f"error: {error}")
