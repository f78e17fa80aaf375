"""Times that `edgesdk benchmark --json` measured on the device itself, for the variants that are compared elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from edgesdk.benchmark.statistics import STEADY_WITHIN, Ratio
from edgesdk.comparison.parts import Part, VariantPart
from edgesdk_targets.errors import InputError
from edgesdk_targets.yaml_file import YamlDocument, validate

_MOST_BYTES = 16 << 20
_NAMED = 4
_Positive = Annotated[float, Field(gt=0)]


class _Document(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class _Latency(_Document):
    p50: _Positive
    mean: _Positive


class _Row(_Document):
    variant: str
    status: Literal["measured", "simulated", "not run"]
    hint: str
    threads: Annotated[int, Field(ge=1)]
    latency_ms: _Latency | None = None
    rss_bytes: Annotated[int, Field(gt=0)] | None = None


class _Host(_Document):
    cpu: str
    cores: int
    system: str
    target: str | None
    warnings: tuple[str, ...] = ()


class _Benchmark(_Document):
    """What `edgesdk benchmark --json` writes, as far as it is read here."""

    digest: str
    host: _Host
    variants: tuple[_Row, ...]


@dataclass(frozen=True, slots=True)
class DeviceTime:
    """What one variant took on its own device.

    Attributes:
        ms: median of one inference; of a cascade the mean, as its runs differ.
        device: the target that the machine is, or its processor where it is none that is known.
    """

    ms: float
    rss_bytes: int | None
    device: str


@dataclass(frozen=True, slots=True)
class DeviceTimes:
    """Times of variants by the names under which they are compared.

    Attributes:
        about: of each file a line that says which machine it is from, and how it was measured there.
    """

    times: Mapping[str, DeviceTime]
    about: tuple[str, ...] = ()

    def ratio(self, name: str, to: str) -> Ratio:
        """Return how many times as long `name` takes as `to`: each was steady to within 5 %, but not timed by turns."""
        value = self.times[name].ms / self.times[to].ms
        off = (1 + STEADY_WITHIN) / (1 - STEADY_WITHIN)
        return Ratio(value, value / off, value * off)


def device_times(files: Sequence[Path], parts: Mapping[str, Part]) -> DeviceTimes:
    """Read what was measured on devices, and find the variants that it is of.

    Raises:
        InputError: a file is no such document, is of another bundle, has no time of a variant on its own kind of device, or two of
            them are of two kinds of device or tell of one variant.
    """
    found: dict[str, DeviceTime] = {}
    about = []
    for path in files:
        read = _read(path)
        times = _times(path, read, parts)
        if twice := sorted(found.keys() & times.keys()):
            raise InputError(f"{path} tells of {twice[0]}, and another file does too.", hint="Give one of them.")
        found |= times
        about.append(_about(path, read, times))
    devices = list(dict.fromkeys(one.device for one in found.values()))
    if len(devices) > 1:
        raise InputError(
            f"The times are of {' and '.join(devices)}: which is faster on one says nothing of the other.",
            hint="Compare for one of them: --target, and the files of that device.",
        )
    return DeviceTimes(found, tuple(about))


def _read(path: Path) -> _Benchmark:
    try:
        with path.open("rb") as stream:
            raw = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", hint="Check the path.") from error
    try:
        document = json.loads(raw) if len(raw) <= _MOST_BYTES else None
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or not {"digest", "host", "variants"} <= document.keys():
        raise InputError(f"{path} is nothing that `edgesdk benchmark --json` writes.", hint=_how(None, path))
    return validate(_Benchmark, YamlDocument(document, {}, str(path)))


def _times(path: Path, read: _Benchmark, parts: Mapping[str, Part]) -> dict[str, DeviceTime]:
    """Return the times of the variants that are compared, by their names there."""
    variants = {name: part for name, part in parts.items() if isinstance(part, VariantPart)}
    mine = {name: part for name, part in variants.items() if part.bundle.digest == read.digest}
    if not mine:
        known = {str(part.bundle.path): part.bundle.digest for part in variants.values()}
        said = ", ".join(f"{name} is {digest[:19]}…" for name, digest in known.items()) or "no bundle"
        raise InputError(
            f"{path} was measured with another bundle: that is {read.digest[:19]}…, and compared is: {said}.",
            hint=_how(next(iter(known), None), path),
        )
    rows = {row.variant: row for row in read.variants if row.latency_ms is not None and row.status == "measured"}
    if beside := next((row for row in rows.values() if row.hint != "latency"), None):
        raise InputError(
            f"{path} was measured with --hint {beside.hint}: several inferences at a time, each of which takes longer.",
            hint=_how(str(next(iter(mine.values())).bundle.path), path),
        )
    found = {}
    for name, part in mine.items():
        row = rows.get(part.variant.id)
        if row is None or row.latency_ms is None:
            continue
        together = part.variant.together
        varies = together is not None and together.rule == "cascade"
        ms = row.latency_ms.mean if varies else row.latency_ms.p50
        found[name] = DeviceTime(ms, row.rss_bytes, read.host.target or read.host.cpu)
    if not found:
        compared = {part.variant.id for part in mine.values()}
        rows_told = [f"{row.variant} is {row.status}" for row in read.variants if row.variant in compared]
        told = "; ".join(rows_told[:_NAMED]) or f"{', '.join(sorted(compared)[:_NAMED])} is not in it"
        raise InputError(
            f"{path} has no time of what is compared, measured on its own kind of device: {told}, on {read.host.cpu}.",
            hint=_how(str(next(iter(mine.values())).bundle.path), path),
        )
    return found


def _how(bundle: str | None, path: Path) -> str:
    return f"On the device: edgesdk benchmark {bundle or 'BUNDLE'} --json > {path.name}"


def _about(path: Path, read: _Benchmark, times: Mapping[str, DeviceTime]) -> str:
    threads = next(row.threads for row in read.variants if row.status == "measured")
    warned = "".join(f"; {line}" for line in read.host.warnings)
    return (
        f"{path.name}: {', '.join(times)} on {read.host.cpu}, {read.host.cores} cores, {read.host.system}, "
        f"{threads} thread{'s' if threads > 1 else ''}, one after the other, each in a process of its own{warned}"
    )
