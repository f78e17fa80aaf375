"""Ask a bundle what a picture shows.

    python classify_a_picture.py BUNDLE PICTURE [PICTURE ...]

A bundle is loaded once, and then called like a function: with a file's path, or with an array (H, W, 3) uint8 in BGR,
as OpenCV reads it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import edgesdk


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("pictures", type=Path, nargs="+")
    options = parser.parse_args()
    with edgesdk.load(options.bundle) as model:
        print(f"{model.manifest.name} {model.manifest.version}: {model.variant.id}, run by {model.runtime.value}")
        for picture in options.pictures:
            result = model(picture)
            if not isinstance(result, edgesdk.Classification):
                sys.exit(f"{options.bundle} is no classifier: it answers with {result.kind}")
            print(f"{picture.name}: {result.label} ({result.score:.1%})")


if __name__ == "__main__":
    try:
        main()
    except edgesdk.EdgeError as error:
        # What is wrong, and what to do about it.
        sys.exit(f"error: {error}")
