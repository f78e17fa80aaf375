"""Open a bundle and load the best of its variants that works on this host."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from pydantic import ValidationError

from edgesdk_targets.bundle.bundle import Bundle, open_bundle
from edgesdk_targets.bundle.manifest import Variant
from edgesdk_targets.decode.postprocess import Postprocess
from edgesdk_targets.errors import EdgeError, InputError, MissingExtra, SessionFailed
from edgesdk_targets.field_problems import closest, field_problems, what_fits
from edgesdk_targets.probe import ProbeLimits, refusal, trial_of_bundle
from edgesdk_targets.probe import probe as probe_variant
from edgesdk_targets.session import Session, SessionOptions, open_session, passed_over
from edgesdk_targets.target import Runtime
from edgesdk_targets.variant_choice import Candidate, Choice, choose_variants

if TYPE_CHECKING:
    from typing_extensions import Unpack

log = logging.getLogger(__name__)


class LoadOptions(TypedDict, total=False):
    """How a bundle is loaded.

    Attributes:
        target, variant: take only this target's variants, or this variant.
        options: threads and streams of the session.
        postprocess: values that replace the bundle's own, such as `{"score_threshold": 0.001}`.
        probe: try each variant in a process of its own first, so that one whose runtime crashes or hangs here is passed
            over and this process lives. The first load of a bundle on a machine takes about twice as long; the answer is
            kept. The agent does it; in your own program it is off unless you ask.
    """

    target: str | None
    variant: str | None
    options: SessionOptions | None
    postprocess: Mapping[str, Any] | None
    probe: bool | ProbeLimits


@dataclass(frozen=True, slots=True)
class Loaded:
    """A variant that works here.

    Attributes:
        bundle: for what it says of itself; its file may be closed.
        runtime: what runs the variant; differs from the variant's own where that is not installed.
        choice: which variants could run here, and why the others were not taken.
        options: of the session.
    """

    bundle: Bundle
    variant: Variant
    runtime: Runtime
    session: Session
    choice: Choice
    options: SessionOptions


def load_variant(bundle: Bundle | str | Path, **how: Unpack[LoadOptions]) -> Loaded:
    """Open a bundle and load the best variant that works on this host; see `LoadOptions`.

    Raises:
        InputError: a name in `how` is not known, or a value of `postprocess` is wrong.
        BundleError: the bundle is damaged, or nothing in it can run here.
        SessionFailed: every variant that could run here failed; the best one's failure.
        MissingExtra: likewise, as its runtime does not load.
    """
    check_known(how)
    if not isinstance(bundle, Bundle):
        # The sessions hold what they need in memory; the file itself need not stay open.
        with open_bundle(bundle) as opened:
            return load_variant(opened, **how)
    if postprocess := how.get("postprocess"):
        bundle = _with_postprocess(bundle, postprocess)
    choice = choose_variants(bundle.manifest, target=how.get("target"), variant_id=how.get("variant"))
    failures: list[tuple[str, str]] = []
    first: EdgeError | None = None
    for candidate in choice.candidates:
        try:
            session = _open(bundle, candidate, how.get("options"), how.get("probe", False))
        except (SessionFailed, MissingExtra) as error:
            name = f"{candidate.variant.id} by {candidate.runtime.value}"
            log.warning("%s cannot be used: %s", name, error.message)
            failures.append((name, error.message))
            first = first or error
            continue
        ended = choice.taken(candidate, tuple(failures), passed_over(session))
        options = how.get("options") or SessionOptions()
        return Loaded(bundle, candidate.variant, candidate.runtime, session, ended, options)
    assert first is not None  # noqa: S101  (choose_variants gives at least one candidate)
    raise first


def check_known(how: Mapping[str, object]) -> None:
    """Refuse what is no field of `LoadOptions`: a mistyped name would else be ignored.

    Raises:
        InputError: with the name that was meant.
    """
    known = sorted(LoadOptions.__annotations__)
    for name, value in how.items():
        if name in known:
            continue
        meant = closest(name, known)
        if name in {one.name for one in dataclasses.fields(SessionOptions)}:
            hint = f"Did you mean options=SessionOptions({name}={value!r})?"
        elif name in Postprocess.model_fields:
            hint = f'Did you mean postprocess={{"{name}": {value!r}}}?'
        else:
            hint = f"Did you mean {meant!r}?" if meant else f"One of: {', '.join(known)}."
        raise InputError(f"Loading a model knows no {name!r}.", hint=hint)


def _open(bundle: Bundle, candidate: Candidate, options: SessionOptions | None, probe: bool | ProbeLimits) -> Session:
    """Open a session; try it in a child first where that is asked for."""
    if probe is not False:
        trial = trial_of_bundle(bundle, candidate.variant, candidate.runtime)
        result = probe_variant(trial, options=options, limits=probe if isinstance(probe, ProbeLimits) else None)
        if not result.fine:
            raise refusal(result)
    return open_session(bundle, candidate.variant, runtime=candidate.runtime, options=options)


def _with_postprocess(bundle: Bundle, values: Mapping[str, Any]) -> Bundle:
    manifest = bundle.manifest
    try:
        merged = Postprocess.model_validate({**manifest.postprocess.model_dump(), **values})
    except ValidationError as error:
        problem = field_problems(Postprocess, error)[0]
        hint = problem.hint or what_fits(Postprocess, problem.path)
        raise InputError(f"postprocess.{problem.sentence}", hint=hint) from error
    return dataclasses.replace(bundle, manifest=manifest.model_copy(update={"postprocess": merged}))
