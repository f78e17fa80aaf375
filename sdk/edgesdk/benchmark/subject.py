"""What is measured: files and how a child process opens them.

A subject is written into a folder of its own, which the child is given: nothing else crosses, and nothing is pickled.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgesdk.benchmark.pictures import golden_picture
from edgesdk_targets.bundle.bundle import Bundle
from edgesdk_targets.bundle.manifest import Manifest, Variant
from edgesdk_targets.target import Runtime
from edgesdk_targets.tensor import TensorSpec

REQUEST = "subject.json"
VARIANT_OPENER = "edgesdk.benchmark.variant_lane:VariantLane"


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing to measure.

    Attributes:
        name: under which it is reported.
        opener: `package.module:callable` that takes an `Opening` and returns a `Lane`; called in the child only.
        options: JSON for the opener.
        files: name → content, put into the child's folder.
        pictures: that one run answers.
        varies: its runs differ by what is asked, so that the mean is what it costs, and not the median.
    """

    name: str
    opener: str
    options: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    varies: bool = False
    pictures: int = 1

    def write(self, folder: Path) -> None:
        """Put the subject into a child's folder."""
        names = {name: f"{place}.part" for place, name in enumerate(self.files)}
        for name, data in self.files.items():
            (folder / names[name]).write_bytes(data)
        request = {
            "opener": self.opener,
            "options": dict(self.options),
            "files": names,
            "path": [str(Path(entry).absolute()) for entry in sys.path],
        }
        (folder / REQUEST).write_text(json.dumps(request), "utf-8")


def files_subject(
    name: str,
    files: Mapping[str, bytes],
    variant: Variant,
    inputs: tuple[TensorSpec, ...],
    outputs: tuple[TensorSpec, ...],
    *,
    runtime: Runtime | None = None,
    manifest: Manifest | None = None,
    picture: bytes | None = None,
) -> Subject:
    """Describe a variant from its files' content by role, before or without a bundle.

    Args:
        inputs, outputs: of the model by logical name, as for `open_files`.
        runtime: what runs it, where that is not the variant's own.
        manifest: tells preprocessing and decoding, which are then measured too; without it inputs are random.
        picture: an encoded picture (PNG or JPEG) to answer for; drawn if not given.
    """
    options = {
        "variant": variant.model_dump(mode="json"),
        "inputs": [spec.model_dump(mode="json") for spec in inputs],
        "outputs": [spec.model_dump(mode="json") for spec in outputs],
        "runtime": (runtime or variant.runtime).value,
        "manifest": manifest.to_bytes().decode() if manifest is not None else None,
    }
    parts = {f"role/{role}": data for role, data in files.items()}
    if picture is not None:
        parts["picture"] = picture
    together = variant.together
    varies = together is not None and together.rule == "cascade"
    return Subject(name, VARIANT_OPENER, options, parts, varies, variant.pictures)


def bundle_subject(
    bundle: Bundle,
    variant: Variant,
    *,
    runtime: Runtime | None = None,
    name: str = "",
    picture: bytes | None = None,
) -> Subject:
    """Describe a variant of a bundle, with the bundle's own picture where it has one and no other is given.

    Raises:
        BadHash: a file was altered since the bundle was opened.
    """
    manifest = bundle.manifest
    return files_subject(
        name or variant.id,
        bundle.variant_files(variant),
        variant,
        manifest.inputs,
        manifest.outputs,
        runtime=runtime,
        manifest=manifest,
        picture=picture or golden_picture(bundle),
    )
