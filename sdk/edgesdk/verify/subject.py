"""What is verified on: the bundle must carry a golden set, the data must fit its task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgesdk_targets.bundle.bundle import Bundle
from edgesdk_targets.bundle.manifest import Manifest
from edgesdk_targets.errors import BadBundle
from edgesdk_targets.golden.golden_file import has_golden

if TYPE_CHECKING:
    from edgesdk.evaluate.dataset import Dataset


def need_golden(bundle: Bundle) -> None:
    """Raise BadBundle unless the bundle carries a golden set."""
    if has_golden(bundle):
        return
    if bundle.manifest.preprocess is None:
        raise BadBundle(
            f"{bundle.path} has no golden set: its model takes no picture.",
            hint="`edgesdk bundle verify` checks its files.",
        )
    raise BadBundle(
        f"{bundle.path} has no golden set; an older edgesdk made it.", hint="Convert the model again with this edgesdk."
    )


def open_data(manifest: Manifest, data: Path | None) -> Dataset | None:
    """Read the labels of the data, where data are given.

    Raises:
        InputError: they do not fit the task.
    """
    if data is None:
        return None
    from edgesdk.evaluate.dataset import open_dataset

    return open_dataset(data, task=manifest.task, labels=manifest.labels)
