"""Write the support bundle: each part is gathered by itself, one that fails says why, and all pass one redaction."""

from __future__ import annotations

import json
import logging
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgesdk_agent.config.loading import LoadedConfig, effective, load_config
from edgesdk_agent.config.secrets import secrets_of
from edgesdk_agent.health.status_file import find_status
from edgesdk_agent.logs.redaction import Redaction
from edgesdk_agent.support_bundle import parts
from edgesdk_targets.errors import EdgeError, InputError
from edgesdk_targets.whole_file import check_writable

log = logging.getLogger(__name__)

_MOST_BYTES_A_PART = 8 << 20


def write_support_bundle(
    out: Path, *, config: Path | None = None, log_file: Path | None = None, device: str = ""
) -> dict[str, Any]:
    """Gather and write, and return `{file, parts, left_out}`.

    Args:
        out: the zip; an older one is replaced.
        config: the agent's configuration, shown as it is in effect, its secrets hidden.
        log_file: instead of the service's journal.
        device: which agent, where several run here.

    Raises:
        InputError: the zip cannot be written there, or the configuration cannot be read.
    """
    if out.suffix.lower() != ".zip":
        raise InputError(f"{out} is no zip.", hint="Name it OUT.zip.")
    check_writable(out, "OUT.zip")
    redaction = Redaction()
    redaction.add(*parts.secrets_of_environment())
    loaded = None if config is None else load_config(config, no_mqtt=True)
    if loaded is not None:
        redaction.add(*secrets_of(loaded.config))
    statuses = _statuses(device)
    gathered: dict[str, Callable[[], str]] = {
        "about.json": lambda: _json(parts.about()),
        "hardware.json": lambda: _json(parts.hardware()),
        "status.json": lambda: _json(statuses),
        "threads.txt": lambda: parts.threads_of(statuses),
        "log.txt": lambda: parts.log_text(log_file),
    }
    if loaded is not None:
        gathered["configuration.txt"] = lambda: _configuration(loaded)
    left_out: dict[str, str] = {}
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, gather in gathered.items():
            try:
                text = gather()
            except EdgeError as error:
                left_out[name] = error.message
                continue
            except (
                Exception
            ) as error:  # what is broken is what the bundle is for: the other parts are told all the same
                log.debug("%s could not be gathered", name, exc_info=True)
                left_out[name] = f"{type(error).__name__}: {error}"
                continue
            archive.writestr(name, redaction(text)[-_MOST_BYTES_A_PART:])
        if left_out:
            archive.writestr("left-out.json", redaction(_json(left_out)))
    out.chmod(0o600)
    return {"file": str(out), "parts": [name for name in gathered if name not in left_out], "left_out": left_out}


def _statuses(device: str) -> list[dict[str, Any]]:
    try:
        return find_status(device)
    except InputError:
        return []


def _configuration(loaded: LoadedConfig) -> str:
    return "\n".join(f"{line.path} = {line.value}    ({line.origin})" for line in effective(loaded)) + "\n"


def _json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, default=str)
