"""What a search's trials stand on: the files behind the space's paths, and whether they are still the same.

Trials are compared with each other, so that one of them on other pictures would make the whole search untrue. Names, times and
sizes are looked at, which is quick; where one of these is new, the content decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from edgesdk.compression_run.digest import digest_of_files
from edgesdk.search.asking import ContentChanged
from edgesdk_converters.source import Source
from edgesdk_targets.errors import InputError

# Of each file the time of its last change, in nanoseconds, and its bytes.
_Stamps = Mapping[Path, tuple[int, int]]
Files = Callable[[], Mapping[str, Path]]


class Content:
    """Files by what they are of, as they are now.

    Args:
        places: what finds the files, by name, such as `{"data": partial(files_behind, folder)}`.

    Raises:
        OSError: one cannot be read.
    """

    def __init__(self, places: Mapping[str, Files]) -> None:
        self._places = dict(places)
        # First: what changes while it is hashed is then looked at again.
        self._stamps = {name: _stamps(files) for name, files in self._places.items()}
        self.digests = {name: digest_of_files(files()) for name, files in self._places.items()}

    def check(self, *, was_read: bool = False) -> None:
        """Check that all is as it was.

        Args:
            was_read: since the last check, perhaps. Then what was changed and put back counts as changed, too: nobody can tell
                what was read.

        Raises:
            ContentChanged: something is not; names one file of it.
        """
        for name, files in self._places.items():
            now = _stamps(files)
            if now == self._stamps[name]:
                continue
            differing = _differing(self._stamps[name], now)
            if not _is_same(files, self.digests[name]):
                raise ContentChanged(
                    f"What `{name}` names changed while the search ran: {differing}.",
                    hint="All trials that are finished are kept. Put it back, and the same command goes on; or search again in "
                    "another folder.",
                )
            self._stamps[name] = now
            if was_read:
                raise ContentChanged(
                    f"What `{name}` names was written anew while a trial ran: {differing}. It is the same now, but the trial may "
                    "have read something else.",
                    hint="All trials that are finished are kept. The same command tries this one again.",
                )


def check_outside(folder: Path, data: Mapping[str, Path]) -> None:
    """Refuse a search that would write into the data it watches.

    Raises:
        InputError: its folder lies inside.
    """
    for name, path in data.items():
        if path.is_dir() and folder.resolve().is_relative_to(path.resolve()):
            raise InputError(f"{folder} lies inside {name}, {path}.", hint="Name a folder beside the data.")


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
