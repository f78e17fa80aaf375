"""The agent's queue of reports, as its configuration says: on disk, or in memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from edgesdk_agent.config.root import AgentConfig
from edgesdk_agent.outbox.keeper import Keeper
from edgesdk_agent.outbox.outbox import Outbox
from edgesdk_agent.outbox.settings import OutboxSettings


def open_outbox(config: AgentConfig) -> Outbox:
    """Open the outbox that the configuration names.

    Raises:
        InputError: another process has it.
    """
    section, word = config.outbox, config.mqtt.acknowledge
    file = section.file()
    assert file is not None  # noqa: S101  (asked for only then)
    settings = OutboxSettings(
        **section.model_dump(exclude={"path", "metered", "metered_bytes_per_day"}),
        metered_bytes_per_day=section.bytes_per_day(),
        memory_bytes=config.queue.max_bytes,
        # An outbox that a service has unasked must not wait for a collector that nobody runs, until one is heard.
        by_collector=word == "collector" or (word == "auto" and section.path is not None),
        once_heard=word == "auto",
    )
    return Outbox(file, str(config.device.node), settings)


@contextlib.contextmanager
def kept(outbox: Outbox, tell: Callable[[str, str], None]) -> Iterator[None]:
    """Write the outbox to disk in the background, and close it at the end.

    Args:
        tell: is given code and message when the disk fails.
    """
    outbox.on_trouble(tell)
    keeper = Keeper(outbox)
    keeper.start()
    try:
        yield
    finally:
        keeper.stop()
