"""Choose the pictures on which INT8 ranges are measured.

Unreadable pictures and duplicates go first; of the rest those are chosen that differ most in what the model itself sees
in them. Pictures are decoded one at a time, here and whenever the set is gone through: it holds names and hashes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from edgesdk_converters.calibration.candidates import Candidates, Progress, look_at
from edgesdk_converters.calibration.feature_table import Features
from edgesdk_converters.calibration.k_centre import k_centre
from edgesdk_converters.calibration.likeness import Likeness, Seen, likeness_of, pixel_hash
from edgesdk_converters.calibration.origin import Origin, open_origin
from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.image_file import read_image
from edgesdk_targets.tensor import Array

COUNT = 300
FEW = 32
# From so many pictures for each one chosen; more would cost minutes and change little.
_LOOK_AT = 8
_NAMED = 5


class CalibrationSet:
    """The chosen pictures; the first n of them are themselves a diverse choice.

    Attributes:
        digest: `sha256:…` over the chosen pictures' pixel hashes, in order.
        record: for the bundle's provenance, ready for JSON.
        warnings: sentences for a person.
        names: of the chosen pictures, within their source.
        likenesses: what each is recognised by.
    """

    def __init__(
        self,
        origin: Origin,
        names: Sequence[str],
        likenesses: Sequence[Likeness],
        record: Mapping[str, object],
        warnings: Sequence[str],
    ) -> None:
        self._origin = origin
        self.names = tuple(names)
        self.likenesses = tuple(likenesses)
        self.warnings = tuple(warnings)
        joined = "\n".join(likeness.pixels for likeness in self.likenesses)
        self.digest = f"sha256:{hashlib.sha256(joined.encode()).hexdigest()}"
        self.record: Mapping[str, object] = {**record, "digest": self.digest}

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Array]:
        """Decode the pictures one by one, (H, W, 3) uint8 BGR, always in the same order.

        Raises:
            InputError: a picture is gone, or is another than when it was chosen.
        """
        return (self.picture(number) for number in range(len(self)))

    def picture(self, number: int) -> Array:
        """Decode one picture, as `__iter__` does."""
        name = self.names[number]
        picture = self._origin.read(name)
        if pixel_hash(picture) != self.likenesses[number].pixels:
            raise InputError(
                f"The calibration picture {name} is another than when it was chosen.",
                hint="Let nothing write to the calibration data while a model is converted.",
            )
        return picture

    def in_source_order(self) -> list[int]:
        """Return the pictures' numbers in the order of their source: of time in a video, of names in a folder."""
        parts = [re.split(r"(\d+)", name) for name in self.names]
        keys = [[(int(part), "") if part.isdigit() else (-1, part) for part in split] for split in parts]
        return sorted(range(len(self)), key=keys.__getitem__)


def open_calibration(
    source: str | Path | Iterable[Array],
    *,
    count: int = COUNT,
    features: Features | None = None,
    progress: Progress | None = None,
    seed: int = 0,
) -> CalibrationSet:
    """Choose calibration pictures.

    Args:
        source: a folder (searched with its subfolders), a video, a `.npy` or `.npz` of (N, H, W, 3) uint8, or an iterable of
            (H, W, 3) uint8 BGR arrays.
        count: how many to choose.
        features: picture → what the model sees in it, (D,); None compares thumbnails.
        seed: of the sample that is looked at where the source is large.

    Raises:
        InputError: there are no pictures, none can be read, or the features are not finite.
        MissingExtra: ImageHash is not installed.
        NoSpace: frames or arrays could not be put aside.
    """
    if count < 1:
        raise InputError(f"{count} calibration pictures were asked for.", hint="300 are usual.")
    limit = _LOOK_AT * count
    origin = open_origin(source, limit=limit, seed=seed)
    say: Progress = progress or (lambda _line: None)
    found = look_at(origin, features, limit=limit, at_least=min(FEW, count), seed=seed, progress=say)
    if not found.names:
        raise _nothing(found)
    cloud = found.table.matrix() if found.table else _thumbnails(found.likenesses)
    chosen = k_centre(cloud, count)
    names = [found.names[row] for row in chosen]
    origin.keep(names)
    say(f"calibration: {len(names)} of {origin.found} pictures chosen")
    record = {
        "source": origin.kind,
        "found": origin.found,
        "examined": found.examined,
        "unreadable": len(found.unreadable),
        "duplicates": found.duplicates,
        "near_duplicates": found.near_duplicates,
        "chosen": len(names),
        "method": f"k-centre on {'the features of the model' if features else 'thumbnails'}",
        "seed": seed,
    }
    return CalibrationSet(
        origin, names, [found.likenesses[row] for row in chosen], record, _warnings(found, len(names))
    )


@dataclass(frozen=True, slots=True)
class Shared:
    """One picture in both sets.

    Attributes:
        calibration: the picture's name in the calibration data.
        kind: `same` pixels, or `near`: saved again, resized, or the next frame of the same scene.
    """

    evaluation: Path
    calibration: str
    kind: Literal["same", "near"]

    def __str__(self) -> str:
        how = "is" if self.kind == "same" else "is nearly"
        return f"{self.evaluation}, which {how} {self.calibration} of the calibration data"


def overlap(calibration: CalibrationSet, evaluation: Iterable[Path]) -> list[Shared]:
    """Return the evaluation pictures that are also in the calibration set, same or nearly the same.

    A file that cannot be read overlaps with nothing; whoever evaluates it will say so.
    """
    seen = Seen()
    for likeness in calibration.likenesses:
        seen.add(likeness)
    shared = []
    for path in evaluation:
        try:
            likeness = likeness_of(read_image(path))
        except InputError:
            continue
        same = seen.same(likeness)
        number = same if same is not None else seen.near(likeness)
        if number is not None:
            kind: Literal["same", "near"] = "same" if same is not None else "near"
            shared.append(Shared(path, calibration.names[number], kind))
    return shared


def _thumbnails(likenesses: Sequence[Likeness]) -> Array:
    return np.stack([likeness.thumbnail for likeness in likenesses]).astype(np.float32)


def _nothing(found: Candidates) -> InputError:
    if not found.unreadable:
        return InputError("The calibration data hold no pictures.", hint="Give 100 pictures or more.")
    name, why = found.unreadable[0]
    return InputError(
        f"None of {len(found.unreadable)} calibration pictures can be read; the first, {_printable(name)}: {_printable(why)}",
        hint="Check the files.",
    )


def _warnings(found: Candidates, chosen: int) -> list[str]:
    said = []
    if found.unreadable:
        named = ", ".join(_printable(name) for name, _ in found.unreadable[:_NAMED])
        more = f" and {len(found.unreadable) - _NAMED} more" if len(found.unreadable) > _NAMED else ""
        said.append(f"{len(found.unreadable)} of the calibration pictures cannot be read; left out: {named}{more}.")
    if chosen < FEW:
        said.append(f"Only {chosen} calibration pictures: INT8 ranges may be wrong; 100 or more are usual.")
    if found.returned:
        said.append(
            f"The video hardly changes: {found.returned} of its {chosen} calibration frames are nearly the same as others; "
            "INT8 ranges hold for such a scene only."
        )
    return said


def _printable(text: str) -> str:
    """Return a file's name as a terminal can show it: names on a disk may be any bytes."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)
