"""`edgesdk deploy`: a signed bundle to one device over SSH, and what becomes of it there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgesdk.cli.output import JsonFlag, console, print_json

DEVICE_CONFIG = Path("/etc/edgesdk/edgesdk.yaml")


def deploy(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A signed .edgebundle.")],
    direct: Annotated[str, typer.Option("--direct", metavar="HOST", help="The device, as ssh knows it: [USER@]HOST.")],
    config: Annotated[Path, typer.Option(help="The agent's configuration on the device.")] = DEVICE_CONFIG,
    sudo: Annotated[bool, typer.Option(help="Ask there as the administrator, without a password.")] = True,
    wait: Annotated[bool, typer.Option(help="Wait until it stays or was taken back.")] = True,
    json: JsonFlag = False,
) -> None:
    """Bring a signed bundle to one device by ssh, where it is proven and tried; see docs/updating.md."""
    from edgesdk.direct_deploy import deploy_direct

    found = deploy_direct(bundle, direct, config, sudo=sudo, wait=wait)
    if json:
        print_json({"host": direct, "code": found.code, **found.told})
    else:
        console().print(found.text, highlight=False)
    raise typer.Exit(found.code)
