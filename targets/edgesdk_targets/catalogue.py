"""Find targets: those shipped here, the user's own files, and those of installed packages.

All of them share one name space. Two targets that answer to one name are refused, since the name would otherwise
mean something else on another machine. A name is compared without regard to case, and `_` is `-`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk_targets.errors import EdgeError, InputError, UnknownTarget
from edgesdk_targets.field_problems import closest
from edgesdk_targets.target import Target
from edgesdk_targets.yaml_file import load_yaml, parse_yaml, validate

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

ENVIRONMENT = "EDGESDK_TARGETS"
ENTRY_POINTS = "edgesdk.targets"
SUFFIXES = (".yaml", ".yml")


def load_targets(extra: Path | None = None) -> dict[str, Target]:
    """Return every known target by its canonical name: shipped ones first, then the user's, each sorted by name.

    Args:
        extra: a YAML file or a folder of them, added to the shipped ones.

    Raises:
        InputError: a file is not a target (file, line and field are named), or two targets share a name.
    """
    origins: list[tuple[str, tuple[Target, ...]]] = [("the shipped targets", _shipped())]
    if extra is not None:
        origins.append((str(extra), _from_path(extra)))
    configured = os.environ.get(ENVIRONMENT)
    if configured:
        origins.append((f"{ENVIRONMENT}={configured}", _from_path(Path(configured))))
    origins.extend(_of_packages())
    return _merged(origins)


def find_target(name: str, extra: Path | None = None) -> Target:
    """Return the target called `name`: a name, an alias, `name@platform`, or the path of a YAML file.

    Raises:
        UnknownTarget: no target or platform has this name; the closest one is suggested.
        InputError: a target's file is wrong.
    """
    if name.lower().endswith(SUFFIXES) or os.sep in name:
        return target_from_file(Path(name))
    wanted, _, qualifier = name.strip().lower().replace("_", "-").partition("@")
    targets = load_targets(extra)
    by_name = {known: target for target in targets.values() for known in (target.name, *target.aliases)}
    target = by_name.get(wanted)
    if target is None and Path(name).is_file():  # YAML by another suffix
        return target_from_file(Path(name))
    if target is None:
        raise UnknownTarget(f"There is no target {name!r}.", hint=_suggestion(wanted, by_name))
    if not qualifier:
        return target
    qualified = target.on_platform(qualifier)
    if qualified is None:
        known = ", ".join(f"{target.name}@{platform.id}" for platform in target.platforms)
        raise UnknownTarget(
            f"{target.name} has no platform {qualifier!r}.", hint=f"Known: {known}, or leave the part from @ out."
        )
    return qualified


def target_from_file(path: Path) -> Target:
    """Read one target from a YAML file.

    Raises:
        InputError: the file cannot be read or is not a target; file, line and field are named.
    """
    return validate(Target, load_yaml(path))


@lru_cache(maxsize=1)
def _profiles() -> Mapping[str, Traversable]:
    """Return the shipped files by the names of their targets."""
    folder = files("edgesdk_targets") / "profiles"
    found = (item for item in folder.iterdir() if item.name.endswith(SUFFIXES))
    return {Path(item.name).stem: item for item in sorted(found, key=lambda item: item.name)}


@lru_cache
def shipped_target(name: str) -> Target | None:
    """Return a shipped target by its canonical name, without reading those of others; None where it is not one of them."""
    item = _profiles().get(name)
    return None if item is None else validate(Target, parse_yaml(item.read_text(encoding="utf-8"), source=item.name))


def _shipped() -> tuple[Target, ...]:
    return tuple(target for name in _profiles() if (target := shipped_target(name)) is not None)


def _from_path(path: Path) -> tuple[Target, ...]:
    if path.is_dir():
        profiles = sorted(item for item in path.iterdir() if item.suffix in SUFFIXES)
        return tuple(target_from_file(item) for item in profiles)
    return (target_from_file(path),)


@lru_cache(maxsize=1)  # looking for entry points reads every installed package's folder, slow on an SD card
def _of_packages() -> tuple[tuple[str, tuple[Target, ...]], ...]:
    return tuple(_from_entry_points())


def _from_entry_points() -> Iterable[tuple[str, tuple[Target, ...]]]:
    for entry in metadata.entry_points(group=ENTRY_POINTS):
        origin = f"entry point {entry.name} = {entry.value}"
        try:
            yield origin, tuple(_targets_of(entry.load()))
        except EdgeError:
            raise
        # The border to other people's packages: whatever they raise is theirs to mend, and is named as such.
        except Exception as error:
            raise InputError(
                f"{origin} gave no targets: {type(error).__name__}: {error}",
                hint="Correct or uninstall the package that declares it.",
            ) from error


def _targets_of(value: Any) -> Iterable[Target]:
    """Yield the targets that an entry point means: a Target, a path to YAML, several of these, or a callable."""
    if isinstance(value, Target):
        yield value
    elif isinstance(value, (str, Path)):
        yield from _from_path(Path(value))
    elif callable(value):
        yield from _targets_of(value())
    elif isinstance(value, Iterable):
        for item in value:
            yield from _targets_of(item)
    else:
        raise TypeError(f"expected a Target, a path or a callable, not {type(value).__name__}")


def _merged(origins: Iterable[tuple[str, tuple[Target, ...]]]) -> dict[str, Target]:
    targets: dict[str, Target] = {}
    owner: dict[str, str] = {}
    for origin, group in origins:
        for target in sorted(group, key=lambda item: item.name):
            for name in (target.name, *target.aliases):
                if name in owner:
                    raise InputError(
                        f"Two targets are called {name!r}: one of {owner[name]}, one of {origin}.",
                        hint="Give your own target another name or alias.",
                    )
                owner[name] = origin
            targets[target.name] = target
    return targets


def _suggestion(wanted: str, known: Iterable[str]) -> str:
    match = closest(wanted, list(known))
    meant = f"Did you mean {match!r}? " if match else ""
    return f"{meant}`edgesdk targets` lists all; a path to your own YAML file works too."
