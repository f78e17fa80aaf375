"""Whether the service's own user reaches its files: a start that fails for that says only `203/EXEC`."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

from edgesdk_targets.errors import InputError

# The service has these for itself alone (`PrivateTmp`).
_PRIVATE = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108  (nothing is written there)


def check_reach(path: Path, user: str) -> None:
    """Refuse a file that the service could not read.

    Args:
        path: absolute, and there.
        user: whom the service runs as; may not exist yet.

    Raises:
        InputError: it lies below a temporary folder, or below one that lets other users not in, or may not be read.
    """
    real = path.resolve()
    if any(real.is_relative_to(place) for place in _PRIVATE):
        raise InputError(f"{real} is hidden from a service.", hint="Put it below /opt, /etc/edgesdk or /srv.")
    for place in (*reversed(real.parents), real):
        if not _open_to(place, user):
            raise InputError(
                f"{path} cannot be read by the user {user}, whom the service runs as: {place} is closed to others.",
                hint=f"Put it below /opt, /etc/edgesdk or /srv, or open it: chmod o+{_needed(place)} {place}",
            )


def _needed(place: Path) -> str:
    return "x" if place.is_dir() else "r"


def _open_to(place: Path, user: str) -> bool:
    mode = place.stat().st_mode
    bit = stat.S_IXOTH if place.is_dir() else stat.S_IROTH
    # The same right of a group stands three places higher, and of the owner six.
    return bool(
        mode & bit
        or (mode & bit << 3 and _name(place.group) == user)
        or (mode & bit << 6 and _name(place.owner) == user)
    )


def _name(of: Callable[[], str]) -> str:
    try:
        return of()
    except KeyError:  # a number that nobody has
        return ""
