"""Whether cameras come back: a real RTSP server is killed, hangs and freezes its picture, twenty times each.

    python benchmarks/camera_faults.py [--cycles 20] [--seconds 20] [--rounds 3] [--only cycles,...] [--json FILE]

About ten minutes as it stands. Needs Debian's GStreamer RTSP server (`gir1.2-gst-rtsp-server-1.0`). Ends with 1 where a goal
is missed, or where a control, with the detection switched off, does not miss it.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from camera_fault_parts import cycles, neighbours, pictures
from camera_fault_parts.finding import Finding

from edgesdk_agent.pipeline_settings import apply_pipeline_settings
from edgesdk_testkit.h264_files import write_h264
from edgesdk_testkit.rtsp_server import missing_part
from edgesdk_testkit.system_packages import gstreamer_on_path


def main() -> int:
    """Break cameras, print what was found, and write the JSON."""
    options = _options()
    if (why := missing_part()) is not None:
        print(f"cannot run: {why}", file=sys.stderr)
        return 4
    logging.basicConfig(level=logging.ERROR)
    apply_pipeline_settings()
    with tempfile.TemporaryDirectory() as folder, gstreamer_on_path():
        film = write_h264(Path(folder) / "film.mp4", width=640, height=360, fps=15, frames=60)
        parts: dict[str, Callable[[], list[Finding]]] = {
            "cycles": lambda: cycles.measure(film, options.cycles),
            "frozen": lambda: [pictures.frozen(film, options.cycles)],
            "one_fps": lambda: [pictures.one_frame_a_second(film, 3 * options.seconds)],
            "neighbours": lambda: neighbours.measure(film, options.rounds, options.seconds),
        }
        found: list[Finding] = []
        for name, part in parts.items():
            if options.only and name not in options.only.split(","):
                continue
            for finding in part():
                print(finding.in_words(), flush=True)
                found.append(finding)
    if options.json is not None:
        document = {"cycles": options.cycles, "findings": [finding.to_json() for finding in found]}
        options.json.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    return 0 if all(one.holds and one.control_fails is not False for one in found) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Whether cameras come back, and whether they slow each other.")
    parser.add_argument("--cycles", type=int, default=20, help="how often each fault is made, after a warm-up")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each run of four cameras")
    parser.add_argument("--rounds", type=int, default=3, help="of runs with and without the fault")
    parser.add_argument("--only", default="", help="parts, with commas: cycles, frozen, one_fps, neighbours")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
