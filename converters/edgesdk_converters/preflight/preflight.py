"""Say, before anything is converted, whether a model fits its targets, and why not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesdk_converters.cache import StepCache, default_folder
from edgesdk_converters.preflight.facts import Facts, facts_of
from edgesdk_converters.preflight.fits import Fit, fit
from edgesdk_converters.preflight.graph import Graph
from edgesdk_converters.preflight.read_graph import read_graph
from edgesdk_converters.preflight.support import Support, support
from edgesdk_converters.reference import open_reference
from edgesdk_converters.routes import Route, precision_named, routes
from edgesdk_converters.source import Source, resolve_source
from edgesdk_converters.steps.parse_onnx import parse_onnx
from edgesdk_converters.steps.static_onnx import static_onnx
from edgesdk_converters.workshop import Workshop
from edgesdk_targets.catalogue import find_target
from edgesdk_targets.errors import EdgeError, InputError
from edgesdk_targets.target import Precision, Runtime, Target
from edgesdk_targets.tensor import TensorSpec

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Preflight:
    """What was found.

    Attributes:
        supports: each runtime's answer, in the order they were asked.
        fits: each target's verdict.
    """

    facts: Facts
    supports: tuple[Support, ...]
    fits: tuple[Fit, ...]

    @property
    def passed(self) -> bool:
        return not any(verdict.problems for verdict in self.fits)

    def to_json(self) -> dict[str, object]:
        return {
            "model": self.facts.to_json(),
            "runtimes": [answer.to_json() for answer in self.supports],
            "targets": [verdict.to_json() for verdict in self.fits],
        }


def preflight(
    source: str | Path,
    target: str | Sequence[str] = (),
    *,
    precision: str | Sequence[str] | None = None,
    card: str | Path | None = None,
    head: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    cache: str | Path | None = "default",
    progress: Progress | None = None,
) -> Preflight:
    """Check a model against targets without converting it.

    Args:
        source: a card, an `.onnx`, a `.pt2`, or weights with a card.
        target: names, aliases, or paths of target files; without any, every runtime is asked and no verdict is given.
        precision: one or several, each with a verdict of its own; None for each target's default.
        cache: folder of finished steps, for a torch model's ONNX form; None repeats them.

    Raises:
        InputError: the model, card or a target's name is wrong, or a torch model does not run on its card's input.
        StepFailed: a torch model cannot be expressed in ONNX.
    """
    say: Progress = progress or (lambda _line: None)
    found = [find_target(name) for name in ([target] if isinstance(target, str) else target)]
    targets = list({one.name: one for one in found}.values())
    names = [precision] if isinstance(precision, str) else precision or ()
    wanted: list[Precision | None] = [*map(precision_named, names)] or [None]
    say("loading the model")
    model = resolve_source(source, card=card, head=head, overrides=overrides)
    folder = default_folder() if cache == "default" else Path(cache) if cache is not None else None
    opened = _opened(model, StepCache(folder), say)
    say("counting")
    graph = read_graph(opened.onnx)
    facts = facts_of(model.card.name, model.card.task, graph, notes=opened.notes, faults=opened.faults)
    asked = _Asked(opened, graph, from_onnx=model.is_onnx, say=say)
    if not targets:
        for runtime in Runtime:
            asked.support(runtime, None)
    verdicts = tuple(
        _verdict(facts, one, number, asked, from_onnx=model.is_onnx) for one in targets for number in wanted
    )
    return Preflight(facts, asked.answers, verdicts)


@dataclass(frozen=True, slots=True)
class _Opened:
    """The model as static ONNX, and what opening it told."""

    onnx: bytes
    outputs: tuple[TensorSpec, ...]
    notes: tuple[str, ...]
    faults: tuple[str, ...] = ()


def _opened(model: Source, cache: StepCache, say: Progress) -> _Opened:
    notes = (*model.card_file.warnings, *(_open_sizes(model) if model.is_onnx else ()))
    try:
        reference = open_reference(model)
    except InputError as error:
        if not model.is_onnx:
            raise
        # Nothing can be compared with a model that does not run, so nothing will be converted; the rest is told all the same.
        return _Opened(static_onnx(model.content(), model.declared_inputs()), (), notes, (error.message.rstrip("."),))
    workshop = Workshop(model, reference, cache, say)
    return _Opened(workshop.onnx(), reference.outputs, notes)


def _open_sizes(model: Source) -> list[str]:
    declared = {spec.name: spec for spec in model.declared_inputs()}
    notes = []
    for value in parse_onnx(model.content()).graph.input:
        dims = value.type.tensor_type.shape.dim
        if any(not dim.HasField("dim_value") or dim.dim_value < 1 for dim in dims):
            sizes = " x ".join(str(dim.dim_value or dim.dim_param or "?") for dim in dims)
            fixed = (
                " x ".join(map(str, declared[value.name].shape)) if value.name in declared else "what its state says"
            )
            notes.append(f"the input {value.name!r} has open sizes ({sizes}); a device gets it as {fixed}")
    return notes


class _Asked:
    """Asks each runtime once."""

    def __init__(self, opened: _Opened, graph: Graph, *, from_onnx: bool, say: Progress) -> None:
        self._opened = opened
        self._graph = graph
        self._from_onnx = from_onnx
        self._say = say
        self._answers: dict[tuple[Runtime, int | None], Support] = {}

    @property
    def answers(self) -> tuple[Support, ...]:
        return tuple(self._answers.values())

    def support(self, runtime: Runtime, max_opset: int | None) -> Support:
        key = (runtime, max_opset)
        if key not in self._answers:
            self._say(f"asking {runtime.value}")
            self._answers[key] = support(
                runtime,
                self._opened.onnx,
                self._graph,
                self._opened.outputs,
                max_opset=max_opset,
                from_onnx=self._from_onnx,
            )
        return self._answers[key]

    def of_route(self, route: Route) -> Support:
        return self.support(route.runtime, route.max_opset)


def _verdict(facts: Facts, target: Target, wanted: Precision | None, asked: _Asked, *, from_onnx: bool) -> Fit:
    try:
        ways = routes(target, from_onnx=from_onnx, precision=wanted)
    except EdgeError as error:
        return Fit(target.name, problems=(error.message.rstrip("."),))
    return fit(facts, target, ways, asked.of_route)
