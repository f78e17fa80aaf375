"""What a bundle proposes for the agent that runs it: the weakest layer above the defaults.

Whoever trained a model may know how it is best run: how often it is worth telling, on how many threads. A bundle comes
from outside, so it may say only that: nothing that names a camera, a broker, a path or code.
"""

from __future__ import annotations

import json
from pathlib import Path

from edgesdk_agent.config.field_table import PROPOSABLE, is_below
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.errors import BundleError, InputError
from edgesdk_targets.field_problems import FieldPath, dotted

MEMBER = "agent.json"
_LARGEST_BYTES = 64 * 1024


def proposal_of(bundle: Path) -> tuple[object, str]:
    """Return what a bundle proposes, and its name; None of one that cannot be opened, which the agent tells when it loads it.

    Raises:
        InputError: what it proposes is no JSON.
    """
    try:
        with open_bundle(bundle) as opened:
            name = f"bundle {opened.manifest.name} {opened.manifest.version}"
            entry = opened.manifest.files.get(MEMBER)
            if entry is None or entry.size > _LARGEST_BYTES:
                return None, name
            content = opened.read(MEMBER)
    except BundleError:
        return None, str(bundle)
    try:
        return json.loads(content), name
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}: {MEMBER} is no JSON.", hint="Build the bundle again.") from error


def check_proposable(path: FieldPath, origin: str) -> None:
    """Refuse a field that is not for a bundle to say.

    Raises:
        InputError: it is none of `PROPOSABLE`.
    """
    if not any(is_below(dotted(path), field) for field in PROPOSABLE):
        raise InputError(
            f"{origin}: field {dotted(path)}: is not for a bundle to say.",
            hint=f"A card's `agent` may hold {', '.join(PROPOSABLE)}.",
        )
