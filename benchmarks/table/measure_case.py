"""Build, judge and time one model in all families and precisions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesdk.benchmark.interleave import Race, interleaved
from edgesdk.benchmark.subject import Subject, bundle_subject
from edgesdk.evaluate.evaluate import AP_SCORE_THRESHOLD
from edgesdk.evaluate.gate import AgreementGate
from edgesdk_converters.proving.predictor import Predictor
from edgesdk_converters.reference import open_reference
from edgesdk_converters.source import resolve_source
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.bundle.manifest import Variant
from edgesdk_targets.errors import EdgeError
from edgesdk_targets.model import load_model
from edgesdk_targets.session import SessionOptions
from edgesdk_targets.target import Runtime
from edgesdk_targets.variant_choice import choose_variants
from table.build import Built, build
from table.cases import FAMILIES, PRECISIONS, Case, Places
from table.figures import Answers, Exam
from table.torch_lane import NAME as EAGER
from table.torch_lane import torch_subject

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure: rounds, and seconds of each turn."""

    rounds: int
    slice_s: float


def measure_case(case: Case, places: Places, effort: Effort, say: Say) -> dict[str, Any]:
    """Return a model's part of the table, ready for JSON."""
    card, exam = case.card(places), case.exam(places)
    calibration = case.calibration(places)
    source = resolve_source(card)
    task = source.card.task
    reference = open_reference(source)
    labels = source.card_file.labels
    settings = {"score_threshold": AP_SCORE_THRESHOLD} if task == "detect" else {}
    say("answers of the float model")
    plain = Predictor(reference.run, reference.inputs, reference.outputs, source.card, labels, postprocess=settings)
    wanted = exam.answers(plain)
    # Every artifact has to agree with float as often as is usual, or it is no entry of the table.
    agreement = AgreementGate(exam.pictures)
    rows, subjects = [], [torch_subject(card)]
    for family, target in FAMILIES.items():
        out, cache = places.scratch / "bundles" / case.name, places.scratch / "steps"
        for cell in build(card, target, PRECISIONS, calibration, out, cache, lambda *_: (agreement, ()), say):
            say(f"{family} {cell.precision}: {cell.failure or 'judging'}")
            rows.append(_row(family, cell, exam, wanted, settings))
            if cell.bundle and cell.variant and cell.variant.runtime is not Runtime.TENSORRT:
                subjects.append(_subject(f"{family} {cell.precision}", cell.bundle, cell.variant))
    race = interleaved(subjects, rounds=effort.rounds, slice_s=effort.slice_s, threads=1, say=say)
    return {
        "model": case.name,
        "task": task,
        "pictures": len(exam.pictures),
        "main": exam.main,
        "float": {name: figure.to_json() for name, figure in exam.figures(wanted, wanted).items()},
        "eager_ms": _ms(race, EAGER),
        "rows": [_with_speed(row, race) for row in rows],
    }


def _row(family: str, cell: Built, exam: Exam, wanted: Answers, settings: dict[str, float]) -> dict[str, Any]:
    row: dict[str, Any] = {"family": family, "precision": cell.precision}
    if cell.bundle is None or cell.variant is None:
        return {**row, "failure": cell.failure}
    row |= {
        "built": cell.variant.precision.value,
        "bytes": cell.size_bytes,
        "worst_parity": cell.variant.parity.get("worst"),
        "notes": list(cell.variant.notes),
    }
    try:
        options = SessionOptions(threads=1)
        with load_model(cell.bundle, variant=cell.variant.id, options=options, postprocess=settings) as model:
            row["ran_by"] = model.runtime.value
            got = [_fresh(model, picture) for picture in exam.pictures]
    except EdgeError as error:
        return {**row, "failure": error.message}
    return {**row, "figures": {name: figure.to_json() for name, figure in exam.figures(wanted, got).items()}}


def _fresh(model: Any, picture: Any) -> Any:
    """Answer a picture as if it were a camera's first."""
    model.reset()
    return model(picture)


def _subject(name: str, bundle: Path, variant: Variant) -> Subject:
    with open_bundle(bundle) as opened:
        candidate = choose_variants(opened.manifest, variant_id=variant.id).candidates[0]
        return bundle_subject(opened, variant, runtime=candidate.runtime, name=name)


def _with_speed(row: dict[str, Any], race: Race) -> dict[str, Any]:
    name, plain = f"{row['family']} {row['precision']}", f"{row['family']} fp32"
    if name in race.failed:
        return {**row, "not_timed": race.failed[name]}
    if name not in race.contenders:
        return row
    timed: dict[str, Any] = {"ms": _ms(race, name), "rss_bytes": race.contenders[name].rss_bytes}
    if plain in race.contenders:
        taken = race.ratio(name, plain)
        timed |= {"fp32_ms": _ms(race, plain), "times_fp32": taken.to_json(), "slower_than_fp32": taken.slower}
    if EAGER in race.contenders:
        # How many times as fast as PyTorch: its time over this one.
        timed["speedup_over_eager"] = race.ratio(EAGER, name).to_json()
    return {**row, **timed}


def _ms(race: Race, name: str) -> float | None:
    return float(f"{race.contenders[name].ms:.4g}") if name in race.contenders else None
