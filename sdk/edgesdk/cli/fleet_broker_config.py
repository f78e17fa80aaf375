"""`edgesdk fleet broker-config`: everything that a mosquitto for a fleet in earnest needs, in one folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgesdk.cli.output import JsonFlag

AuthorityOption = Annotated[
    Path,
    typer.Option(
        "--authority", help="The fleet's certificate authority; made where it is absent.", envvar="EDGESDK_AUTHORITY"
    ),
]


def broker_config(
    out: Annotated[Path, typer.Argument(help="The folder to write into.")],
    name: Annotated[
        list[str],
        typer.Option("--name", help="A name or address by which devices reach the broker; several are allowed."),
    ],
    authority: AuthorityOption = Path("authority"),
    host: Annotated[str, typer.Option(help="Address at which devices are heard.")] = "0.0.0.0",  # noqa: S104
    port: Annotated[int, typer.Option(help="Port for devices.", min=1, max=65535)] = 8883,
    service_host: Annotated[str, typer.Option(help="Address at which the fleet's services are heard.")] = "127.0.0.1",
    service_port: Annotated[int, typer.Option(help="Port for services.", min=1, max=65535)] = 8884,
    service: Annotated[
        list[str] | None,
        typer.Option("--service", help="A part of the fleet that gets a certificate; `fleet` unless given."),
    ] = None,
    reader: Annotated[
        list[str] | None, typer.Option("--reader", help="A client that may only listen, such as homeassistant.")
    ] = None,
    installed_at: Annotated[
        Path | None, typer.Option(help="The folder in which the broker will find these files; OUT unless given.")
    ] = None,
    data: Annotated[str, typer.Option(help="Folder of mosquitto's database; empty keeps none.")] = "/var/lib/mosquitto",
    user: Annotated[str, typer.Option(help="Whom mosquitto becomes; its own default unless given.")] = "",
    json_output: JsonFlag = False,
) -> None:
    """Write a hardened mosquitto: TLS 1.3, client certificates, each device bound to its own topics; no plain port."""
    from edgesdk.cli.output import next_command, note, print_json
    from edgesdk.fleet.enrol.authority import Authority
    from edgesdk.fleet.enrol.broker_files import write_broker_files
    from edgesdk.fleet.hardened_broker import HardenedBroker

    broker = HardenedBroker(
        installed_at=(installed_at or out).absolute(),
        host=host, port=port, service_host=service_host, service_port=service_port,
        services=tuple(service or ("fleet",)), readers=tuple(reader or ()), data=data, user=user,
    )  # fmt: skip
    signer = Authority.open_or_create(authority)
    written = write_broker_files(out, broker, signer, tuple(name))
    if json_output:
        print_json(
            {
                "folder": str(out),
                "files": written,
                "authority": str(authority),
                "ca_sha256": signer.fingerprint,
                "broker": f"mqtts://{name[0]}:{port}",
                "services": f"mqtts://{service_host}:{service_port}",
            }
        )
        return
    for file in written:
        typer.echo(str(out / file))
    note(f"Whoever has {authority / 'ca.key'} can be any device: back it up, and keep it to yourself.")
    next_command(f"mosquitto -c {broker.installed_at / 'mosquitto.conf'}")
