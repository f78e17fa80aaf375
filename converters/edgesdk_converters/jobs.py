"""What a conversion is asked for: which variants are built, by which ways, and what is refused before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from edgesdk_converters.routes import QUANTISED, Route, precision_named, routes
from edgesdk_targets.catalogue import find_target
from edgesdk_targets.errors import InputError
from edgesdk_targets.target import Precision, Target


@dataclass(frozen=True, slots=True)
class Job:
    """One variant to be built.

    Attributes:
        ways: to try, best first.
        if_faster: the first way is INT8 that nobody asked for by name; it has to be worth it.
    """

    target: Target
    ways: tuple[Route, ...]
    if_faster: bool = False


def find_targets(names: Iterable[str]) -> list[Target]:
    found: dict[str, Target] = {}
    for name in names:
        target = find_target(name)
        found[target.name] = target
    if not found:
        raise InputError("No target is given.", hint="Name one: --target rpi5 (see `edgesdk targets`).")
    return list(found.values())


def jobs_for(targets: Sequence[Target], wanted: Sequence[Precision], *, from_onnx: bool, calibrated: bool) -> list[Job]:
    if wanted:
        return [Job(t, routes(t, from_onnx=from_onnx, precision=p)) for t in targets for p in wanted]
    jobs = []
    for target in targets:
        ways = routes(target, from_onnx=from_onnx, precision=None)
        if calibrated and Precision.INT8 in target.precisions[target.runtimes[0]]:
            # On the target's first runtime INT8 is tried; what is not good or fast enough gives way to float.
            first = routes(target, from_onnx=from_onnx, precision=Precision.INT8)[0]
            jobs.append(Job(target, (first, *ways), if_faster=True))
        else:
            jobs.append(Job(target, ways))
    return jobs


def precisions_named(names: str | Sequence[str] | None) -> list[Precision]:
    given = [names] if isinstance(names, str) else list(names or ())
    return list(dict.fromkeys(precision_named(name) for name in given))


def check_calibration(wanted: Sequence[Precision], calib_data: Any, *, explain: bool) -> None:
    needs = [p.value for p in wanted if p in QUANTISED] or (["--explain"] if explain else [])
    if needs and calib_data is None:
        raise InputError(
            f"{needs[0]} needs pictures on which value ranges are measured.",
            hint="Give some hundred typical ones: --calib-data DIR (or a video, or an .npy array).",
        )
