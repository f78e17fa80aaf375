"""What a search's trials stand on: the files behind the space's paths, and whether they are still the same.

Trials are compared with each other, so that one of them on other pictures would make the whole search untrue. Names, times and
sizes are looked at, which is quick; where one of these is new, the content decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from edgesdk.compression_run.digest import digest_of
from edgesdk.search.asking import ContentChanged

# Of each file the time of its last change, in nanoseconds, and its bytes.
_Stamps = Mapping[Path, tuple[int, int]]


class Content:
    """Files and folders by what they are of, as they are now.

    Args:
        places: such as `{"data": [folder]}`.

    Raises:
        OSError: one cannot be read.
    """

    def __init__(self, places: Mapping[str, Sequence[Path]]) -> None:
        self._places = dict(places)
        # First: what changes while it is hashed is then looked at again.
        self._stamps = {name: _stamps(paths) for name, paths in self._places.items()}
        self.digests = {name: digest_of(paths) for name, paths in self._places.items()}

    def check(self) -> None:
        """Check that all is as it was.

        Raises:
            ContentChanged: something is not; names one file of it.
        """
        for name, paths in self._places.items():
            now = _stamps(paths)
            if now == self._stamps[name]:
                continue
            if not _is_same(paths, self.digests[name]):
                raise ContentChanged(
                    f"What `{name}` names changed while the search ran: {_differing(self._stamps[name], now)}.",
                    hint="All trials that are finished are kept. Put it back, and the same command goes on; or search again in "
                    "another folder.",
                )
            self._stamps[name] = now


def _stamps(paths: Sequence[Path]) -> _Stamps:
    found = {}
    for path in _files(paths):
        try:
            known = path.stat()
        except OSError:
            continue
        found[path] = (known.st_mtime_ns, known.st_size)
    return found


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from (file for file in path.rglob("*") if file.is_file())
        else:
            yield path


def _differing(before: _Stamps, now: _Stamps) -> str:
    """Say which files are gone, new or others: the first by name, and how many more."""
    gone, new = sorted(before.keys() - now.keys()), sorted(now.keys() - before.keys())
    other = sorted(path for path in before.keys() & now.keys() if before[path] != now[path])
    kinds = (("changed", other), ("is gone", gone), ("is new", new))
    named = [f"{path} {word}" for word, paths in kinds for path in paths]
    return f"{named[0]}, and {len(named) - 1} more" if len(named) > 1 else named[0]


def _is_same(paths: Sequence[Path], digest: str) -> bool:
    try:
        return digest_of(paths) == digest
    except OSError:
        return False
