"""Carry a search's trials out: each is built, trained and made smaller where the space says so, converted, timed and evaluated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk.benchmark.measure import Plan as Timing
from edgesdk.benchmark.measure import measure
from edgesdk.benchmark.subject import bundle_subject
from edgesdk.compression_run.pictures import Pictures
from edgesdk.evaluate.answers import each_alone
from edgesdk.evaluate.dataset import Dataset, open_dataset
from edgesdk.evaluate.evaluate import evaluate
from edgesdk.evaluate.figure_names import FIGURE_NAMES, check_figures
from edgesdk.layouts.outside import check_outside
from edgesdk.search.asking import Asked, Dropped
from edgesdk.search.outcome import limits_of, missed
from edgesdk.search.space import COSTS, Deploy, Space, area_of
from edgesdk.search_run.overrides import overrides_of
from edgesdk.search_run.recipe import (
    check_batches,
    check_compression,
    deployment_for,
    recipe_for,
    timed_as_deployed,
)
from edgesdk.search_run.standing import DATA, Standing, digest_of
from edgesdk.search_run.training import TrialTraining
from edgesdk_converters.convert import convert
from edgesdk_converters.quiet import quiet
from edgesdk_converters.routes import QUANTISED
from edgesdk_converters.several import check_batch
from edgesdk_converters.source import Source, resolve_source
from edgesdk_targets.bundle.bundle import Bundle, open_bundle
from edgesdk_targets.card import read_card
from edgesdk_targets.decode.postprocess import measured_with
from edgesdk_targets.errors import InputError
from edgesdk_targets.model import load_model
from edgesdk_targets.session import SessionOptions

if TYPE_CHECKING:
    from torch import nn

    from edgesdk.compression.recipe import Recipe

BUNDLE = "model.edgebundle"
# What trainings and passes keep while the search goes on, by what they depend on: trials share it, also over a kill.
WORK = "work"
Say = Callable[[str], None]


class Carrying:
    """Carries trials out."""

    def __init__(
        self, space: Space, home: Path, folder: Path, target_limits: Mapping[str, float], time_s: float, say: Say
    ) -> None:
        self._space = space
        self._home = home
        self._folder = folder
        self._limits = limits_of(space.limits, target_limits, space.target)
        self._time_s = time_s
        self._say = say
        self._card = home / space.model
        # What is wrong with model or data is told before the first trial.
        with quiet("search"):
            source = resolve_source(self._card)
        card = source.card_file
        paths = {name: getattr(space, name) for name in DATA}
        check_outside(folder, {name: home / path for name, path in paths.items() if path is not None})
        self._dataset: Dataset = open_dataset(home / space.data, task=card.card.task, labels=card.labels)
        asked = {"objectives": space.objectives, "limits.least": space.limits.least, "limits.most": space.limits.most}
        check_figures(asked, (*COSTS, *FIGURE_NAMES[card.card.task]))
        self._pictures = Pictures(home, folder / WORK)
        learnt: Sequence[Path] = ()
        teachers: Mapping[str, Source] = {}
        recipe = check_compression(space)
        check_batches(space, recipe)
        training = TrialTraining(space, home, self._card, {}, self._pictures)
        if space.train_data is not None:
            learnt = training.check(self._dataset)
        if space.calib_data is not None and not (home / space.calib_data).exists():
            raise InputError(f"calib_data: {home / space.calib_data} does not exist.", hint="Check the path.")
        if card.card.factory is None and area_of(space.parameters, "factory_args"):
            raise InputError(
                f"{self._card} has no factory whose arguments could be searched.", hint="Name one in the card."
            )
        quantised = [one for one in space.precisions if one in QUANTISED]
        if quantised and self._calibration is None:
            raise InputError(
                f"{quantised[0].value} needs pictures to measure ranges on.", hint="Add calib_data to the space."
            )
        if recipe is not None:
            # Torch is imported where it is needed.
            from edgesdk.search_run.compression import TrialCompression

            compression = TrialCompression(space, home, self._card, {}, self._pictures)
            teachers = compression.teachers(recipe)
        judged = [sample.path for sample in self._dataset.samples]
        self._standing = Standing(space, home, (self._card, source), judged, learnt, teachers)
        # Watched before they are opened, which may take minutes.
        training.open()
        if recipe is not None:
            compression.check(recipe, teachers)

    def content(self) -> dict[str, str]:
        """Return digests of what stands behind the space's paths, and the time of a slice: by these, too, it is the same search."""
        return {**self._standing.digests(), "--slice": f"{self._time_s:g}"}

    def __call__(self, asked: Asked) -> Mapping[str, float]:
        """Carry one trial out.

        Raises:
            ContentChanged: models or data are not what they were when the search began; also where
                that is why the trial failed.
            Dropped, EdgeError: as of what a trial is made of.
        """
        try:
            figures = self._carried_out(asked)
        except BaseException:
            # Ctrl-C too: what a trial kept until then is gone on with.
            self._check()
            raise
        self._check()
        return figures

    def _check(self) -> None:
        for line in self._standing.check():
            self._say(line)

    def _carried_out(self, asked: Asked) -> Mapping[str, float]:
        """Ask cheap questions first: what misses a limit on cost is not trained and not evaluated."""
        recipe = recipe_for(self._space, asked.parameters)
        deploy = deployment_for(self._space, asked.parameters, recipe)
        check_batch(deploy.batch, quantised=deploy.precision in QUANTISED)
        if recipe is not None:
            recipe = timed_as_deployed(recipe, deploy)
        place = self._folder / "trials" / str(asked.number)
        overrides = overrides_of(self._card, deploy, area_of(asked.parameters, "factory_args"))
        training = None
        if self._space.train is not None:
            training = TrialTraining(self._space, self._home, self._card, overrides, self._pictures)
        if training is not None and self._space.limits.costs and recipe is None:
            # The time and the bytes of a network are known before it is trained, unless it is made smaller afterwards.
            with self._converted(place, training.untrained(), deploy, overrides) as bundle:
                self._drop_if_missed(self._costs(bundle, deploy))
        trained_by = [overrides, area_of(asked.parameters, "train")]
        module = training.trained(asked, self._work("training", trained_by), self._say) if training else None
        if recipe is None:
            opened = self._converted(place, module, deploy, overrides)
            if module is not None:
                self._keep(module, place, overrides)
        else:
            work = self._work("passes", [*trained_by, recipe.model_dump(mode="json", by_alias=True)])
            opened = self._smaller(recipe, module, work, place, deploy, overrides)
        with opened as bundle:
            figures = self._costs(bundle, deploy)
            self._drop_if_missed(figures)
            return figures | self._figures(bundle, deploy)

    def _work(self, what: str, depends: Any) -> Path:
        return self._folder / WORK / f"{what}-{digest_of(depends)[:16]}"

    def _converted(self, place: Path, module: nn.Module | None, deploy: Deploy, overrides: Mapping[str, Any]) -> Bundle:
        """Convert a trial's model, and open the bundle."""
        card = None if module is None else self._card
        return self._bundle(self._card if module is None else module, place, deploy, card=card, overrides=overrides)

    def _keep(self, module: nn.Module, place: Path, overrides: Mapping[str, Any]) -> None:
        """Write a trained model with its card: what it learnt is needed for other targets, to compress it and to train on."""
        from edgesdk.compression.stored import write_trained

        write_trained(module, read_card(self._card, overrides), place)

    def _smaller(
        self,
        recipe: Recipe,
        module: nn.Module | None,
        work: Path,
        place: Path,
        deploy: Deploy,
        overrides: Mapping[str, Any],
    ) -> Bundle:
        """Make a trial's model smaller, convert it, and open the bundle."""
        from edgesdk.search_run.compression import TrialCompression

        compression = TrialCompression(self._space, self._home, self._card, overrides, self._pictures)
        made = compression.smaller(recipe, module, work, place, self._say)
        return self._bundle(made.card, place, deploy, history=made.history)

    def _bundle(self, source: Path | nn.Module, place: Path, deploy: Deploy, **told: Any) -> Bundle:
        with quiet("search"):
            made = convert(
                source,
                [self._space.target],
                output=place / BUNDLE,
                precision=deploy.precision.value,
                batch=deploy.batch,
                calib_data=self._calibration if deploy.precision in QUANTISED else None,
                **told,
            )
        return open_bundle(made.path)

    @property
    def _calibration(self) -> Path | None:
        """The pictures on which INT8 ranges are measured, where there are any."""
        name = self._space.calib_data or self._space.train_data
        return self._home / name if name is not None else None

    def _costs(self, bundle: Bundle, deploy: Deploy) -> dict[str, float]:
        """Time a trial's model and count its bytes."""
        variant = bundle.manifest.variants[0]
        hint = "throughput" if deploy.streams > 1 else "latency"
        threads = deploy.streams if deploy.streams > 1 else deploy.threads
        plan = Timing(hint, self._time_s, threads)  # type: ignore[arg-type]  # one of the two words
        taken = measure(bundle_subject(bundle, variant), plan)
        return {
            "bytes": float(bundle.manifest.bytes_of(variant)),
            "ms": taken.latency.p50,
            "rss_bytes": float(taken.rss_bytes),
            "fps": taken.throughput_fps,
        }

    def _drop_if_missed(self, costs: Mapping[str, float]) -> None:
        misses = missed(costs, self._limits)
        if misses:
            raise Dropped("; ".join(miss.text() for miss in misses), costs)

    def _figures(self, bundle: Bundle, deploy: Deploy) -> dict[str, float]:
        """Measure a trial's model on the labelled pictures."""
        options = SessionOptions(threads=deploy.threads)
        scores = measured_with(bundle.manifest.task)
        with load_model(bundle, options=options, postprocess=scores, probe=True) as model:
            card = evaluate(each_alone(model), self._dataset)
        return {name: metric.value for name, metric in card.metrics.items()}
