"""Encode pictures again, each as small as a bound on its similarity to the original allows.

The quality is sought by halving, from the picture itself: a sky bears a lower one than a face. What would not be smaller,
or cannot keep the bound, stays as it is. Labels go along; sizes in pixels stay, so boxes stay right. The pixels are those that
a reader sees, so a rotation that was only noted in the file is carried out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgesdk.data.index.item import Index, Item, Layout
from edgesdk.data.picture_file import decode_whole
from edgesdk.data.ssim import ssim
from edgesdk.data.stream.pipeline import Progress
from edgesdk.data.stream.read_ahead import in_order, threads
from edgesdk.data.writing.new_folder import new_folder, set_folder, sets_of
from edgesdk.data.writing.subset import write_subset
from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.image_file import decode_image, picture_bytes
from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.tensor import Array

FORMATS = {"jpeg": (".jpg", cv2.IMWRITE_JPEG_QUALITY), "webp": (".webp", cv2.IMWRITE_WEBP_QUALITY)}
_LOWEST, _HIGHEST = 10, 98
_SAY_EVERY = 20


@dataclass(frozen=True, slots=True)
class Encoded:
    """What became of one picture.

    Attributes:
        quality, similarity: None where the file stayed as it was.
        why_kept: why it did.
    """

    item: Item
    before_bytes: int
    after_bytes: int
    quality: int | None = None
    similarity: float | None = None
    why_kept: str = ""


@dataclass(slots=True)
class Compressed:
    """A compressed set."""

    pictures: list[Encoded] = field(default_factory=list)

    @property
    def before_bytes(self) -> int:
        return sum(one.before_bytes for one in self.pictures)

    @property
    def after_bytes(self) -> int:
        return sum(one.after_bytes for one in self.pictures)

    def to_json(self) -> dict[str, object]:
        """Return it for `--json`."""
        done = [one for one in self.pictures if one.quality is not None]
        likeness = [one.similarity for one in done if one.similarity is not None]
        return {
            "pictures": len(self.pictures),
            "encoded": len(done),
            "kept": len(self.pictures) - len(done),
            "before_bytes": self.before_bytes,
            "after_bytes": self.after_bytes,
            "saved": 1 - self.after_bytes / self.before_bytes if self.before_bytes else 0.0,
            "ssim": {"min": min(likeness), "mean": float(np.mean(likeness))} if likeness else None,
            "quality_median": float(np.median([one.quality for one in done])) if done else None,
        }


def compress(
    index: Index,
    folder: Path,
    *,
    bound: float,
    kind: str = "jpeg",
    workers: int | None = None,
    progress: Progress | None = None,
) -> Compressed:
    """Write a dataset with its pictures encoded again.

    Args:
        folder: new.
        bound: the least SSIM of a picture, 0 … 1.
        kind: one of `FORMATS`.

    Raises:
        InputError: the bound or format is not known, or the set is of videos.
        NoSpace: the disk is full; nothing is left behind.
    """
    if not 0.5 <= bound < 1:
        raise InputError(f"The bound on SSIM must lie in 0.5 … 1, not {bound}.", hint="0.98 is hardly visible.")
    if kind not in FORMATS:
        raise InputError(f"There is no format {kind!r} here.", hint=f"Known are {', '.join(FORMATS)}.")
    if index.layout is Layout.VIDEO:
        raise InputError("Videos are not encoded again.", hint="Choose frames first: `edgesdk data select … -o OUT`.")
    done, count = Compressed(), threads(workers)

    def put_all(targets: Mapping[Item, Path]) -> Mapping[Item, Path]:
        places: dict[Item, Path] = {}
        renamed = _renamed(targets, FORMATS[kind][0])
        jobs: Sequence[tuple[Item, Path]] = list(targets.items())
        for one, place in in_order(
            jobs, lambda job: _encode(*job, renamed[job[0]], bound, kind), workers=count, ahead=3 * count
        ):
            done.pictures.append(one)
            places[one.item] = place
            if progress is not None and (len(done.pictures) % _SAY_EVERY == 0 or len(done.pictures) == len(jobs)):
                progress(f"{len(done.pictures)} of {len(jobs)} pictures")
        return places

    with new_folder(folder) as place:
        for name, items in sets_of(index, index.items).items():
            write_subset(index, items, set_folder(place, name), put_all)
    return done


def _encode(item: Item, target: Path, renamed: Path, bound: float, kind: str) -> tuple[Encoded, Path]:
    data = picture_bytes(item.path)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        header, picture = decode_whole(data, str(item.path))
        if header.transparent or header.mode in {"I;16", "I;16B", "I", "F"}:
            raise InputError(f"mode {header.mode} would lose its transparency or depth")
        found = smallest(picture, bound, kind)
        why = "" if found is not None else f"no quality up to {_HIGHEST} keeps the bound"
    except InputError as error:
        found, why = None, error.message.removeprefix(f"{item.path} ")
    if found is None or len(found[0]) >= len(data):
        target.write_bytes(data)
        return Encoded(item, len(data), len(data), why_kept=why or "would not be smaller"), target
    renamed.write_bytes(found[0])
    return Encoded(item, len(data), len(found[0]), found[1], found[2]), renamed


def _renamed(targets: Mapping[Item, Path], suffix: str) -> dict[Item, Path]:
    """Return the targets with another suffix, no two alike: `a.png` beside an `a.jpg` becomes `a_png.jpg`."""
    # Nor like one that would stay as it is: only its encoding tells whether it does.
    taken = {str(target).casefold() for target in targets.values()}
    renamed: dict[Item, Path] = {}
    for item, target in targets.items():
        if target.suffix.lower() == suffix or (suffix == ".jpg" and target.suffix.lower() == ".jpeg"):
            renamed[item] = target
            continue
        place, number = target.with_suffix(suffix), 1
        while str(place).casefold() in taken:
            more = f"_{number}" if number > 1 else ""
            place, number = target.with_name(f"{target.stem}_{target.suffix[1:].lower()}{more}{suffix}"), number + 1
        taken.add(str(place).casefold())
        renamed[item] = place
    return renamed


def smallest(picture: Array, bound: float, kind: str) -> tuple[bytes, int, float] | None:
    """Return the smallest encoding whose SSIM is at least `bound`, with its quality and SSIM; None where there is none."""
    suffix, flag = FORMATS[kind]
    low, high = _LOWEST, _HIGHEST
    best: tuple[bytes, int, float] | None = None
    while low <= high:
        quality = (low + high) // 2
        _, encoded = cv2.imencode(suffix, picture, [flag, quality])
        data = encoded.tobytes()
        likeness = ssim(picture, decode_image(data))
        if likeness >= bound:
            best, high = (data, quality, likeness), quality - 1
        else:
            low = quality + 1
    return best
