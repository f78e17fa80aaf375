"""The pictures of a recipe, opened before the first pass: what is learnt from, what is chosen by, and what is judged by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edgesdk.compression.catalogue import PASSES
from edgesdk.compression.recipe import Recipe
from edgesdk.compression_run.content import PASSES as STANDING
from edgesdk.compression_run.content import Content, unchanged_while_opened
from edgesdk.compression_run.digest import files_behind
from edgesdk.evaluate.apart import found_again
from edgesdk.evaluate.dataset import Dataset, open_dataset
from edgesdk.layouts.samples import Sample
from edgesdk.train.examples import DEFAULT_SHARE
from edgesdk.train.parting import part
from edgesdk_targets.card import CardFile
from edgesdk_targets.errors import InputError

# As the recipe's fields are called in messages.
_OF = "data."


@dataclass(frozen=True, slots=True)
class RecipeData:
    """The pictures of a recipe.

    Attributes:
        evaluate: by which the gate judges.
        choose: on which sensitivity and quick scores are measured.
        content: of each of the recipe's paths: its labels and its pictures, watched.
        chosen_by: the name of the path behind `choose`.
    """

    evaluate: Dataset
    choose: Dataset
    content: Content
    chosen_by: str

    @property
    def digests(self) -> Mapping[str, str]:
        """Of each of the recipe's paths."""
        return {name.removeprefix(_OF): digest for name, digest in self.content.digests.items()}

    @property
    def flatters(self) -> bool:
        """Whether what is chosen by would be what the gate judges by."""
        return self.choose is self.evaluate

    def evaluations(self, recipe: Recipe) -> int:
        """Return how many scores a pass may ask for to learn what each layer bears; none without pictures to choose by."""
        return recipe.sensitivity.evaluations if recipe.sensitivity and not self.flatters else 0

    def alike(self, recipe: Recipe) -> str | None:
        """Say which pass treats all layers alike for want of pictures; None where none does."""
        if not self.flatters or not recipe.sensitivity or not recipe.sensitivity.evaluations:
            return None
        passes = [settings.kind for settings in recipe.ordered if PASSES[settings.kind].sensitivity == "layers"]
        return (
            f"{passes[0]} treats all layers alike: there are no pictures to choose by or to learn from"
            if passes
            else None
        )

    def warnings(self, recipe: Recipe) -> tuple[str, ...]:
        """Return what is worth knowing of what a recipe does with them."""
        by_groups = recipe.sensitivity and any(
            PASSES[settings.kind].sensitivity == "groups" for settings in recipe.passes
        )
        flattered = "sensitivity was measured on pictures that the gate judges by: give `data.choose` or `data.train`"
        found = (flattered if by_groups and self.flatters else None, self.alike(recipe))
        return tuple(line for line in found if line is not None)


def open_data(recipe: Recipe, base: Path, card: CardFile) -> RecipeData:
    """Open a recipe's labelled pictures.

    Args:
        base: that the recipe's paths are relative to.

    Raises:
        InputError: a path does not exist, the labels are wrong, or pictures are judged by that were learnt from or chosen by.
    """
    given = {name: path for name, path in recipe.data.model_dump().items() if path is not None}
    paths = {name: base / path for name, path in given.items()}
    for name, path in paths.items():
        if not path.exists():
            raise InputError(f"data.{name} of the recipe is {path}, which does not exist.", hint="Correct the path.")
    # Before they are read, when nobody knows what they list.
    with unchanged_while_opened({_OF + name: partial(files_behind, path) for name, path in paths.items()}):
        return _opened(recipe, paths, card)


def _opened(recipe: Recipe, paths: Mapping[str, Path], card: CardFile) -> RecipeData:
    task, labels = card.card.task, card.labels
    evaluate = open_dataset(paths["evaluate"], task=task, labels=labels)
    choose = open_dataset(paths["choose"], task=task, labels=labels) if "choose" in paths else None
    samples: dict[str, Sequence[Sample]] = {"evaluate": evaluate.samples}
    if choose is not None:
        samples["choose"] = choose.samples
        check_apart(choose.samples, evaluate.samples, "chosen by")
    if "train" in paths:
        # As the training divides them: `open_examples` with the same share and seed.
        parts = part(paths["train"], task, labels, DEFAULT_SHARE, recipe.seed)
        samples["train"] = [*parts.train.samples, *parts.validation.samples]
        check_apart(samples["train"], evaluate.samples, "learnt from")
        choose = choose or parts.validation
    listed = {name: [sample.path for sample in found] for name, found in samples.items()}
    content = Content(
        {_OF + name: partial(files_behind, path, listed.get(name)) for name, path in paths.items()}, STANDING
    )
    chosen_by = next(name for name in ("choose", "train", "evaluate") if name in paths)
    return RecipeData(evaluate, choose or evaluate, content, chosen_by)


def check_apart(used: Sequence[Sample], judged: Sequence[Sample], how: str) -> None:
    """Refuse pictures that are judged by and used before, also as copies under other names.

    Args:
        how: they are used, for the message.

    Raises:
        InputError: there are such.
    """
    both = found_again((sample.path for sample in used), (sample.path for sample in judged))
    if both:
        judged_path, used_path = min(both.items())
        again = f" as {used_path}" if used_path != judged_path else ""
        raise InputError(
            f"{judged_path} is judged by, and {how}{again}; {len(both) - 1} more pictures are.",
            hint="Give `data.evaluate` pictures that nothing else has; find copies by `edgesdk data dedup`.",
        )
