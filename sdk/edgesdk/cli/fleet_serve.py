"""`edgesdk fleet serve`: the whole fleet in one command: broker, collector, API and dashboard."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgesdk.cli.broker_access import Ca, Cert, CertKey, Insecure, Password, Username, broker_access
from edgesdk.cli.output import JsonFlag
from edgesdk_targets.errors import InputError

if TYPE_CHECKING:
    from asyncio import Event
    from collections.abc import Awaitable, Callable
    from ssl import SSLContext

    from fastapi import APIRouter

    from edgesdk.fleet.broker import Broker
    from edgesdk.fleet.service.parts import Joining, Parts
    from edgesdk.fleet.service.serve import ServeSettings, Service
    from edgesdk_targets.broker_address import BrokerAddress

_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  (compared with, not bound)


def serve(
    broker: Annotated[
        str,
        typer.Option(
            "--broker",
            "-b",
            help="mqtt://host:1883 or mqtts://…; one is started where none is named.",
            envvar="EDGESDK_MQTT__URL",
        ),
    ] = "",
    db: Annotated[
        str, typer.Option("--db", help="The store: a file, or postgresql://user@host/fleet.", envvar="EDGESDK_FLEET_DB")
    ] = "fleet.db",
    host: Annotated[str, typer.Option(help="Address that the dashboard listens on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Its port; 0 takes a free one.", min=0, max=65535)] = 8480,
    certificate: Annotated[Path | None, typer.Option(help="For HTTPS: certificate (PEM).")] = None,
    key: Annotated[Path | None, typer.Option(help="Its key (PEM).")] = None,
    https: Annotated[bool, typer.Option("--https", help="A proxy in front speaks HTTPS.")] = False,
    open_to_network: Annotated[
        bool, typer.Option("--open-to-network", help="Serve other machines without HTTPS.")
    ] = False,
    broker_host: Annotated[str, typer.Option(help="Address that the started broker listens on.")] = "127.0.0.1",
    broker_port: Annotated[int, typer.Option(help="Its port; 0 takes a free one.", min=0, max=65535)] = 1883,
    username: Username = "",
    password: Password = "",
    ca: Ca = None,
    cert: Cert = None,
    cert_key: CertKey = None,
    insecure: Insecure = False,
    retain: Annotated[
        str, typer.Option(help="How long what is kept: raw reports, minutes, hours, events, media; `forever` too.")
    ] = "raw=48h,minutes=90d,hours=forever,events=1y,media=30d",
    no_collector: Annotated[
        bool, typer.Option("--no-collector", help="`edgesdk fleet record` runs elsewhere, on the same store.")
    ] = False,
    seal: Annotated[
        Path,
        typer.Option(help="The key of the alert channels' secrets; made where it is absent.", envvar="EDGESDK_SEAL"),
    ] = Path("seal.key"),
    alerts_every: Annotated[float, typer.Option(help="Seconds between two looks at the alert rules.", min=0.1)] = 5.0,
    authority: Annotated[
        Path | None,
        typer.Option(help="Let devices enrol here: the folder of `edgesdk fleet broker-config`'s authority."),
    ] = None,
    device_broker: Annotated[
        str, typer.Option(help="For enrolled devices, where they reach the broker: mqtts://host:8883.")
    ] = "",
    device_server: Annotated[
        str, typer.Option(help="Where devices reach this service, to enrol and to fetch bundles: https://host:8480.")
    ] = "",
    home_assistant: Annotated[
        bool, typer.Option("--home-assistant", help="Tell Home Assistant of every device, by MQTT discovery.")
    ] = False,
    bundles: Annotated[
        Path | None, typer.Option(help="The folder of bundles that devices may fetch; beside the store unless given.")
    ] = None,
    wheelhouse: Annotated[Path | None, typer.Option(help="Installers that scripts/wheelhouse wrote.")] = None,
    crl: Annotated[
        list[Path] | None,
        typer.Option("--crl", help="A further copy of the list of revoked certificates, such as the broker's crl.pem."),
    ] = None,
    broker_reload: Annotated[
        str, typer.Option(help="How the broker reads that list: 'systemctl reload mosquitto'; no shell.")
    ] = "",
    json_output: JsonFlag = False,
) -> None:
    """Open the fleet's dashboard and API until Ctrl-C. Starts a broker unless one is named, and records everything."""
    import asyncio
    from contextlib import ExitStack

    from edgesdk import __version__
    from edgesdk.fleet.broker import Broker
    from edgesdk.fleet.enrol.authority import Authority
    from edgesdk.fleet.enrol.taking_back import TakingBack
    from edgesdk.fleet.service.alert_rounds import alert_rounds
    from edgesdk.fleet.service.collector_process import CollectorProcess
    from edgesdk.fleet.service.serve import ServeSettings, Service, make_parts
    from edgesdk.fleet.service.uploads.incoming import Incoming
    from edgesdk.fleet.service.uploads.tus import upload_router
    from edgesdk.fleet.store.address import bundles_beside, parse
    from edgesdk.fleet.store.engine import opened_store
    from edgesdk.fleet.store.media import MediaFolder
    from edgesdk_targets.broker_address import BrokerAddress

    settings = ServeSettings(host, port, certificate, key, https)
    _check_protected(settings, enrols=authority is not None, open_to_network=open_to_network)
    place = parse(db)
    with ExitStack() as stack:
        started: Broker | None = None
        if not broker:
            made = Broker(host=broker_host, port=broker_port, username=username, password=password)
            started = stack.enter_context(_started(made))
            broker = str(started.address)
        address, tls = broker_access(broker, username, password, ca=ca, cert=cert, key=cert_key, insecure=insecure)
        engine = stack.enter_context(opened_store(place))
        parts = make_parts(engine, MediaFolder.beside(place).root.resolve(), broker=address, tls=tls)
        collector = None
        if not no_collector:
            arguments = ["--wait", "--retain", retain]
            for option, value in (("--ca", ca), ("--cert", cert), ("--key", cert_key)):
                arguments += [option, str(value)] if value is not None else []
            arguments += ["--insecure"] if insecure else []
            collector = CollectorProcess(arguments, _places(address, db), parts.collecting)
        service = Service(parts, settings, collector, version=__version__)
        service.background.append(alert_rounds(parts, seal, every_s=alerts_every))
        if home_assistant:
            service.background.append(_home_assistant(address, tls, device_server))
        shelf = bundles or bundles_beside(place)
        _rollouts(service, shelf, device_server, address, tls)
        service.open_routers.append(upload_router(Incoming(parts.media / ".incoming")))
        if authority is not None:
            service.open_routers.append(_enrolment(parts, authority, device_broker or broker, shelf, wheelhouse))
            parts.joining = _joining(device_server, authority, certificate)
            devices_at = BrokerAddress.parse(device_broker or broker).port
            # Without a command that lets the broker read the list, nobody can wait until it has.
            services = address if broker_reload and address.tls else None
            parts.taking_back = TakingBack(
                Authority.open(authority),
                tuple(crl or ()),
                broker_reload,
                services,
                devices_at,
                ca=ca,
                cert=cert,
                key=cert_key,
            )
        first = parts.access.people.empty()
        asyncio.run(
            service.run(
                lambda url: _tell(
                    url, parts.access.setup.code if first else "", str(address), str(place), started, json_output
                )
            )
        )


@contextmanager
def _started(broker: Broker) -> Iterator[Broker]:
    """Run a broker; what is wrong with its port is told by the options that it has here. Raises InputError, LinkError."""
    try:
        broker.start()
    except InputError as error:
        hint = error.hint.replace("--port", "--broker-port").replace("--host", "--broker-host")
        raise InputError(
            error.message, hint=hint.replace("Use what runs there", "Use what runs there (--broker)")
        ) from error
    try:
        yield broker
    finally:
        broker.stop()


def _check_protected(settings: ServeSettings, *, enrols: bool, open_to_network: bool) -> None:
    """Refuse to serve others, or to let devices enrol, without HTTPS. Raises InputError."""
    from edgesdk.fleet.broker import is_loopback

    if (settings.certificate is None) != (settings.key is None):
        raise InputError("HTTPS needs both --certificate and --key.", hint="Give both, or none.")
    if enrols and not settings.secure:
        raise InputError(
            "Devices enrol over HTTPS only.", hint="Give --certificate and --key, or --https behind a proxy."
        )
    if not is_loopback(settings.host) and not settings.secure and not open_to_network:
        raise InputError(
            f"At {settings.host} passwords would cross the network unprotected.",
            hint="Give --certificate and --key, or --https behind a proxy; --open-to-network where you mean it.",
        )


def _places(address: BrokerAddress, db: str) -> dict[str, str]:
    """Return the collector's environment: where broker and store are. Anybody may read a process's arguments."""
    login = {
        "EDGESDK_MQTT__USERNAME": address.username,
        "EDGESDK_MQTT__PASSWORD": address.password.get_secret_value() if address.password else "",
    }
    return {"EDGESDK_MQTT__URL": str(address), "EDGESDK_FLEET_DB": db, **{k: v for k, v in login.items() if v}}


def _home_assistant(
    address: BrokerAddress, tls: SSLContext | None, dashboard: str
) -> Callable[[Event], Awaitable[None]]:
    from edgesdk.fleet.interop.home_assistant_bridge import keep_bridge

    return lambda stop: keep_bridge(address, tls=tls, dashboard=dashboard, stop=stop)


def _rollouts(service: Service, folder: Path, server: str, address: BrokerAddress, tls: SSLContext | None) -> None:
    """Let the service drive roll-outs, and devices fetch their bundles from a folder.

    Raises:
        InputError: where devices reach it is no https://….
    """
    from edgesdk.fleet.rollout.shelf import Shelf
    from edgesdk.fleet.service.rollouts.driver import Driver, rollout_rounds
    from edgesdk.fleet.service.rollouts.shelf_routes import shelf_router

    settings = service.settings
    server = server.rstrip("/")
    if server and not server.startswith("https://"):
        raise InputError(f"{server} is not encrypted.", hint="--device-server https://host:8480")
    if not server and settings.certificate is not None and settings.port and settings.host not in _EVERYWHERE:
        server = settings.url(settings.port).rstrip("/")
    shelf = service.parts.shelf = Shelf(folder)
    service.parts.bundle_server = server
    service.open_routers.append(shelf_router(service.parts.engine, shelf))
    service.background.append(rollout_rounds(Driver(service.parts.engine, shelf, server), address, tls=tls))


def _enrolment(parts: Parts, authority: Path, broker: str, bundles: Path, wheelhouse: Path | None) -> APIRouter:
    """Return the routes by which devices join; what they ask stands in the audit log.

    Raises:
        InputError: the authority cannot be opened, or the broker's address is not encrypted.
    """
    from edgesdk.fleet.enrol.api import enrolment_router
    from edgesdk.fleet.enrol.authority import Authority
    from edgesdk.fleet.enrol.bundle_shelf import BundleShelf
    from edgesdk.fleet.enrol.claims import EnrolmentDesk
    from edgesdk.fleet.enrol.wheelhouses import Wheelhouses
    from edgesdk_targets.broker_address import BrokerAddress

    address = BrokerAddress.parse(broker)
    if not address.tls:
        raise InputError(f"{address} is not encrypted.", hint="--device-broker mqtts://host:8883")
    desk = EnrolmentDesk(parts.engine, Authority.open(authority), str(address), BundleShelf(bundles))

    def note(action: str, subject: str, outcome: str, peer: str) -> None:
        parts.audit.write(subject or "a device", action, subject, outcome=outcome, address=peer)

    return enrolment_router(desk, wheelhouses=Wheelhouses(wheelhouse), note=note)


def _joining(server: str, authority: Path, certificate: Path | None) -> Joining:
    """Return what pasted lines hold of this service; behind a proxy, its certificate is the proxy's and not ours to pin.

    Raises:
        InputError: the certificate is none, or the address is no https://….
    """
    from edgesdk.fleet.enrol.authority import Authority
    from edgesdk.fleet.enrol.install_line import Service, pin_of
    from edgesdk.fleet.service.parts import Joining

    server = server.rstrip("/")
    if server:
        Service(server)
    if certificate is None:
        return Joining(server)
    try:
        pin = pin_of(certificate.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{certificate} is no certificate.", hint="Give a PEM file.") from error
    return Joining(server, pin, Authority.open(authority).fingerprint)


def _tell(url: str, code: str, broker: str, db: str, started: Any, json_output: bool) -> None:
    from edgesdk.cli.output import next_command, note, print_json
    from edgesdk.fleet.dashboard.static_files import has_packages

    setup = f"{url}setup?code={code}" if code else ""
    if json_output:
        print_json({"url": url, "setup": setup or None, "broker": broker, "db": db})
    else:
        typer.echo(f"Dashboard  {url}")
        if setup:
            typer.echo(f"Set it up  {setup}")
        typer.echo(f"Broker     {broker}{f' ({started.program.kind}, ends with this)' if started else ''}")
        typer.echo(f"Store      {db}")
    import sys

    sys.stdout.flush()
    if not has_packages():
        note(
            "warning: built without the dashboard's scripts: pages do not refresh by themselves. See scripts/frontend.py"
        )
    next_command(f"edgesdk agent run --bundle MODEL.edgebundle --source 0 --broker {broker} --name gate-1")
