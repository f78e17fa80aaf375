"""Low-rank factorisation by what each layer bears: ranks are spread up to what was asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal

from edgesdk.compression.by_layer import Taken, by_layer
from edgesdk.compression.factorise import COUNTS, factorised_alike, with_ranks
from edgesdk.compression.layer_sensitivity import AS_IT_WAS, Layer, Way
from edgesdk.compression.layers import layers_matching
from edgesdk.compression.model_size import macs_by_layer
from edgesdk.compression.pass_settings import Factorise
from edgesdk.compression.spectrum import FORMS, Plan, Spectrum, plan_for, spectra_of
from edgesdk.compression.subject import Subject
from edgesdk.compression.workbench import PassDone, Workbench
from edgesdk_targets.errors import InputError

# Of the energy that all layers would lose alike, what else is tried for one of them; beside these, to stay as it is.
_STEPS = (4.0, 2.0, 0.5, 0.25)
_MOST_LOST = 0.98
_Figure = Literal["parameters", "macs"]


def factorise_pass(settings: Factorise, subject: Subject, bench: Workbench) -> PassDone:
    """Factorise the layers that the settings name: all to one energy, or by what each bears.

    By layer the model takes no more than it was asked to keep of `macs` or `parameters`, which one energy for all may undershoot by
    far, as a layer whose factors would be larger than it stays whole; and asked for an energy, no more than with all layers alike.
    """
    spectra = spectra_of(subject, layers_matching(subject.module, settings.layers, tuple(FORMS)))
    figure: _Figure = "macs" if settings.macs is not None else "parameters"
    part = settings.macs if settings.macs is not None else settings.parameters
    alike = PassDone(*factorised_alike(subject, spectra, settings.energy, None if part is None else (figure, part)))
    if not bench.evaluations:
        return alike
    energy = float(alike.record["energy"])
    usual = {name: _of_record(forms, alike.record["layers"].get(name)) for name, forms in spectra.items()}
    plans = {name: _plans(forms, 1.0 - energy, usual[name]) for name, forms in spectra.items()}

    def combine(taken: Taken) -> PassDone:
        chosen = {**usual, **{name: plans[name][words] for name, words in taken.items()}}
        made, record = with_ranks(subject, chosen)
        return PassDone(made, {"energy": alike.record["energy"], **record})

    count = COUNTS[figure]
    # Of the figure, what a layer takes now: those with most are measured first.
    takes = (
        macs_by_layer(subject)
        if figure == "macs"
        else {name: forms[0].whole for name, forms in spectra.items() if forms}
    )
    whole = count(subject)
    layers = [
        Layer(
            name=name,
            takes=float(takes.get(name, 0)),
            tried=tuple(tried),
            alike=_words(usual[name]),
            ways=partial(_ways, subject, name, tried, usual[name], lambda made: count(made) - whole, bench.say),
        )
        for name, tried in plans.items()
    ]
    spare = 0.0 if part is None else part * whole - count(alike.subject)
    return by_layer(
        subject, alike, layers, combine, bench, across="part of the layer's energy lost", unit=figure, spare=spare
    )


def _of_record(forms: Sequence[Spectrum], layer: Mapping[str, Any] | None) -> Plan:
    """Return the plan that a record tells of."""
    if layer is None:
        return None
    return layer["rank"], next(spectrum for spectrum in forms if spectrum.form == layer["form"])


def _plans(forms: Sequence[Spectrum], lost: float, alike: Plan) -> dict[str, Plan]:
    """Return what is tried for one layer, each once, by its words."""
    tried = [alike, None, *(plan_for(forms, 1.0 - min(_MOST_LOST, lost * step)) for step in _STEPS)]
    return {_words(plan): plan for plan in tried}


def _words(plan: Plan) -> str:
    return AS_IT_WAS if plan is None else f"rank {plan[0]}, {plan[1].form}"


def _ways(
    subject: Subject,
    name: str,
    plans: Mapping[str, Plan],
    alike: Plan,
    more: Callable[[Subject], int],
    say: Callable[[str], None],
) -> Iterator[Way]:
    """Make the ways of one layer.

    One with which the model does not run is left out, and told; one that is larger than the layer as it was, too, unless all
    take it.

    Args:
        more: counts what a model takes more of the budget than the model as it was.
    """
    for words, plan in plans.items():
        if plan is None:
            yield Way(words, 0.0, 0.0, 0.0, None)
            continue
        rank, spectrum = plan
        try:
            made = with_ranks(subject, {name: plan})[0]
        except InputError as error:
            say(f"sensitivity: {name}: {words} is left out: {error.message}")
            continue
        lost, size = 1.0 - spectrum.kept_by(rank), float(more(made))
        if size <= 0 or words == _words(alike):
            yield Way(words, lost, size, lost, made)
