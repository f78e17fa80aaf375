"""The bill of materials: CycloneDX's own rules, and what is in the bundle is in the bill."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import pytest

from edgesdk_converters.sbom import sbom
from edgesdk_targets.target import Runtime
from edgesdk_testkit.tiny_bundles import tiny_variant
from edgesdk_testkit.tiny_models import CNN

PROVENANCE: dict[str, Any] = {
    "source": {"kind": "onnx", "name": "cnn.onnx", "sha256": "ab" * 32},
    "tools": {"torch": "2.9.0+cpu", "nncf": "absent", "edgesdk": "0.1.0"},
}


def _made(licence: str | None = "Apache-2.0", **source: Any) -> tuple[Any, dict[str, bytes]]:
    variant, files = tiny_variant(CNN, "generic-onnx", Runtime.ONNXRUNTIME)
    provenance = {**PROVENANCE, "source": {**PROVENANCE["source"], **source}}
    return sbom("cnn", "1.0.0", licence, [variant], files, provenance), files


def test_every_artifact_is_listed_with_its_hash_and_what_it_was_made_from() -> None:
    made, files = _made()
    listed = {
        one["name"]: one["hashes"][0]["content"] for one in made["components"] if one["bom-ref"].startswith("file:")
    }
    assert listed == {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    assert f"source:{'ab' * 32}" in {one["bom-ref"] for one in made["components"]}
    refs = {one["bom-ref"] for one in made["components"]} | {made["metadata"]["component"]["bom-ref"]}
    assert {ref for one in made["dependencies"] for ref in (one["ref"], *one["dependsOn"])} <= refs
    assert len(refs) == len(made["components"]) + 1


def test_the_tools_are_those_that_are_there() -> None:
    made, _ = _made()
    tools = [(one["name"], one["version"], one["purl"]) for one in made["metadata"]["tools"]["components"]]
    assert tools == [
        ("edgesdk", "0.1.0", "pkg:pypi/edgesdk@0.1.0"),
        ("torch", "2.9.0+cpu", "pkg:pypi/torch@2.9.0%2Bcpu"),
    ]


@pytest.mark.parametrize(
    ("licence", "listed"),
    [
        ("MIT", [{"license": {"id": "MIT"}}]),
        ("Our own, ask us", [{"license": {"name": "Our own, ask us"}}]),
        (None, None),
    ],
)
def test_the_licence(licence: str | None, listed: object) -> None:
    assert _made(licence)[0]["metadata"]["component"].get("licenses") == listed


def test_the_same_is_the_same_and_its_id_follows_from_it() -> None:
    assert _made() == _made()
    assert _made("MIT")[0]["serialNumber"] != _made()[0]["serialNumber"]
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", _made()[0]["serialNumber"])


def test_a_live_module_has_no_file_that_it_came_from() -> None:
    assert all(one["bom-ref"].startswith("file:") for one in _made(sha256=None, name=None)[0]["components"])
