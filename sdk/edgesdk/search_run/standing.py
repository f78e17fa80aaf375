"""What all trials of a search stand on: model, teachers and data, known again by their content, and watched."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from edgesdk.compression_run.content import TRIALS, Content, Files, files_of
from edgesdk.compression_run.digest import files_behind
from edgesdk.search.space import Space
from edgesdk_converters.quiet import quiet
from edgesdk_converters.source import Source

DATA = ("data", "train_data", "calib_data")


class Standing:
    """The files behind a space's paths: labels and pictures of data, card, weights and labels of models.

    Args:
        model: with its card's path.
        judged, learnt: the pictures of `data` and of `train_data`.
        teachers: by their paths in the recipe.

    Raises:
        OSError: a file cannot be read.
    """

    def __init__(
        self,
        space: Space,
        home: Path,
        model: tuple[Path, Source],
        judged: Sequence[Path],
        learnt: Sequence[Path],
        teachers: Mapping[str, Source],
    ) -> None:
        card, self._source = model
        self._teachers = [[name, *_told(source)] for name, source in teachers.items()]
        places: dict[str, Files] = {"model": partial(files_of, {card: self._source})}
        if teachers:
            places["teacher"] = partial(files_of, {home / name: source for name, source in teachers.items()})
        for name, pictures in zip(DATA, (judged, learnt, None), strict=True):
            given = getattr(space, name)
            if given is not None:
                places[name] = partial(files_behind, home / given, pictures)
        self._content = Content(places, TRIALS)

    def check(self) -> tuple[str, ...]:
        """Check that all is as it was, and return lines of what was written anew with the same content.

        Raises:
            ContentChanged: something was not.
        """
        return self._content.check()

    def digests(self) -> dict[str, str]:
        """Return digests of what stands behind the space's paths: by these, too, it is the same search."""
        with quiet("search"):
            found = {
                **self._content.digests,
                "model": digest_of([*_told(self._source), list(self._source.card_file.labels)]),
            }
        return {**found, "teacher": digest_of(self._teachers)} if self._teachers else found


def digest_of(document: Any) -> str:
    """Return the digest of a JSON document."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _told(source: Source) -> list[Any]:
    return [source.cache_key(), source.card.model_dump(mode="json")]
