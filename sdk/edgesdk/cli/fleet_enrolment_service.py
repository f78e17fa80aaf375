"""`edgesdk fleet enrolment-service`: the endpoints by which devices join, alone: for a network of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgesdk.cli.fleet_broker_config import AuthorityOption
from edgesdk_targets.errors import InputError


def enrolment_service(
    broker: Annotated[str, typer.Option("--broker", "-b", help="Where enrolled devices report: mqtts://host:8883.")],
    db: Annotated[
        str, typer.Option("--db", help="The fleet's store: a file, or postgresql://…", envvar="EDGESDK_FLEET_DB")
    ] = "fleet.db",
    authority: AuthorityOption = Path("authority"),
    bundles: Annotated[Path | None, typer.Option(help="A folder of bundles that devices may fetch.")] = None,
    wheelhouse: Annotated[
        Path | None, typer.Option(help="Installers that scripts/wheelhouse wrote: one, or a folder of them by target.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "0.0.0.0",  # noqa: S104  (devices come from elsewhere; TLS always)
    port: Annotated[int, typer.Option(help="Port.", min=1, max=65535)] = 8443,
) -> None:
    """Give devices their identity over HTTPS, until Ctrl-C; `edgesdk fleet enrol` makes the lines to paste."""
    from edgesdk.cli.output import note
    from edgesdk.fleet.enrol.authority import Authority
    from edgesdk.fleet.enrol.bundle_shelf import BundleShelf
    from edgesdk.fleet.enrol.claims import EnrolmentDesk
    from edgesdk.fleet.enrol.wheelhouses import Wheelhouses
    from edgesdk.fleet.store.engine import opened_store
    from edgesdk_targets.broker_address import BrokerAddress
    from edgesdk_targets.errors import MissingExtra

    try:
        import uvicorn
        from fastapi import FastAPI

        from edgesdk.fleet.enrol.api import enrolment_router
    except ImportError as error:
        raise MissingExtra(error.name or "fastapi", "fleet") from error
    address = BrokerAddress.parse(broker)
    if not address.tls:
        raise InputError(f"{address} is not encrypted.", hint="Devices with certificates report to mqtts://.")
    signer = Authority.open(authority)
    certificate, key = authority / "service.crt", authority / "service.key"
    if not certificate.exists() or not key.exists():
        raise InputError(
            f"{authority} holds no certificate of the service.", hint="edgesdk fleet service-certificate HOST"
        )
    with opened_store(db) as engine:
        desk = EnrolmentDesk(engine, signer, str(address), BundleShelf(bundles))
        app = FastAPI(title="edgesdk enrolment", docs_url=None, redoc_url=None, openapi_url=None)
        app.include_router(enrolment_router(desk, wheelhouses=Wheelhouses(wheelhouse), note=_told))
        note(f"Devices join at https://{host}:{port} (Ctrl-C ends it)")
        uvicorn.run(
            app, host=host, port=port, log_level="warning", ssl_certfile=str(certificate), ssl_keyfile=str(key),
            server_header=False, limit_concurrency=200, timeout_keep_alive=5,
        )  # fmt: skip


def _told(action: str, subject: str, outcome: str, address: str) -> None:
    """Write a line for each device that asks."""
    from edgesdk.cli.output import note, plain

    note(f"{action} {outcome} {plain(subject)} from {address}".replace("  ", " "))
