"""How often passwords may be tried: nobody guesses for long, and nobody keeps another out by guessing badly.

Three counts. A name from one network: hard, as that is what guessing looks like. A network over all names: wider, as an
office or a mobile network has one address for many people. A name over all networks: wide, and not for a browser in which
its owner has logged in before. A try that was right is given back.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from edgesdk.fleet.service.security.rate_limit import Rate, RateLimit

PAIR = Rate(8, 8)
NETWORK = Rate(40, 40)
NAME = Rate(60, 60)


class LoginLimits:
    """Counts tries.

    Args:
        pair, network, name: so many of a name from a network; of a network; of a name from anywhere.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        pair: Rate = PAIR,
        network: Rate = NETWORK,
        name: Rate = NAME,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pairs = RateLimit(pair, clock=clock)
        self._networks = RateLimit(network, clock=clock)
        self._names = RateLimit(name, clock=clock)

    def from_network(self, network: str) -> None:
        """Count a try before anything is looked up. Raises TooManyRequests."""
        self._networks.take(network)

    def for_name(self, name: str, network: str, *, browser: str = "") -> None:
        """Count a try for a name.

        Args:
            browser: the number of a browser that this name is known in, whose tries are its own.

        Raises:
            TooManyRequests: there were too many.
        """
        name = name.casefold()
        if browser:
            self._pairs.take(_known(browser))
            return
        self._pairs.take(_pair(name, network))
        self._names.take(name)

    def was_right(self, name: str, network: str, *, browser: str = "") -> None:
        """Take a try back from the counts."""
        name = name.casefold()
        self._networks.give(network)
        if browser:
            self._pairs.give(_known(browser))
            return
        self._pairs.give(_pair(name, network))
        self._names.give(name)


def _pair(name: str, network: str) -> str:
    return f"{network} as {name}"


def _known(browser: str) -> str:
    return f"browser {browser}"
