"""The trials of a search, kept in SQLite by optuna: proposed, carried out, and gone on with after whatever happened.

A trial is written the moment it ends. One that was cut off (Ctrl-C, a kill, a cut of the power) is proposed again by the next run;
what was finished stays finished. Only this file knows optuna.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.search.outcome import Ending, Miss, Trial, limits_of, missed, objective_values
from edgesdk.search.space import Choice, Scalar, Space
from edgesdk_targets.errors import EdgeError, InputError, MissingExtra

if TYPE_CHECKING:
    import optuna

DATABASE = "search.db"
_NAME = "search"
# So many failures before anything succeeded are no accident.
_MOST_FAILURES = 5
_STARTUP = 10


class Dropped(Exception):
    """Raised inside a trial that is not worth finishing; says why, and which figures are known by then."""

    def __init__(self, why: str, figures: Mapping[str, float] | None = None) -> None:
        super().__init__(why)
        self.figures = dict(figures or {})


@dataclass(frozen=True, slots=True)
class Asked:
    """A configuration that is to be tried.

    Attributes:
        report: told a figure of the first objective while the trial goes on, by step; raises `Dropped` where others were
            better at that step. Of several objectives nothing is dropped.
    """

    number: int
    parameters: Mapping[str, Scalar]
    report: Callable[[int, float], None]


Evaluate = Callable[[Asked], Mapping[str, float]]


class Study:
    """A search's trials.

    Args:
        folder: holds the database; made where it is absent.
        target_limits: of the target, by the costs' names.
        target_name: whose they are.

    Raises:
        InputError: the folder holds another search.
        MissingExtra: optuna is not installed.
    """

    def __init__(
        self, space: Space, folder: Path, target_limits: Mapping[str, float] | None = None, target_name: str = ""
    ) -> None:
        self._space = space
        self._limits = limits_of(space.limits, target_limits or {}, target_name)
        self._optuna = _optuna()
        folder.mkdir(parents=True, exist_ok=True)
        self._study = self._opened(folder / DATABASE)
        self._mend()

    def run(self, evaluate: Evaluate, *, say: Callable[[str], None] = lambda _line: None) -> None:
        """Try until there are as many trials as are wanted, or the time is over.

        Args:
            evaluate: carries a trial out and returns its figures. What it raises as `EdgeError` fails that trial alone.
            say: told a line at each trial.

        Raises:
            InputError: nothing but failures.
            KeyboardInterrupt: it was stopped; the trial that was under way is proposed again the next time.
        """
        until = time.monotonic() + self._space.minutes * 60 if self._space.minutes else math.inf
        self._propose_baseline()
        while len(done := self.trials()) < self.wanted and time.monotonic() < until:
            if len(done) >= _MOST_FAILURES and all(trial.ending == "failed" for trial in done):
                raise InputError(
                    f"All {len(done)} trials failed; the last one: {done[-1].why}",
                    hint="Correct what it says, and begin anew in another folder.",
                )
            if self._space.sampler == "grid" and not self._waiting() and not self._propose_next_of_grid(done):
                return
            trial = self._study.ask()
            parameters = self._suggested(trial)
            say(f"trial {len(done) + 1} of {self.wanted}: {_in_words(parameters)}")
            self._carry_out(trial, parameters, evaluate, done)

    @property
    def wanted(self) -> int:
        """How many trials there are to be."""
        size = self._space.size if self._space.sampler == "grid" else None
        return self._space.trials if size is None else min(self._space.trials, size)

    def trials(self) -> list[Trial]:
        """Return what has ended, in the order of the trials' numbers."""
        return [_trial_of(one) for one in self._study.get_trials(deepcopy=False) if _counts(one)]

    def importance(self) -> dict[str, float]:
        """Return how much each parameter decides of the first objective, 1 in sum; nothing where too little is known."""
        known = [one for one in self.trials() if one.ending == "finished"]
        if len(known) < _STARTUP or len({one.figures[self._space.objectives[0]] for one in known}) < 2:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found: dict[str, float] = self._optuna.importance.get_param_importances(
                self._study, target=lambda one: one.values[0]
            )
        return {name: round(float(value), 4) for name, value in found.items() if math.isfinite(value)}

    def _opened(self, path: Path) -> optuna.Study:
        # What a random draw gives must not come again after a resume: the seed counts on with the trials.
        existing = self._count(path)
        directions = ["minimize" if lower else "maximize" for lower in self._space.lower_is_better]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", self._optuna.exceptions.ExperimentalWarning)
            study: optuna.Study = self._optuna.create_study(
                storage=_url(path),
                study_name=_NAME,
                directions=directions,
                sampler=self._sampler(self._space.seed + existing),
                pruner=self._optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1),
                load_if_exists=True,
            )
        identity = study.user_attrs.get("identity")
        if identity is None:
            study.set_user_attr("identity", self._space.identity())
        elif identity != self._space.identity():
            raise InputError(
                f"{path.parent} holds another search: another space, model or target.",
                hint="Give another folder; only trials and minutes may change.",
            )
        return study

    def _count(self, path: Path) -> int:
        if not path.exists():
            return 0
        try:
            summaries = self._optuna.get_all_study_summaries(storage=_url(path))
        except Exception as error:  # SQLAlchemy's and SQLite's own, by what is wrong with the file
            raise InputError(f"{path} is no search: {error}", hint="Give another folder.") from error
        return sum(one.n_trials for one in summaries)

    def _sampler(self, seed: int) -> Any:
        samplers = self._optuna.samplers
        if self._space.sampler in {"random", "grid"}:
            return samplers.RandomSampler(seed=seed)
        if self._space.sampler == "nsga2":
            return samplers.NSGAIISampler(seed=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", self._optuna.exceptions.ExperimentalWarning)
            return samplers.TPESampler(seed=seed, n_startup_trials=_STARTUP, multivariate=True)

    def _mend(self) -> None:
        """Close what another run left open, and propose it again."""
        running = self._optuna.trial.TrialState.RUNNING
        for one in self._study.get_trials(deepcopy=False, states=(running,)):
            self._cut_off(one.number, dict(one.params), baseline=bool(one.user_attrs.get("baseline")))

    def _cut_off(self, number: int, parameters: dict[str, Scalar], *, baseline: bool) -> None:
        if parameters:
            self._study.enqueue_trial(parameters, user_attrs={"baseline": True} if baseline else None)
        self._study.tell(number, state=self._optuna.trial.TrialState.FAIL)

    def _propose_baseline(self) -> None:
        if self._space.baseline and not self._study.get_trials(deepcopy=False):
            self._study.enqueue_trial(dict(self._space.baseline), user_attrs={"baseline": True})

    def _waiting(self) -> bool:
        """Say whether a configuration is proposed already: the baseline, or what was cut off."""
        waiting = self._optuna.trial.TrialState.WAITING
        return bool(self._study.get_trials(deepcopy=False, states=(waiting,)))

    def _propose_next_of_grid(self, done: list[Trial]) -> bool:
        """Propose a configuration of the grid that was not tried; False where all were."""
        tried = [dict(trial.parameters) for trial in done]
        one = next((one for one in self._grid() if one not in tried), None)
        if one is not None:
            self._study.enqueue_trial(one)
        return one is not None

    def _grid(self) -> list[dict[str, Scalar]]:
        """Return every configuration, in an order that the seed decides: also a part of them is spread over the space."""
        names = list(self._space.parameters)
        every = product(*(self._space.parameters[name].values for name in names))
        configurations = [dict(zip(names, values, strict=True)) for values in every]
        return [
            configurations[place] for place in np.random.default_rng(self._space.seed).permutation(len(configurations))
        ]

    def _suggested(self, trial: optuna.Trial) -> dict[str, Scalar]:
        parameters: dict[str, Scalar] = {}
        for name, one in self._space.parameters.items():
            if isinstance(one, Choice) or self._space.sampler == "grid":
                chosen: Any = trial.suggest_categorical(name, list(one.values))
                parameters[name] = chosen
            elif one.whole:
                parameters[name] = trial.suggest_int(
                    name, int(one.low), int(one.high), step=int(one.step or 1), log=one.log
                )
            else:
                parameters[name] = trial.suggest_float(name, one.low, one.high, step=one.step, log=one.log)
        return parameters

    def _carry_out(
        self, trial: optuna.Trial, parameters: dict[str, Scalar], evaluate: Evaluate, done: list[Trial]
    ) -> None:
        """Carry one trial out and write what it came to."""
        before = next((one for one in done if one.parameters == parameters and one.ending == "finished"), None)
        asked = Asked(trial.number, parameters, self._reporter(trial))
        began = time.monotonic()
        figures: Mapping[str, float] = {}
        ending: Ending = "finished"
        why = ""
        try:
            figures = before.figures if before is not None else evaluate(asked)
            unknown = [n for n, v in _named(figures, self._space.objectives) if math.isnan(v)]
            if unknown:
                ending, why = "failed", f"{unknown[0]} is not defined here"
        except Dropped as error:
            ending, why, figures = "dropped", str(error), error.figures
        except EdgeError as error:
            ending, why = "failed", error.message
        except KeyboardInterrupt:
            self._cut_off(trial.number, parameters, baseline=bool(trial.user_attrs.get("baseline")))
            raise
        except Exception as error:  # noqa: BLE001  (a factory is the user's own code, and fails as it likes)
            ending, why = "failed", f"{type(error).__name__}: {error}"
        misses = missed(figures, self._limits)
        outcome = {
            "ending": ending,
            "figures": {name: value for name, value in figures.items() if math.isfinite(value)},
            "why": why[:500],
            "seconds": time.monotonic() - began,
            "same_as": before.number if before is not None else None,
            "misses": [[m.name, m.value, m.limit, m.whose, min(m.times, 1e9), m.is_least] for m in misses],
        }
        trial.set_user_attr("outcome", outcome)
        if figures:
            # Samplers learn by how much a configuration misses its limits: above 0 where it does.
            trial.set_constraint("limits", max((min(m.times, 1e9) for m in misses), default=1.0) - 1.0)
        self._tell(trial, ending, figures)

    def _tell(self, trial: optuna.Trial, ending: Ending, figures: Mapping[str, float]) -> None:
        states = self._optuna.trial.TrialState
        if ending == "finished":
            self._study.tell(trial, objective_values(figures, self._space.objectives))
        else:
            self._study.tell(trial, state=states.PRUNED if ending == "dropped" else states.FAIL)

    def _reporter(self, trial: optuna.Trial) -> Callable[[int, float], None]:
        if len(self._space.objectives) > 1:
            return lambda _step, _value: None

        def report(step: int, value: float) -> None:
            trial.report(value, step)
            if trial.should_prune():
                raise Dropped(
                    f"{self._space.objectives[0]} {value:.4g} at step {step}: most trials were better by then"
                )

        return report


def _optuna() -> Any:
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise MissingExtra("optuna", "compress") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _url(path: Path) -> str:
    return f"sqlite:///{path.absolute()}"


def _counts(one: Any) -> bool:
    """Say whether a trial ended; one that was cut off has no outcome."""
    return one.state.is_finished() and "outcome" in one.user_attrs


def _trial_of(one: Any) -> Trial:
    outcome = one.user_attrs["outcome"]
    return Trial(
        number=one.number,
        ending=outcome["ending"],
        parameters=dict(one.params),
        figures=outcome["figures"],
        misses=tuple(Miss(*miss) for miss in outcome["misses"]),
        why=outcome["why"],
        seconds=outcome["seconds"],
        same_as=outcome["same_as"],
        is_baseline=bool(one.user_attrs.get("baseline")),
    )


def _named(figures: Mapping[str, float], objectives: tuple[str, ...]) -> list[tuple[str, float]]:
    return list(zip(objectives, objective_values(figures, objectives), strict=True))


def _in_words(parameters: Mapping[str, Scalar]) -> str:
    return ", ".join(f"{n} {v:.4g}" if isinstance(v, float) else f"{n} {v}" for n, v in parameters.items())
