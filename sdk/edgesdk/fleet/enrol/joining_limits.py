"""How often one address may ask to join. A token cannot be guessed; this keeps who tries from taking the service's time."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

from edgesdk.fleet.service.security.network import network_of
from edgesdk.fleet.service.security.rate_limit import JOINING, REFUSED_JOINING, RateLimit
from edgesdk.fleet.service.security.refusals import TooManyRequests


@dataclass(frozen=True, slots=True)
class JoiningLimits:
    """How often one address may ask: for anything, and in vain."""

    asked: RateLimit = field(default_factory=lambda: RateLimit(JOINING))
    refused: RateLimit = field(default_factory=lambda: RateLimit(REFUSED_JOINING))

    def ask(self, address: str) -> None:
        """Count a request; who was refused too often is not listened to, whatever token comes now. Raises TooManyRequests."""
        network = network_of(address)
        self.asked.take(network)
        self.refused.look(network)

    def was_refused(self, address: str) -> None:
        """Count a request that was refused."""
        with contextlib.suppress(TooManyRequests):
            self.refused.take(network_of(address))
