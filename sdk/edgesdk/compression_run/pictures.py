"""The labelled pictures of runs: opened when one asks for them, and once for all that ask for the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from edgesdk.compression.recipe import Recipe
from edgesdk.compression_run.data import RecipeData, open_data
from edgesdk.train.examples import Examples, open_examples
from edgesdk.train.loading import Loading
from edgesdk.train.plan import Plan
from edgesdk_targets.card import CardFile

Say = Callable[[str], None]
_KEPT = 2


class Pictures:
    """Opens labelled pictures, and keeps what was asked for last.

    To open is to look at every file: a dataset is hashed and compared with the others, and what is learnt from is decoded and
    prepared. One run of a recipe asks once; the trials of a search ask again and again, mostly for the same. Of what is learnt
    from, two are kept: a trial's training and its passes may divide by other seeds. Before a third is opened (another input size),
    the older one is let go. So twice `cache_mb` may be in memory over a whole search, and a third time while a trial holds what was
    let go. How pictures are kept says who asks for them first: `workers`, `cache_mb` and `cache_disk_mb` of later plans do not
    count. One thread at a time. Whether the files are still the same is not looked at; see `edgesdk.compression_run.content`.

    Args:
        base: that paths are relative to.
        folder: for the file of a set that is streamed.
    """

    def __init__(self, base: Path, folder: Path) -> None:
        self._base, self._folder = base, folder
        self._of_recipe: tuple[object, RecipeData] | None = None
        self._learnt_from: list[tuple[object, Examples]] = []

    def of_recipe(self, recipe: Recipe, card: CardFile, say: Say | None = None) -> RecipeData:
        """Return what a recipe is judged and chosen by.

        Raises:
            InputError: as of `open_data`.
        """
        asked = (recipe.data, recipe.seed, card.card.task, card.labels)
        if self._of_recipe is None or self._of_recipe[0] != asked:
            if say is not None:
                say("digests of the data")
            self._of_recipe = (asked, open_data(recipe, self._base, card))
        return self._of_recipe[1]

    def to_learn_from(
        self, card: CardFile, data: str, seed: int, plans: Sequence[Plan], say: Say | None = None
    ) -> Examples:
        """Return what some trainings learn from, as the card prepares it.

        Args:
            seed: of the division into what is learnt from and what the best epoch is chosen by.
            plans: of the trainings, one at least.

        Raises:
            InputError: as of `open_examples`.
        """
        loading = Loading.for_plans(*plans, folder=self._folder)
        asked = (Path(data), seed, card.card.task, card.labels, card.card.preprocess, card.card.input)
        known = next((one for one in self._learnt_from if one[0] == asked), None)
        others = [one for one in self._learnt_from if one is not known][: _KEPT - 1]
        # Let go before anything is opened: two of them are as much as may be in memory.
        self._learnt_from = others
        found = known or (
            asked,
            open_examples(card, self._base / data, seed=seed, loading=loading, progress=say),
        )
        self._learnt_from = [found, *others]
        return found[1]
