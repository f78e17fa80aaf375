"""What long work stands on: the files behind its paths, and whether they are still the same.

Passes of a recipe, and trials of a search, are compared with each other, so that one of them on other pictures would make the
whole untrue. Names, times and sizes are looked at, which is quick; where one of these is new, the content decides what is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgesdk.compression_run.digest import digest_of_files
from edgesdk_converters.source import Source
from edgesdk_targets.errors import ContentChanged

# Of each file the time of its last change, in nanoseconds, and its bytes.
_Stamps = Mapping[Path, tuple[int, int]]
Files = Callable[[], Mapping[str, Path]]


@dataclass(frozen=True, slots=True)
class Work:
    """What stands on the files, in the words of a message.

    Attributes:
        name: of the whole.
        steps: what of it is kept when they are finished.
        otherwise: what may be done where the files are to stay as they are now.
    """

    name: str
    steps: str
    otherwise: str


PASSES = Work("recipe", "passes", "leave it so, and the same command begins anew with what hangs on it")
TRIALS = Work("search", "trials", "search again in another folder")


class Content:
    """Files by what they are of, as they are now.

    Args:
        places: what finds the files, by name, such as `{"data": partial(files_behind, folder)}`.

    Raises:
        OSError: one cannot be read.
    """

    def __init__(self, places: Mapping[str, Files], work: Work) -> None:
        self._places = dict(places)
        self._work = work
        # First: what changes while it is hashed is then looked at again.
        self._stamps = {name: _stamps(files) for name, files in self._places.items()}
        self.digests = {name: digest_of_files(files()) for name, files in self._places.items()}

    def check(self) -> tuple[str, ...]:
        """Check that all is as it is told here: at the end of each step, and so before the next one.

        Files that are only of another time are no change: a backup or a copy touches what it does not change, and a step of hours
        is not to be lost by that. Whether others lay there meanwhile nobody can tell, so that it is said.

        Returns:
            A line for each name whose files were written anew since the last time, with the same content.

        Raises:
            ContentChanged: something was not; names one file of it.
        """
        kept = f"All {self._work.steps} that are finished are kept."
        told = []
        for name, files in self._places.items():
            now = _stamps(files)
            if now == self._stamps[name]:
                continue
            differing = _differing(self._stamps[name], now)
            if not _is_same(files, self.digests[name]):
                raise ContentChanged(
                    f"What `{name}` names changed since the {self._work.name} began: {differing}.",
                    hint=f"{kept} Put it back, and the same command goes on; or {self._work.otherwise}.",
                )
            # Looked at before the content was: what changes from here on is looked at again.
            self._stamps[name] = now
            told.append(
                f"what `{name}` names was written anew since the {self._work.name} began: {differing}; it is the same, and the "
                f"{self._work.name} goes on"
            )
        return tuple(told)


@contextmanager
def unchanged_while_opened(places: Mapping[str, Files]) -> Iterator[None]:
    """Check that files are the same after they were opened as before: else the digest would be of others than those read.

    Raises:
        ContentChanged: they are not.
    """
    before = {name: _stamps(files) for name, files in places.items()}
    yield
    for name, files in places.items():
        if (now := _stamps(files)) != before[name]:
            raise ContentChanged(
                f"What `{name}` names changed while it was opened: {_differing(before[name], now)}.",
                hint="Nothing was begun. Give the same command again when it is whole.",
            )


def files_of(models: Mapping[Path, Source]) -> dict[str, Path]:
    """Return the files of models: cards, weights and labels.

    Args:
        models: by their cards.
    """
    return {str(file): file for card, source in models.items() for file in (card, *source.files())}


def _stamps(files: Files) -> _Stamps:
    found = {}
    for path in _found(files).values():
        try:
            known = path.stat()
        except OSError:
            continue
        found[path] = (known.st_mtime_ns, known.st_size)
    return found


def _found(files: Files) -> Mapping[str, Path]:
    """Return the files that are there; of a folder that is gone, or shut, none."""
    try:
        return files()
    except OSError:
        return {}


def _differing(before: _Stamps, now: _Stamps) -> str:
    """Say which files are gone, new or others: the first by name, and how many more."""
    gone, new = sorted(before.keys() - now.keys()), sorted(now.keys() - before.keys())
    other = sorted(path for path in before.keys() & now.keys() if before[path] != now[path])
    kinds = (("changed", other), ("is gone", gone), ("is new", new))
    named = [f"{path} {word}" for word, paths in kinds for path in paths]
    return f"{named[0]}, and {len(named) - 1} more" if len(named) > 1 else named[0]


def _is_same(files: Files, digest: str) -> bool:
    try:
        return digest_of_files(files()) == digest
    except OSError:
        return False
