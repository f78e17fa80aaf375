"""The trials of a search, kept in SQLite by optuna: proposed, carried out, and gone on with after whatever happened.

A trial is written the moment it ends. One that was cut off (Ctrl-C, a kill, a cut of the power) is proposed again by the next run;
what was finished stays finished. Only this file and `database` know optuna.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk.search.asking import Asked, Dropped, Evaluate
from edgesdk.search.database import STARTUP, import_optuna, open_study
from edgesdk.search.grid import next_of_grid
from edgesdk.search.outcome import Ending, Trial, limits_of, missed, objective_values, unknown_limits
from edgesdk.search.parameter import Choice, Scalar
from edgesdk.search.record import KEY, MOST_TIMES, figure_names, record_of, trial_of
from edgesdk.search.space import Space
from edgesdk_targets.errors import ContentChanged, EdgeError, InputError, MissingExtra, NoSpace

if TYPE_CHECKING:
    import optuna

# So many failures before anything succeeded are no accident.
_MOST_FAILURES = 5


class Study:
    """A search's trials. One process at a time: what another one has under way looks as if it were cut off; see `claim`.

    Args:
        folder: holds the database; made where it is absent.
        target_limits: of the target, by the costs' names.
        target_name: whose they are.
        content: digests of what stands behind the space's paths, by what they are of.

    Raises:
        InputError: the folder holds another search.
        MissingExtra: optuna is not installed.
    """

    def __init__(
        self,
        space: Space,
        folder: Path,
        target_limits: Mapping[str, float] | None = None,
        target_name: str = "",
        content: Mapping[str, str] | None = None,
    ) -> None:
        self._space = space
        self._limits = limits_of(space.limits, target_limits or {}, target_name)
        self._optuna = import_optuna()
        folder.mkdir(parents=True, exist_ok=True)
        self._study = open_study(space, folder, content or {})
        self._mend()

    def run(self, evaluate: Evaluate, *, say: Callable[[str], None] = lambda _line: None) -> None:
        """Try until there are as many trials as are wanted, or the time is over.

        Args:
            evaluate: carries a trial out and returns its figures. What it raises as `EdgeError` fails that trial alone.
            say: told a line at each trial.

        Raises:
            InputError: nothing but failures, or a limit on a figure that there is not.
            ContentChanged, NoSpace, MissingExtra: which the other trials would meet, too; the trial that was under way is proposed
                again.
            KeyboardInterrupt: it was stopped; the trial that was under way is proposed again the next time.
        """
        until = time.monotonic() + self._space.minutes * 60 if self._space.minutes else math.inf
        self._propose_baseline()
        while True:
            done = self.trials()
            self._check_limits()
            if len(done) >= self.wanted or time.monotonic() >= until:
                return
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
        every = self._study.get_trials(deepcopy=False)
        # One that was cut off has no outcome.
        ended = [one for one in every if one.state.is_finished() and KEY in one.user_attrs]
        return [trial_of(one.number, one.params, one.user_attrs) for one in ended]

    def importance(self) -> dict[str, float]:
        """Return how much each parameter decides of the first objective, 1 in sum; nothing where too little is known."""
        known = [one for one in self.trials() if one.ending == "finished"]
        if len(known) < STARTUP or len({one.figures[self._space.objectives[0]] for one in known}) < 2:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found: dict[str, float] = self._optuna.importance.get_param_importances(
                self._study, target=lambda one: one.values[0]
            )
        return {name: round(float(value), 4) for name, value in found.items() if math.isfinite(value)}

    def _check_limits(self) -> None:
        """Refuse a limit on a figure that the trials do not have: it would let everything pass."""
        every = self._study.get_trials(deepcopy=False)
        names = next((names for one in every if (names := figure_names(one.user_attrs))), None)
        unknown = unknown_limits(names, self._space.limits) if names else []
        if names and unknown:
            raise InputError(
                f"limits: there is no figure {unknown[0]!r} here.",
                hint=f"One of: {', '.join(sorted(names))}. Correct it, and begin anew in another folder.",
            )

    def _mend(self) -> None:
        """Close what another run left open, and propose it again."""
        running = self._optuna.trial.TrialState.RUNNING
        for one in self._study.get_trials(deepcopy=False, states=(running,)):
            if KEY in one.user_attrs:
                # Killed when its outcome was written, and before optuna was told.
                ended = trial_of(one.number, one.params, one.user_attrs)
                self._tell(one.number, ended.ending, ended.figures)
                continue
            # What was proposed and not yet asked for by name stands apart.
            parameters = {**one.system_attrs.get("fixed_params", {}), **one.params}
            self._cut_off(one.number, parameters, baseline=bool(one.user_attrs.get("baseline")))

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
        tried = {tuple(trial.parameters[name] for name in self._space.parameters) for trial in done}
        one = next_of_grid(self._space, tried)
        if one is not None:
            self._study.enqueue_trial(one)
        return one is not None

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
        except NoSpace:
            # Nothing more can be written now: the next run finds it open, and proposes it again.
            raise
        except (KeyboardInterrupt, MissingExtra, ContentChanged):
            self._cut_off(trial.number, parameters, baseline=bool(trial.user_attrs.get("baseline")))
            raise
        except EdgeError as error:
            ending, why = "failed", error.message
        except Exception as error:  # noqa: BLE001  (a factory is the user's own code, and fails as it likes)
            ending, why = "failed", f"{type(error).__name__}: {error}"
        misses = missed(figures, self._limits) if before is None else before.misses
        seconds, same_as = time.monotonic() - began, before.number if before is not None else None
        record = record_of(ending, figures, misses, why=why, seconds=seconds, same_as=same_as)
        trial.set_user_attr(KEY, record)
        if figures:
            # Samplers learn by how much a configuration misses its limits: above 0 where it does.
            trial.set_constraint("limits", max((min(m.times, MOST_TIMES) for m in misses), default=1.0) - 1.0)
        self._tell(trial, ending, figures)

    def _tell(self, trial: optuna.Trial | int, ending: Ending, figures: Mapping[str, float]) -> None:
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


def _named(figures: Mapping[str, float], objectives: tuple[str, ...]) -> list[tuple[str, float]]:
    return list(zip(objectives, objective_values(figures, objectives), strict=True))


def _in_words(parameters: Mapping[str, Scalar]) -> str:
    return ", ".join(f"{n} {v:.4g}" if isinstance(v, float) else f"{n} {v}" for n, v in parameters.items())
