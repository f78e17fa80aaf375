"""Low-rank factorisation by what each layer bears: ranks are spread so that the model is no larger than with one energy for all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

from edgesdk.compression.factorise import COUNTS, factorised_alike, with_ranks
from edgesdk.compression.layer_sensitivity import KeptScores, Way, survey_layers, survey_record
from edgesdk.compression.layers import layers_matching
from edgesdk.compression.pass_settings import Factorise
from edgesdk.compression.spectrum import FORMS, Plan, Spectra, Spectrum, plan_for, spectra_of
from edgesdk.compression.subject import Subject
from edgesdk.compression.workbench import PassDone, Workbench

# Of the energy that all layers would lose alike, what else is tried for one of them; beside these, to stay as it is.
_STEPS = (4.0, 2.0, 0.5, 0.25)
_MOST_LOST = 0.98
# A way, and what it makes of its layer.
_Planned = tuple[Way, Plan]


def factorise_pass(settings: Factorise, subject: Subject, bench: Workbench) -> PassDone:
    """Factorise the layers that the settings name: all to one energy, or by what each bears, to the same size."""
    spectra = spectra_of(subject, layers_matching(subject.module, settings.layers, tuple(FORMS)))
    figure: Literal["parameters", "macs"] = "macs" if settings.macs is not None else "parameters"
    part = settings.macs if settings.macs is not None else settings.parameters
    alike = factorised_alike(subject, spectra, settings.energy, None if part is None else (figure, part))
    if not bench.evaluations:
        return PassDone(*alike)
    return _by_layer(subject, spectra, alike, figure, bench)


def _by_layer(
    subject: Subject,
    spectra: Spectra,
    alike: tuple[Subject, Mapping[str, Any]],
    figure: Literal["parameters", "macs"],
    bench: Workbench,
) -> PassDone:
    """Give each layer the rank that `spread` finds; all alike where that scores better.

    Args:
        alike: the model with one energy for all layers, and the record of it.
        figure: in which the model is to be as small as that.

    Raises:
        InputError: the model does not run with one of the layers factorised.
    """
    plans = {name: _of_record(forms, alike[1]["layers"].get(name)) for name, forms in spectra.items()}
    lost = 1.0 - float(alike[1]["energy"])
    ladders = {
        name: _ladder(subject, name, _plans(forms, lost, plans[name]), COUNTS[figure])
        for name, forms in spectra.items()
    }
    rows = survey_layers(
        {name: [way for way, _ in ladder] for name, ladder in ladders.items()},
        {name: [plan for _, plan in ladder].index(plans[name]) for name, ladder in ladders.items()},
        score=bench.score,
        whole=subject,
        evaluations=bench.evaluations,
        kept=KeptScores(bench.folder),
        say=bench.say,
    )
    chosen = {**plans, **{row.layer: ladders[row.layer][row.taken][1] for row in rows}}
    made, record = with_ranks(subject, chosen)
    scores = bench.score(alike[0]), bench.score(made)
    about = survey_record(rows, across="part of the layer's energy lost", unit=figure, scores=scores)
    if scores[1] < scores[0]:
        return PassDone(alike[0], {**alike[1], "survey": about})
    return PassDone(made, {**record, "survey": about})


def _of_record(forms: Sequence[Spectrum], layer: Mapping[str, Any] | None) -> Plan:
    """Return the plan that a record tells of."""
    if layer is None:
        return None
    return layer["rank"], next(spectrum for spectrum in forms if spectrum.form == layer["form"])


def _plans(forms: Sequence[Spectrum], lost: float, alike: Plan) -> list[Plan]:
    """Return what is tried for one layer, each once."""
    tried = [alike, None, *(plan_for(forms, 1.0 - min(_MOST_LOST, lost * step)) for step in _STEPS)]
    return list({plan and (plan[0], plan[1].form): plan for plan in tried}.values())


def _ladder(subject: Subject, name: str, plans: Sequence[Plan], count: Callable[[Subject], int]) -> list[_Planned]:
    """Return the ways of one layer, smallest first; what they take is counted from the whole model's size."""
    whole = count(subject)
    found: list[_Planned] = []
    for plan in plans:
        if plan is None:
            found.append((Way(0.0, "as it was", 0.0, 0.0, None), None))
            continue
        rank, spectrum = plan
        lost = 1.0 - spectrum.kept_by(rank)
        make = partial(_only, subject, name, plan)
        found.append((Way(lost, f"rank {rank}", count(make()) - whole, lost, make), plan))
    # What is larger than the layer as it was is only tried where that is the one that all take.
    kept = [one for one in found if one[0].size <= 0 or one[1] is plans[0]]
    return sorted(kept, key=lambda one: one[0].size)


def _only(subject: Subject, name: str, plan: Plan) -> Subject:
    return with_ranks(subject, {name: plan})[0]
