"""`edgesdk fleet home-assistant`: let every device appear in Home Assistant by itself."""

from __future__ import annotations

from typing import Annotated

import typer

from edgesdk.cli.broker_access import HERE, BrokerUrl, Ca, Cert, CertKey, Insecure, Password, Username, broker_access
from edgesdk.cli.output import JsonFlag


def home_assistant(
    broker: BrokerUrl = HERE,
    username: Username = "",
    password: Password = "",
    ca: Ca = None,
    cert: Cert = None,
    key: CertKey = None,
    insecure: Insecure = False,
    every: Annotated[float, typer.Option(help="Seconds between two states of one device, at least.", min=1.0)] = 10.0,
    dashboard: Annotated[str, typer.Option(help="The dashboard's address; each device then links to its page.")] = "",
    duration: Annotated[float | None, typer.Option(help="End after this many seconds.", min=0.0)] = None,
    json_output: JsonFlag = False,
) -> None:
    """Say MQTT discovery messages for every device, and its figures, until Ctrl-C."""
    import asyncio

    from edgesdk.cli.output import note, print_json
    from edgesdk.fleet.interop.home_assistant_bridge import HomeAssistantBridge, run_bridge

    address, tls = broker_access(broker, username, password, ca=ca, cert=cert, key=key, insecure=insecure)

    async def run() -> HomeAssistantBridge:
        stop = asyncio.Event()
        if duration is not None:
            asyncio.get_running_loop().call_later(duration, stop.set)
        return await run_bridge(
            address,
            tls=tls,
            every_s=every,
            dashboard=dashboard,
            stop=stop,
            ready=lambda: note(f"Telling Home Assistant by {address}"),
        )

    bridge = asyncio.run(run())
    if json_output:
        print_json({"broker": str(address), "devices": bridge.devices, "unreadable": bridge.unreadable})
    else:
        note(f"{bridge.devices} device(s) announced")
