"""Every verb that this device knows. A new one is a file in `verbs/` and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from edgesdk_agent.commands.verb import Verb
from edgesdk_agent.commands.verbs import (
    birth,
    bundle,
    clip,
    log_level,
    logs,
    pause,
    reload,
    restart,
    resume,
    set_values,
    snapshot,
    update,
    upload,
)

_ALL = (birth, bundle, clip, log_level, logs, pause, reload, restart, resume, set_values, snapshot, update, upload)

VERBS: Mapping[str, Verb] = MappingProxyType({module.VERB.name: module.VERB for module in _ALL})
