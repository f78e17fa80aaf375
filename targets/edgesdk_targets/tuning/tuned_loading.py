"""Load the variant that was tuned; where it does not load, the bundle's order decides."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from edgesdk_targets.bundle.bundle import Bundle
from edgesdk_targets.core_claim import CoreClaim, claim_cores
from edgesdk_targets.errors import MissingExtra, SessionFailed
from edgesdk_targets.loading import Loaded, LoadOptions, load_variant
from edgesdk_targets.tuning.grid import Given
from edgesdk_targets.tuning.setting import Hint
from edgesdk_targets.tuning.tune import TunedOptions, tuned_options
from edgesdk_targets.tuning.tune_options import TuneOptions

if TYPE_CHECKING:
    from typing_extensions import Unpack

log = logging.getLogger(__name__)


def load_tuned(bundle: Bundle, tuned: TunedOptions, **how: Unpack[LoadOptions]) -> Loaded:
    """Load what was tuned, or what `how` says alone where that variant does not load after all.

    Raises:
        EdgeError: as `load_variant`.
    """
    options = LoadOptions(**{**how, "options": tuned.options})
    if tuned.variant != how.get("variant"):
        try:
            return load_variant(bundle, **LoadOptions(**{**options, "variant": tuned.variant}))
        except (SessionFailed, MissingExtra) as error:
            log.warning("%s was tuned and does not load: %s", tuned.variant, error.message)
    return load_variant(bundle, **options)


def load_for(bundle: Bundle, hint: Hint, **how: Unpack[LoadOptions]) -> tuple[Loaded, CoreClaim | None]:
    """Tune a bundle for this machine, or recall what that gave, and load it.

    Returns:
        what was loaded; and, where its threads are pinned, the claim on the cores, to be released when it is closed.

    Raises:
        EdgeError: as `tuned_options` and `load_variant`.
    """
    claim = claim_cores()
    try:
        given = Given(pins=(False,) if claim is None else (False, True))
        tuned = tuned_options(bundle, hint, TuneOptions(how.get("target"), how.get("variant"), given))
        log.info("Tuned for %s: %s", hint.value, tuned.why)
        if claim is not None and not tuned.options.pin:
            claim.release()
            claim = None
        return load_tuned(bundle, tuned, **how), claim
    except BaseException:
        if claim is not None:
            claim.release()
        raise
