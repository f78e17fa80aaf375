"""Run one program: `python run.py NAME --source … --broker HOST:PORT --artifacts FOLDER`, in whatever environment it needs.

Prints READY once it is loaded, and begins when a line comes in. The agent is not told to wait: it runs as users run it.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

PROGRAMS = {
    "seq1": "single_thread:seq1",
    "seq1_onnxruntime": "single_thread:seq1_onnxruntime",
    "seq1_litert": "single_thread:seq1_litert",
    "ov_naive": "naive:ov_naive",
    "ov_naive_blob": "naive:ov_naive_blob",
    "async_infer_queue": "openvino_async:async_infer_queue",
    "model_api": "openvino_async:model_api",
    "imutils": "threaded_readers:imutils",
    "vidgear": "threaded_readers:vidgear",
    "roboflow": "roboflow:roboflow",
    "embedded": "ours:embedded",
}


def main() -> None:
    # What stands after `--` is for the agent; argparse would take flags there for ours.
    words = sys.argv[1:]
    place = words.index("--") if "--" in words else len(words)
    options = _options(words[:place])
    options.rest = words[place + 1 :]
    if options.program == "agent":
        from pipeline.programs.ours import agent

        agent(options)
        return
    from pipeline.programs.finish import Finish

    module, _, function = PROGRAMS[options.program].partition(":")
    finish = Finish(options)
    getattr(importlib.import_module(f"pipeline.programs.{module}"), function)(options, finish)
    finish.close()
    sys.stdout.flush()
    # Some of the libraries leave threads behind that never end.
    os._exit(0)


def _options(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", choices=[*PROGRAMS, "agent"])
    parser.add_argument("--name", default="program", help="under which results are published")
    parser.add_argument("--source", default="")
    parser.add_argument("--broker", default="127.0.0.1:1883")
    parser.add_argument("--artifacts", default="", help="the folder with the model's files")
    parser.add_argument("--bundle", default="")
    parser.add_argument("--variant", default="")
    parser.add_argument("--notes", default="", help="a file for what ours says of itself at the end")
    parser.add_argument("--live", action="store_true", help="pictures carry stamps; ends after --seconds")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--stage-ms", type=float, default=0.0, help="an inference takes so long in all")
    return parser.parse_args(words)


if __name__ == "__main__":
    main()
