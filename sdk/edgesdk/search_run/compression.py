"""Make a trial's model smaller by the passes that the trial asks for.

What a pass gave is kept by what it depends on, so that a trial that was cut off goes on after its last pass, and trials that differ
in how they are deployed share their passes. The passes are not judged one by one: the trial is, by the search.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from edgesdk.compression.recipe import Recipe
from edgesdk.compression.stored import write_compressed
from edgesdk.compression.workbench import Answering
from edgesdk.compression_run.checks import activation_for, check_distillation, check_layers, teachers_of
from edgesdk.compression_run.pictures import Pictures
from edgesdk.compression_run.prepared import prepare
from edgesdk.compression_run.request import Request
from edgesdk.compression_run.start import subject_of
from edgesdk.compression_run.training import trainer_for
from edgesdk.search.space import Space, area_of
from edgesdk_converters.source import Source, resolve_source


@dataclass(frozen=True, slots=True)
class Smaller:
    """What came of a recipe.

    Attributes:
        card: of the compressed model.
        history: what was done to it, for the bundle's provenance.
    """

    card: Path
    history: Mapping[str, Any]


class TrialCompression:
    """Runs recipes on one model.

    Args:
        home: that paths of the recipe are relative to.
        overrides: what the trial changes of the card.
        pictures: of the whole search.
    """

    def __init__(self, space: Space, home: Path, card: Path, overrides: Mapping[str, Any], pictures: Pictures) -> None:
        self._space = space
        self._home = home
        self._pictures = pictures
        self._card = card
        self._overrides = overrides

    def teachers(self, recipe: Recipe) -> dict[str, Source]:
        """Return the teachers by the names of their cards.

        Raises:
            InputError: one does not fit.
        """
        return teachers_of(recipe, self._home, resolve_source(self._card).card_file)

    def check(self, recipe: Recipe, teachers: Mapping[str, Source]) -> None:
        """Look at recipe, model and pictures before the first trial, and open what the trials will.

        Raises:
            InputError: a layer that a pass names is not there, a teacher does not fit, or pictures are judged by that
                were learnt from.
        """
        source = resolve_source(self._card)
        card = source.card_file
        self._pictures.of_recipe(recipe, card)
        if not area_of(self._space.parameters, "factory_args"):
            # Of another network the layers may have other names.
            start = subject_of(source)
            check_layers(recipe, start.module)
            answering: dict[str | None, Answering] = {
                name: Answering(subject_of(one), activation_for(one.card_file)) for name, one in teachers.items()
            }
            answering[None] = Answering(start, activation_for(card))
            check_distillation(recipe, answering[None], answering)
        trainer_for(recipe, card, self._pictures, lambda _line: None)

    def smaller(
        self, recipe: Recipe, module: nn.Module | None, work: Path, place: Path, say: Callable[[str], None]
    ) -> Smaller:
        """Run a recipe, going on after its last finished pass.

        Args:
            module: as it was trained; None for the card's weights.
            work: folder of what each pass gave.
            place: folder for the compressed model's card and weights.

        Raises:
            InputError: a pass cannot do what is asked of it with this model.
            LossNotFinite: a training came to no numbers.
        """
        if module is None:
            source = resolve_source(self._card, overrides=self._overrides)
        else:
            source = resolve_source(module, card=self._card, overrides=self._overrides)
        start = subject_of(source)
        request = Request(
            source=self._card,
            card=None,
            recipe=recipe,
            base=self._home,
            target=self._space.target,
            output=place,
            max_drop=None,
            page=place / "report.html",
            folder=work,
        )
        prepared = prepare(request, source, start, self._pictures, say, gated=False)
        small = prepared.course.run()
        card = write_compressed(small, source.card_file, place, name=source.card.name)
        return Smaller(card, prepared.history(start))
