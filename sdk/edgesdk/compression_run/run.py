"""One run of a recipe, from the card to the bundle and the report."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from edgesdk.compression.model_size import model_size
from edgesdk.compression.page import compression_page
from edgesdk.compression.stored import write_compressed
from edgesdk.compression.subject import Subject
from edgesdk.compression_run.compress import Compression
from edgesdk.compression_run.judging import FIGURES
from edgesdk.compression_run.pictures import Pictures
from edgesdk.compression_run.prepared import Prepared, prepare, watched_model
from edgesdk.compression_run.request import Request
from edgesdk.compression_run.start import subject_of
from edgesdk_converters.convert import convert
from edgesdk_converters.source import Source, resolve_source
from edgesdk_targets.errors import ContentChanged, EdgeError

Say = Callable[[str], None]


def run(request: Request, say: Say) -> Compression:
    """Run a recipe.

    Raises:
        As `edgesdk.compression_run.compress.compress`.
    """
    source = resolve_source(request.source, card=request.card)
    model = watched_model(request, source)
    start = subject_of(source)
    prepared = prepare(request, source, start, Pictures(request.base, request.folder), say, model=model)
    try:
        done = _finished(request, source, start, prepared, say)
    except ContentChanged:
        # Without a report: its scores would be of what is there now.
        raise
    except EdgeError as error:
        prepared.course.unchanged()
        # What was tried is worth reading, above all where it was not enough; what went wrong must not be hidden by the report.
        with suppress(EdgeError, OSError):
            compression_page(prepared.unfinished(source.card_file, start, str(error))).write(request.page)
        raise
    compression_page(done.to_json()).write(request.page)
    return done


def _finished(request: Request, source: Source, start: Subject, prepared: Prepared, say: Say) -> Compression:
    """Run the passes, and convert what comes of them."""
    recipe, judging, reports = request.recipe, prepared.judging, prepared.course.reports
    small = prepared.course.run()
    card = write_compressed(small, source.card_file, request.output, name=recipe.name, version=recipe.version)
    say("conversion")
    quantised = recipe.of_artifact in {"int8", "mixed"}
    conversion = convert(
        card,
        request.target,
        output=request.output,
        precision=recipe.of_artifact,
        data=request.path(recipe.data.evaluate),
        calib_data=request.calibrate if quantised else None,
        gate=judging.for_artifacts,
        history=prepared.history(start),
        progress=say,
    )
    try:
        prepared.course.unchanged()
    except ContentChanged:
        conversion.path.unlink(missing_ok=True)
        raise
    warnings = [*prepared.warnings, *conversion.warnings]
    if recipe.reordered:
        order = " → ".join(settings.kind for settings in recipe.ordered)
        warnings.append(f"the passes were run in the order {order}, as the written one would undo some of them")
    return Compression(
        card=card,
        conversion=conversion,
        figure=FIGURES[source.card.task][0],
        score=judging.score(start),
        before=model_size(start),
        after=model_size(small),
        reports=tuple(reports),
        sensitivity=prepared.sensitivity(),
        warnings=tuple(warnings),
        page=request.page,
    )
