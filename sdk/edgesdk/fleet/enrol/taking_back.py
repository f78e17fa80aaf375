"""Take a device's identity back and see to it that the broker keeps it out: written, read by the broker, refused, thrown out.

In this order: who is thrown out before the broker refuses is back before anybody has looked.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from edgesdk.fleet.enrol.authority import Authority
from edgesdk.fleet.enrol.disconnect import disconnect
from edgesdk.fleet.enrol.refusal_probe import RefusalProbe
from edgesdk.fleet.enrol.revocation import reload_broker, revoke_in_store, write_list
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.errors import EdgeError, InputError


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What became of it.

    Attributes:
        serials: of the certificates that are no longer good.
        disconnected: whether the broker refuses it, and has ended its connection.
        problem: why the broker may still let it in; the identity is taken back all the same.
    """

    serials: tuple[str, ...]
    disconnected: bool = False
    problem: EdgeError | None = None


@dataclass(frozen=True, slots=True)
class TakingBack:
    """How identities are taken back in one fleet.

    Attributes:
        copies: further places of the list of revoked certificates, such as the broker's own folder.
        reload: the command by which the broker reads it; empty where somebody else tells it.
        broker: where it hears services, to end the open connection; None: that is left.
        device_port: where the same broker hears devices: there it is asked whether it refuses.
        ca, cert, key: with which a service comes to the broker.
        wait_s: how long the broker may take to read the list.
    """

    authority: Authority
    copies: tuple[Path, ...] = ()
    reload: str = ""
    broker: BrokerAddress | None = None
    device_port: int = 8883
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    wait_s: float = 10.0

    def take_back(self, engine: Engine, node: str, reason: str) -> TakenBack:
        """Take everything back by which a device could come.

        Raises:
            InputError: there is no such device. What went wrong later is in what is returned.
        """
        probe = RefusalProbe(self.authority) if self.broker is not None else None
        also = (probe.revoked,) if probe is not None else ()
        serials = tuple(revoke_in_store(engine, node, reason))
        try:
            write_list(engine, self.authority, copies=self.copies, also=also)
            if self.reload:
                reload_broker(self.reload)
            if self.broker is None or probe is None:
                return TakenBack(serials)
            self._throw_out(self.broker, node, probe)
        except EdgeError as error:
            return TakenBack(serials, problem=error)
        return TakenBack(serials, disconnected=True)

    def _throw_out(self, broker: BrokerAddress, node: str, probe: RefusalProbe) -> None:
        if not probe.wait_refused(broker.host, self.device_port, ca=self.ca, within_s=self.wait_s):
            where = f"{broker.host}:{self.device_port}"
            raise InputError(
                f"{node} is taken back, but the broker at {where} has not read the list and lets it in.",
                hint="Is --crl the file that it reads? Say --reload 'systemctl reload mosquitto', and do this again.",
            )
        disconnect(broker.host, broker.port, node, ca=self.ca, cert=self.cert, key=self.key)
