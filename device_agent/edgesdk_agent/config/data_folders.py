"""Where an agent with this configuration keeps data: the folders whose disk must not fill.

The ring of clips is not among them: it may lie in memory, and keeps to its own quota.
"""

from __future__ import annotations

from pathlib import Path

from edgesdk_agent.config.root import AgentConfig


def data_folders(config: AgentConfig) -> tuple[Path, ...]:
    """Return the folders, each once; they need not be there yet. None where everything is kept in memory."""
    outbox = config.outbox.file()
    pictures = config.pictures.folder if config.pictures.enabled else None
    state = config.commands.state_folder() if config.commands.enabled else None
    found = (None if outbox is None else outbox.parent, state, pictures)
    return tuple(dict.fromkeys(folder for folder in found if folder is not None))
