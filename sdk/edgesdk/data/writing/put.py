"""How a picture gets to another place: copied, linked, or out of a video."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from edgesdk.data.index.item import Item
from edgesdk.data.stream.pipeline import Pipeline, Progress, Unread
from edgesdk_targets.preprocess.png import encode_png
from edgesdk_targets.tensor import Array

# Where each item goes; returns where it is now: an encoder may have given it another suffix.
PutAll = Callable[[Mapping[Item, Path]], Mapping[Item, Path]]
_LINKS_REFUSED = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP}


def copied(progress: Progress | None = None, *, link: bool = False) -> PutAll:
    """Return what copies files, or links them (hard links: no link leads out of a folder) where the file system lets it."""

    def put_all(targets: Mapping[Item, Path]) -> Mapping[Item, Path]:
        frames = {item: target for item, target in targets.items() if item.frame is not None}
        for item, target in targets.items():
            if item.frame is None:
                target.parent.mkdir(parents=True, exist_ok=True)
                _place(item.path.resolve(), target, link=link)
        lost = _frames(list(frames), frames, progress)
        return {item: target for item, target in targets.items() if item not in lost}

    return put_all


def _place(source: Path, target: Path, *, link: bool) -> None:
    if link:
        try:
            os.link(source, target)
        except OSError as error:
            if error.errno not in _LINKS_REFUSED:
                raise
        else:
            return
    shutil.copyfile(source, target)


def _frames(items: Sequence[Item], targets: Mapping[Item, Path], progress: Progress | None) -> set[Item]:
    """Write frames of videos as PNG; return those that could not be read."""

    def work(item: Item, picture: Array) -> None:
        target = targets[item]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(encode_png(picture))

    return {item for item, answer in Pipeline(items, work, progress=progress) if isinstance(answer, Unread)}
