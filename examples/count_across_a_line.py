"""Count what crosses a line in a video, and how long it stays in a part of the picture.

    python count_across_a_line.py BUNDLE SOURCE [--line X1 Y1 X2 Y2]

Points are parts of the picture's width and height, from its upper left corner.
"""

from __future__ import annotations

import argparse

import edgesdk


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("bundle")
    parser.add_argument("source")
    parser.add_argument("--size", type=int, nargs=2, default=(320, 240), help="of the pictures, pixels")
    parser.add_argument("--fps", type=float, default=30.0, help="of the source, where it is no live camera")
    parser.add_argument("--line", type=float, nargs=4, default=(0.5, 0, 0.5, 1), metavar="N")
    options = parser.parse_args()
    first, last = options.line[:2], options.line[2:]
    scene = edgesdk.Scene(
        tuple(options.size),
        lines=[{"name": "line", "points": [first, last], "anchor": "centre"}],
        zones=[{"name": "middle", "polygon": [[0.25, 0], [0.75, 0], [0.75, 1], [0.25, 1]], "anchor": "centre"}],
        rules=[
            {"name": "passed", "kind": "crossing", "line": "line"},
            {"name": "stays", "kind": "dwell", "zone": "middle", "seconds": 0.5},
        ],
    )
    with edgesdk.load(options.bundle) as model:
        for seen in edgesdk.Pipeline(model, options.source):
            for event in scene.update(seen.result, at=seen.seq / options.fps):
                if event.rule == "passed":
                    print(f"frame {event.frame}: {event.after['label']} goes {event.after['direction']}")
                elif event.phase == "end":
                    print(f"frame {event.frame}: {event.after['label']} stayed {event.after['stayed_s']} s")
    print(dict(scene.lines["line"].counts))


if __name__ == "__main__":
    main()
