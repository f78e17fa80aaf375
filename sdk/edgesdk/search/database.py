"""The database of a search: optuna's study in SQLite, and whether it is the same search that goes on."""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk.search.space import Space
from edgesdk_targets.errors import InputError, MissingExtra

if TYPE_CHECKING:
    import optuna

DATABASE = "search.db"
# So many trials are drawn at random before TPE models anything.
STARTUP = 10
_NAME = "search"


def open_study(space: Space, folder: Path, content: Mapping[str, str]) -> optuna.Study:
    """Open a folder's study, or begin it.

    Args:
        content: digests of what the space names by path, and what else must be the same for the search to go on.

    Raises:
        InputError: the folder holds another search; the message says what differs.
        MissingExtra: optuna is not installed.
    """
    library = import_optuna()
    path = folder / DATABASE
    # What a random draw gives must not come again after a resume: the seed counts on with the trials.
    storage = _storage(library, path)
    existing = sum(one.n_trials for one in library.get_all_study_summaries(storage=storage))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", library.exceptions.ExperimentalWarning)
        study: optuna.Study = library.create_study(
            storage=storage,
            study_name=_NAME,
            directions=["minimize" if lower else "maximize" for lower in space.lower_is_better],
            sampler=_sampler(library, space, space.seed + existing),
            pruner=library.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1),
            load_if_exists=True,
        )
    _check_same(study, {"space": space.identity(), **content}, folder)
    return study


def import_optuna() -> Any:
    """Return the library, which tells nothing but warnings.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise MissingExtra("optuna", "compress") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _check_same(study: optuna.Study, wanted: Mapping[str, str], folder: Path) -> None:
    known: Mapping[str, str] | None = study.user_attrs.get("identity")
    if known is None:
        study.set_user_attr("identity", dict(wanted))
        return
    names = [*wanted, *(name for name in known if name not in wanted)]
    differ = [name for name in names if known.get(name) != wanted.get(name)]
    if differ:
        raise InputError(
            f"{folder} holds another search: not the same {', '.join(differ)}.",
            hint="Give another folder; only trials and minutes may change.",
        )


def _storage(library: Any, path: Path) -> Any:
    def connect() -> sqlite3.Connection:
        return sqlite3.connect(path, check_same_thread=False)

    try:
        # Connected to by us: in a URL a `?` of the path begins a query, and optuna fills in what stands in braces.
        return library.storages.RDBStorage(f"sqlite:///{DATABASE}", engine_kwargs={"creator": connect})
    except Exception as error:  # SQLAlchemy's and SQLite's own, by what is wrong with the file
        raise InputError(f"{path} is no search: {error}", hint="Give another folder.") from error


def _sampler(library: Any, space: Space, seed: int) -> Any:
    if space.sampler in {"random", "grid"}:
        return library.samplers.RandomSampler(seed=seed)
    if space.sampler == "nsga2":
        return library.samplers.NSGAIISampler(seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", library.exceptions.ExperimentalWarning)
        return library.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP, multivariate=True)
