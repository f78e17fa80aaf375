"""Times that `edgesdk benchmark --json` measured on the device itself, for the variants that are compared elsewhere."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from edgesdk.benchmark.host import MOST_CHARACTERS
from edgesdk.benchmark.statistics import STEADY_WITHIN, Ratio
from edgesdk.comparison.parts import Part, VariantPart
from edgesdk_targets.bounded_file import read_bounded
from edgesdk_targets.card import NAME
from edgesdk_targets.errors import InputError
from edgesdk_targets.target import NAME_PATTERN as TARGET_NAME
from edgesdk_targets.yaml_file import YamlDocument, validate

_MOST_BYTES = 16 << 20
_NAMED = 4


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be printable text in one line")
    return text


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text[:MOST_CHARACTERS])


_Ms = Annotated[float, Field(ge=1e-6, le=1e9)]
_Count = Annotated[int, Field(ge=1, le=1 << 16)]
_Word = Annotated[str, Field(min_length=1, max_length=MOST_CHARACTERS), AfterValidator(_printable)]
# What is only told may be long, as a note is that quotes a runtime's error.
_Line = Annotated[str, AfterValidator(_one_line)]
_Lines = Annotated[tuple[_Line, ...], Field(max_length=32)]


class _Document(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class _Latency(_Document):
    p50: _Ms
    mean: _Ms


class _WarmUp(_Document):
    steady: bool


class _Row(_Document):
    variant: Annotated[str, Field(pattern=NAME)]
    status: Literal["measured", "simulated", "not run"]
    hint: Literal["latency", "throughput"]
    threads: _Count
    latency_ms: _Latency | None = None
    warm_up: _WarmUp | None = None
    rss_bytes: Annotated[int, Field(gt=0, le=1 << 50)] | None = None
    notes: _Lines = ()


class _Host(_Document):
    cpu: _Word
    arch: _Word
    cores: _Count
    system: _Word
    target: Annotated[str, Field(pattern=TARGET_NAME, max_length=MOST_CHARACTERS)] | None
    accelerator: _Word | None = None
    warnings: _Lines = ()

    @property
    def machine(self) -> str:
        """What tells it from other machines: a target such as `x86-cpu` is many of them."""
        named = f"{self.target}: " if self.target else ""
        return f"{named}{self.cpu}, {self.arch}, {self.cores} core{'s' if self.cores > 1 else ''}{self.cards}"

    @property
    def cards(self) -> str:
        """Its graphics cards, to be put behind the rest."""
        return f", {self.accelerator}" if self.accelerator else ""


class _Benchmark(_Document):
    """What `edgesdk benchmark --json` writes, as far as it is read here."""

    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    host: _Host
    variants: Annotated[tuple[_Row, ...], Field(max_length=1024)]


@dataclass(frozen=True, slots=True)
class DeviceTime:
    """What one variant took on its own device.

    Attributes:
        ms: median of one inference; of a cascade the mean, as its runs differ.
        device: the target that the machine is, or its processor where it is none that is known.
        threads: of one inference.
        steady: whether its runs took the same time before they were timed.
        notes: what the benchmark said of it.
    """

    ms: float
    rss_bytes: int | None
    device: str
    threads: int
    steady: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeviceTimes:
    """Times of variants by the names under which they are compared.

    Attributes:
        about: of each file a line that says which machine it is from, and how it was measured there.
    """

    times: Mapping[str, DeviceTime]
    about: tuple[str, ...] = ()

    def ratio(self, name: str, to: str) -> Ratio:
        """Return how many times as long `name` takes as `to`, and how far that may lie off, as they were not timed by turns.

        Each time is taken to be off by as much as the last two windows of a warm-up may differ; of one that did not become
        steady nothing is known, and neither is slower.
        """
        one, other = self.times[name], self.times[to]
        value = one.ms / other.ms
        if not (one.steady and other.steady):
            return Ratio(value, 0.0, math.inf)
        off = (1 + STEADY_WITHIN) / (1 - STEADY_WITHIN)
        return Ratio(value, value / off, value * off)


def device_times(files: Sequence[Path], parts: Mapping[str, Part]) -> DeviceTimes:
    """Read what was measured on devices, and find the variants that it is of.

    Raises:
        InputError: a file is no such document, is of another bundle, has no time of a variant on its own kind of device, two of
            them are of two machines or tell of one variant, or not all times are of as many threads.
    """
    found: dict[str, DeviceTime] = {}
    about = []
    machines: dict[str, None] = {}
    for path in files:
        read = _read(path)
        times = _times(path, read, parts)
        if twice := sorted(found.keys() & times.keys()):
            raise InputError(f"{path} tells of {twice[0]}, and another file does too.", hint="Give one of them.")
        found |= times
        about.append(_about(path, read, times))
        machines[read.host.machine] = None
    if len(machines) > 1:
        raise InputError(
            f"The times are of {' and of '.join(list(machines)[:_NAMED])}: which is faster on one says nothing of the other.",
            hint="Compare for one of them: --target, and the files of that machine.",
        )
    threads = {time.threads: name for name, time in found.items()}
    if len(threads) > 1:
        told = ", ".join(f"{name} with {_threads(number)}" for number, name in sorted(threads.items())[:_NAMED])
        raise InputError(
            f"Not all were measured with as many threads: {told}.",
            hint="On the device: edgesdk benchmark with the same --threads for all.",
        )
    return DeviceTimes(found, tuple(about))


def _read(path: Path) -> _Benchmark:
    raw = read_bounded(path, _MOST_BYTES, larger=_how(None, path))
    try:
        document = json.loads(raw)
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
    if twice := [name for name, count in Counter(row.variant for row in read.variants).items() if count > 1]:
        raise InputError(
            f"{path} tells of {twice[0]} twice.", hint=_how(str(next(iter(mine.values())).bundle.path), path)
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
        steady = row.warm_up is not None and row.warm_up.steady
        device = read.host.target or read.host.cpu
        found[name] = DeviceTime(ms, row.rss_bytes, device, row.threads, steady, row.notes)
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
    names = ", ".join(name if time.steady else f"{name} (not steady)" for name, time in times.items())
    threads = " or ".join(_threads(number) for number in sorted({time.threads for time in times.values()}))
    noted = "".join(f"; {name}: {line}" for name, time in times.items() for line in time.notes)
    warned = "".join(f"; {line}" for line in read.host.warnings)
    return (
        f"{path.name}: {names} on {read.host.cpu}, {read.host.cores} cores{read.host.cards}, {read.host.system}, "
        f"{threads}, one after the other, each in a process of its own{noted}{warned}"
    )


def _threads(number: int) -> str:
    return f"{number} thread{'s' if number > 1 else ''}"
