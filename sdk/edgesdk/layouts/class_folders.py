"""A folder for each class, named as the class, with its pictures inside."""

from __future__ import annotations

from pathlib import Path

from edgesdk.layouts.class_names import ClassNames
from edgesdk.layouts.samples import ClassSample
from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.image_file import list_images


def read_class_folders(folder: Path, labels: tuple[str, ...]) -> list[ClassSample]:
    """Read `folder/CLASS/*.jpg`.

    Raises:
        InputError: a folder is called as none of the model's classes, or there are no class folders.
    """
    names = ClassNames(labels)
    found = _folders(folder)
    classes = {entry: names.find(entry.name) for entry in found}
    unknown = [entry.name for entry, class_id in classes.items() if class_id is None]
    if unknown:
        raise names.unknown(unknown, str(folder))
    return [
        ClassSample(image, frozenset({class_id}))
        for entry, images in found.items()
        if (class_id := classes[entry]) is not None
        for image in images
    ]


def read_own_class_folders(folder: Path) -> tuple[list[ClassSample], tuple[str, ...]]:
    """Read `folder/CLASS/*.jpg` with classes of the dataset's own, as an embedding has none; return their names too.

    Raises:
        InputError: there are no class folders.
    """
    found = _folders(folder)
    samples = [ClassSample(image, frozenset({i})) for i, images in enumerate(found.values()) for image in images]
    return samples, tuple(entry.name for entry in found)


def _folders(folder: Path) -> dict[Path, list[Path]]:
    found = {entry: list_images(entry) for entry in sorted(folder.iterdir()) if entry.is_dir()}
    found = {entry: images for entry, images in found.items() if images}
    if not found:
        raise InputError(
            f"{folder} holds neither class folders with pictures nor a labels.csv.",
            hint="Give a folder of pictures for each class, or a labels.csv with the columns file,label.",
        )
    return found
