"""How bundles are proven on this device, as it is configured."""

from __future__ import annotations

import threading
from collections.abc import Callable

from edgesdk_agent.config.update import UpdateSection
from edgesdk_agent.update.fetch.released import Released
from edgesdk_agent.update.golden_child import golden_in_child
from edgesdk_agent.update.proof import Proof
from edgesdk_targets.signing.trusted_keys import read_trusted_keys


def proof_of(
    section: UpdateSection,
    target: str,
    variant: str,
    stopping: threading.Event,
    clock_trusted: Callable[[], bool] = lambda: True,
) -> Proof:
    """Return how bundles are proven on this device.

    Args:
        target, variant: as they are configured, empty where not.
        stopping: ends a golden set that runs.
        clock_trusted: whether the wall clock can be believed; without that a repository's files do not expire.
    """
    repository = section.released
    released = None if repository is None else Released(
        repository.root, repository.url, section.folder / "released", clock_trusted=clock_trusted, authority=section.ca
    )  # fmt: skip
    return Proof(
        trusted=lambda: read_trusted_keys(section.keys),
        target=target or None,
        variant=variant or None,
        released=None if released is None else released.check,
        golden=golden_in_child(target or None, variant or None, stopping=stopping),
    )
