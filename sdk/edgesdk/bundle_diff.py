"""What differs between two bundles, as a list a person can read: fields, variants, files by digest and size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgesdk_targets.bundle.bundle import Bundle
from edgesdk_targets.bundle.manifest import BundleFile, Manifest, Variant

# Of a parity report only what decides is shown leaf by leaf.
_PARITY_SHOWN = ("passed", "limit_db", "samples", "worst")
_SECTIONS = ("preprocess", "postprocess", "inputs", "outputs", "state", "metrics")


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not the same.

    Attributes:
        section: manifest, labels, one of the manifest's blocks, variants or files.
        name: dotted path inside the section.
        first, second: the two values; None where it is not there.
    """

    section: str
    name: str
    first: Any
    second: Any

    def to_json(self) -> dict[str, Any]:
        return {"section": self.section, "name": self.name, "first": self.first, "second": self.second}


def differences(first: Bundle, second: Bundle) -> list[Difference]:
    """Return everything that differs between two opened bundles; none where their digests are the same."""
    if first.digest == second.digest:
        return []
    return list(_all(first.manifest, second.manifest))


def _all(first: Manifest, second: Manifest) -> Iterator[Difference]:
    a, b = (m.model_dump(mode="json", by_alias=True, exclude_none=True) for m in (first, second))
    done = {"labels", "variants", "files", *_SECTIONS}
    for key in sorted({*a, *b} - done):
        yield from _leaves("manifest", key, a.get(key), b.get(key))
    for section in _SECTIONS:
        yield from _leaves(section, "", a.get(section), b.get(section))
    yield from _labels(first.labels, second.labels)
    yield from _variants(first, second)
    yield from _files(first.files, second.files)


def _leaves(section: str, name: str, first: Any, second: Any) -> Iterator[Difference]:
    """Yield the deepest values that differ; lists of one length are compared place by place."""
    if isinstance(first, dict) and isinstance(second, dict):
        for key in sorted({*first, *second}):
            yield from _leaves(section, _joined(name, key), first.get(key), second.get(key))
    elif _are_records(first) and _are_records(second) and len(first) == len(second):
        for at, (one, other) in enumerate(zip(first, second, strict=True)):
            yield from _leaves(section, _joined(name, str(at)), one, other)
    elif first != second:
        yield Difference(section, name or section, first, second)


def _are_records(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(item, dict) for item in value)


def _joined(name: str, key: str) -> str:
    return f"{name}.{key}" if name else key


def _labels(first: Sequence[str], second: Sequence[str]) -> Iterator[Difference]:
    if len(first) != len(second):
        yield Difference("labels", "count", len(first), len(second))
    for at, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            # One is enough to look at: a shift changes all that follow.
            yield Difference("labels", str(at), one, other)
            return


def _variants(first: Manifest, second: Manifest) -> Iterator[Difference]:
    a, b = ({v.id: v for v in m.variants} for m in (first, second))
    for name in dict.fromkeys((*a, *b)):
        if name in a and name in b:
            one, other = _variant_json(a[name], first), _variant_json(b[name], second)
            yield from _without_details(_leaves("variants", name, one, other), name)
        else:
            yield Difference("variants", name, _about(a.get(name)), _about(b.get(name)))
    common = [[name for name in side if name in a and name in b] for side in (a, b)]
    if common[0] != common[1]:
        yield Difference("variants", "order", common[0], common[1])


def _variant_json(variant: Variant, manifest: Manifest) -> dict[str, Any]:
    data = variant.model_dump(mode="json", exclude_none=True)
    files = {role: manifest.files[path] for role, path in variant.files.items()}
    # By content: where in the bundle a file lies is of no interest.
    data["files"] = {role: f"sha256:{entry.sha256}" for role, entry in files.items()}
    data["size_bytes"] = manifest.bytes_of(variant)
    return data


def _without_details(found: Iterator[Difference], variant: str) -> Iterator[Difference]:
    hidden = False
    prefix = f"{variant}.parity."
    for difference in found:
        if difference.name.startswith(prefix) and not difference.name.removeprefix(prefix).startswith(_PARITY_SHOWN):
            hidden = True
        else:
            yield difference
    if hidden:
        yield Difference("variants", f"{variant}.parity", "other details", "other details")


def _about(variant: Variant | None) -> str | None:
    return None if variant is None else f"{variant.runtime.value}, {variant.precision.value}, {variant.status}"


def _files(first: Mapping[str, BundleFile], second: Mapping[str, BundleFile]) -> Iterator[Difference]:
    for path in sorted({*first, *second}):
        if first.get(path) != second.get(path):
            yield Difference("files", path, *(_file_json(side.get(path)) for side in (first, second)))


def _file_json(entry: BundleFile | None) -> dict[str, Any] | None:
    return None if entry is None else {"size": entry.size, "sha256": entry.sha256}
