"""What is in a bundle, for those who must know: `sbom.cdx.json`, a bill of materials in CycloneDX 1.6.

The subject is the model with its licence. Its components are the artifacts with their hashes and, where the model came from
a file, that file; the tools are what made them, by name and version. No date, and an id that follows from the content: the same
input gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from edgesdk_targets.bundle.manifest import Variant

SBOM = "sbom.cdx.json"
_VERSION = "1.6"
_IDS = uuid.uuid5(uuid.NAMESPACE_URL, "https://cyclonedx.org/schema/bom-1.6.schema.json")
# Licences that models come under, by their SPDX ids; CycloneDX allows no other text in `id`, and takes others as `name`.
_SPDX = frozenset({
    "0BSD", "AGPL-3.0", "AGPL-3.0-only", "AGPL-3.0-or-later", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0",
    "CC-BY-4.0", "CC-BY-NC-4.0", "CC-BY-NC-SA-4.0", "CC-BY-SA-4.0", "CC0-1.0", "EUPL-1.2", "GPL-2.0-only", "GPL-3.0",
    "GPL-3.0-only", "GPL-3.0-or-later", "ISC", "LGPL-2.1-only", "LGPL-3.0-only", "MIT", "MIT-0", "MPL-2.0", "Unlicense", "Zlib",
})  # fmt: skip


def sbom(
    name: str,
    version: str,
    licence: str | None,
    variants: Sequence[Variant],
    files: Mapping[str, bytes],
    provenance: Mapping[str, Any],
) -> dict[str, object]:
    """Return the content of `sbom.cdx.json`.

    Args:
        licence: of the model, as its card says: an SPDX id where it has one.
        variants: with the paths of their files, which are in `files`.
        files: path in the bundle → content.
        provenance: the content of `provenance.json`.
    """
    subject = f"model:{name}@{version}"
    made_from = _source(provenance["source"])
    artifacts = [_artifact(path, files[path], variants) for path in _paths(variants)]
    document: dict[str, object] = {
        "$schema": f"http://cyclonedx.org/schema/bom-{_VERSION}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": _VERSION,
        "version": 1,
        "metadata": {
            "tools": {
                "components": [_tool(tool, at) for tool, at in sorted(provenance["tools"].items()) if at != "absent"]
            },
            "component": {
                "type": "machine-learning-model",
                "bom-ref": subject,
                "name": name,
                "version": version,
                **({"licenses": [{"license": _licence(licence)}]} if licence else {}),
            },
        },
        "components": [*artifacts, *made_from],
        "dependencies": [
            {"ref": subject, "dependsOn": [one["bom-ref"] for one in artifacts]},
            *({"ref": one["bom-ref"], "dependsOn": [part["bom-ref"] for part in made_from]} for one in artifacts),
        ],
    }
    # The id names this document; a random one would make two conversions of the same model differ.
    document["serialNumber"] = uuid.uuid5(_IDS, json.dumps(document, sort_keys=True)).urn
    return document


def _licence(text: str) -> dict[str, str]:
    return {"id": text} if text in _SPDX else {"name": text}


def _paths(variants: Sequence[Variant]) -> list[str]:
    """Return the files of all variants, each once."""
    return sorted({path for variant in variants for path in variant.files.values()})


def _artifact(path: str, content: bytes, variants: Sequence[Variant]) -> dict[str, Any]:
    users = [variant for variant in variants if path in variant.files.values()]
    facts = {
        "edgesdk:variants": ",".join(variant.id for variant in users),
        "edgesdk:runtime": ",".join(sorted({variant.runtime.value for variant in users})),
        "edgesdk:precision": ",".join(sorted({variant.precision.value for variant in users})),
        "edgesdk:size": str(len(content)),
    }
    return {
        "type": "machine-learning-model" if any(_is_model(path, v) for v in users) else "data",
        "bom-ref": f"file:{path}",
        "name": path,
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(content).hexdigest()}],
        "properties": [{"name": key, "value": value} for key, value in facts.items()],
    }


def _is_model(path: str, variant: Variant) -> bool:
    """Say whether a file is a model; of a variant of several, one of them."""
    return any(place == path and role.rpartition("/")[2] == "model" for role, place in variant.files.items())


def _source(source: Mapping[str, Any]) -> list[dict[str, Any]]:
    if not source["sha256"]:
        return []
    return [
        {
            "type": "machine-learning-model",
            "bom-ref": f"source:{source['sha256']}",
            "name": source["name"],
            "hashes": [{"alg": "SHA-256", "content": source["sha256"]}],
            "properties": [{"name": "edgesdk:kind", "value": source["kind"]}],
        }
    ]


def _tool(name: str, version: str) -> dict[str, str]:
    # A local version such as `2.9.0+cpu` needs its plus written otherwise in a package URL.
    purl = f"pkg:pypi/{name}@{version.replace('+', '%2B')}"
    return {"type": "application", "bom-ref": purl, "name": name, "version": version, "purl": purl}
