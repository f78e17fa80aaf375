"""Bytes of one variant of a bundle."""

from __future__ import annotations

from pathlib import Path

from edgesdk.benchmark.artifact_bytes import artifact_bytes
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_testkit.tiny_bundles import write_tiny_bundle


def test_of_several_variants_the_first_is_counted_unless_one_is_named(tmp_path: Path) -> None:
    path = write_tiny_bundle(tmp_path / "three.edgebundle")
    with open_bundle(path) as bundle:
        first, *others = bundle.manifest.variants
        sizes = {one.id: bundle.manifest.bytes_of(one) for one in bundle.manifest.variants}
    assert artifact_bytes(path) == artifact_bytes(path, first.id)
    assert artifact_bytes(path).unpacked == sizes[first.id]
    for other in others:
        assert artifact_bytes(path, other.id).unpacked == sizes[other.id] != sizes[first.id]
