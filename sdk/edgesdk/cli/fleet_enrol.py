"""`edgesdk fleet enrol|enrolments|revoke`: give devices their identity, list it, take it back."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any

import typer

from edgesdk.cli.fleet_broker_config import AuthorityOption
from edgesdk.cli.output import JsonFlag
from edgesdk_targets.errors import InputError

DbOption = Annotated[
    str, typer.Option("--db", help="The fleet's store: a file, or postgresql://…", envvar="EDGESDK_FLEET_DB")
]
ServerOption = Annotated[
    str,
    typer.Option(
        "--server", help="The fleet's service as devices reach it: https://host:8443.", envvar="EDGESDK_SERVER"
    ),
]
_ACTOR = "command line"


def enrol(
    name: Annotated[str, typer.Argument(help="The device to be; or give --csv.")] = "",
    server: ServerOption = "",
    db: DbOption = "fleet.db",
    authority: AuthorityOption = Path("authority"),
    certificate: Annotated[
        Path | None,
        typer.Option(
            help="The service's certificate, whose key the line pins; the authority's service.crt unless given."
        ),
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="The service has a certificate that every device trusts: pin nothing.")
    ] = False,
    csv: Annotated[
        Path | None, typer.Option("--csv", help="Many devices: name,tenant,site,target,template,tags,camera,bundle.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the lines of --csv into this file, for your eyes only.")
    ] = None,
    tenant: Annotated[str, typer.Option(help="The device's tenant.")] = "local",
    site: Annotated[str, typer.Option(help="Where it stands.")] = "",
    tag: Annotated[list[str] | None, typer.Option("--tag", help="A tag; several are allowed.")] = None,
    target: Annotated[str, typer.Option(help="What it is, such as rpi5; chooses the installer.")] = "",
    template: Annotated[str, typer.Option(help="The configuration template that it follows.")] = "",
    camera: Annotated[str, typer.Option(help="The address of its camera.")] = "",
    bundle: Annotated[str, typer.Option(help="The name of its bundle, in the service's folder of bundles.")] = "",
    ttl: Annotated[str, typer.Option(help="How long the line holds: 30m, 24h, 7d.")] = "24h",
    again: Annotated[
        bool, typer.Option("--again", help="For a device that has an identity and was set up anew.")
    ] = False,
    json_output: JsonFlag = False,
) -> None:
    """Print one line to paste on a device: it installs, claims its identity, configures itself and starts."""
    from edgesdk.cli.output import note, print_json
    from edgesdk.fleet.enrol.authority import Authority
    from edgesdk.fleet.enrol.orders import make_enrolments, order, orders_from_csv
    from edgesdk.fleet.enrol.tokens import read_ttl
    from edgesdk.fleet.store.engine import opened_store

    if bool(name) == bool(csv):
        raise InputError("Name one device, or give --csv.", hint="edgesdk fleet enrol door-1 --server https://…")
    ttl_s = read_ttl(ttl).total_seconds()
    service = _service(server, Authority.open(authority), certificate, public=public)
    orders = (
        [order(name, tenant=tenant, site=site, target=target, template=template, tags=tag or (), camera=camera, bundle=bundle)]
        if csv is None
        else orders_from_csv(csv)
    )  # fmt: skip
    with opened_store(db) as engine:
        made = make_enrolments(engine, orders, actor=_ACTOR, ttl_s=ttl_s, again=again)
    lines = [(one.order.node, _line(service, one)) for one in made]
    expires = datetime.fromtimestamp(made[0].expires_ms / 1000, timezone.utc).isoformat(timespec="minutes")
    if json_output:
        print_json({"expires": expires, "devices": [{"node": node, "line": line} for node, line in lines]})
    elif out is not None:
        _write_lines(out, lines)
        note(f"{len(lines)} lines in {out}; each is good once, until {expires}")
    else:
        for node, line in lines:
            typer.echo(line if len(lines) == 1 else f"# {node}\n{line}")
        note(f"Paste it on the device. It is good once, until {expires}; whoever has it can be this device.")


def enrolments(
    db: DbOption = "fleet.db",
    node: Annotated[str, typer.Option(help="The certificates of one device: tenant.device.")] = "",
    json_output: JsonFlag = False,
) -> None:
    """List tokens and what became of them, or one device's certificates."""
    from edgesdk.cli.output import add_row, console, print_json, table
    from edgesdk.fleet.store.engine import opened_store, reading
    from edgesdk.fleet.store.enrolments import list_certificates, list_enrolments

    now_ms = int(time.time() * 1000)
    with opened_store(db, create=False) as engine, reading(engine) as connection:
        tokens = [] if node else list_enrolments(connection)
        held = list_certificates(connection, node) if node else []
    rows: list[dict[str, Any]] = [
        {
            "node": one.node, "token": f"{one.prefix}…", "state": one.state(now_ms), "site": one.site,
            "template": one.template, "created": _when(one.created_ms), "expires": _when(one.expires_ms),
        }
        for one in tokens
    ] + [
        {
            "node": one.node, "serial": one.serial, "state": _certificate_state(one.revoked_ms, one.not_after_ms, now_ms),
            "issued": _when(one.issued_ms), "until": _when(one.not_after_ms), "reason": one.reason,
        }
        for one in held
    ]  # fmt: skip
    if json_output:
        print_json({"certificates" if node else "enrolments": rows})
        return
    shown = table(*(rows[0] if rows else ("node", "state")))
    for row in rows:
        add_row(shown, *map(str, row.values()))
    console().print(shown)


def revoke(
    node: Annotated[str, typer.Argument(help="tenant.device.")],
    db: DbOption = "fleet.db",
    authority: AuthorityOption = Path("authority"),
    reason: Annotated[str, typer.Option(help="Why; kept with the certificate.")] = "",
    crl: Annotated[
        list[Path] | None, typer.Option("--crl", help="A further copy of the list, such as the broker's crl.pem.")
    ] = None,
    reload: Annotated[
        str, typer.Option("--reload", help="How the broker reads the list: 'systemctl reload mosquitto'; no shell.")
    ] = "",
    broker: Annotated[
        str, typer.Option(help="Where the broker hears services, to end the open connection: mqtts://host:8884.")
    ] = "",
    device_port: Annotated[
        int,
        typer.Option(
            help="Where the same broker hears devices: there it is asked whether it refuses.", min=1, max=65535
        ),
    ] = 8883,
    wait_s: Annotated[
        float, typer.Option(help="How long the broker may take to read the list.", min=0, max=600)
    ] = 10.0,
    ca: Annotated[Path | None, typer.Option(help="Certificates to trust (PEM).")] = None,
    cert: Annotated[Path | None, typer.Option(help="A service's certificate (PEM).")] = None,
    key: Annotated[Path | None, typer.Option(help="Its key (PEM).")] = None,
    json_output: JsonFlag = False,
) -> None:
    """Take back a device's identity; with --reload and --broker it is out of the broker too, and stays out."""
    from edgesdk.cli.output import next_command, note, print_json
    from edgesdk.fleet.enrol.authority import Authority
    from edgesdk.fleet.enrol.taking_back import TakingBack
    from edgesdk.fleet.store.engine import opened_store
    from edgesdk_targets.broker_address import BrokerAddress

    address = BrokerAddress.parse(broker) if broker else None
    how = TakingBack(
        Authority.open(authority),
        tuple(crl or ()),
        reload,
        address,
        device_port,
        ca=ca,
        cert=cert,
        key=key,
        wait_s=wait_s,
    )
    with opened_store(db, create=False) as engine:
        done = how.take_back(engine, node, reason)
    if done.problem is not None:
        raise done.problem
    if json_output:
        print_json({"node": node, "revoked": list(done.serials), "disconnected": done.disconnected})
        return
    note(f"{node}: {len(done.serials)} certificate(s) taken back; in {authority / 'crl.pem'}")
    if not reload:
        next_command("systemctl reload mosquitto")


def clip_token(
    node: Annotated[str, typer.Argument(help="tenant.device.")],
    db: DbOption = "fleet.db",
    json_output: JsonFlag = False,
) -> None:
    """Print the token by which a device sends its clips to `edgesdk fleet serve` (clips.upload.token)."""
    from edgesdk.cli.output import print_json
    from edgesdk.fleet.service.uploads.device_token import token_for
    from edgesdk.fleet.store.engine import opened_store, writing

    with opened_store(db, create=False) as engine, writing(engine) as connection:
        token = token_for(connection, node)
    if json_output:
        print_json({"node": node, "token": token})
        return
    typer.echo(token)


def _service(server: str, signer: Any, certificate: Path | None, *, public: bool) -> Any:
    from edgesdk.fleet.enrol.install_line import Service, pin_of

    if not server:
        raise InputError(
            "Devices need the address of the fleet's service.", hint="--server https://fleet.example.org:8443"
        )
    if public:
        return Service(server.rstrip("/"))
    path = certificate or signer.folder / "service.crt"
    try:
        pin = pin_of(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} is not the service's certificate.",
            hint="edgesdk fleet service-certificate HOST makes one; or give --certificate, or --public.",
        ) from error
    return Service(server.rstrip("/"), pin, signer.fingerprint)


def service_certificate(
    name: Annotated[list[str], typer.Argument(help="Names and addresses by which devices reach the service.")],
    authority: AuthorityOption = Path("authority"),
    json_output: JsonFlag = False,
) -> None:
    """Make the service's own HTTPS certificate, signed by the fleet's authority: service.crt and service.key."""
    from edgesdk.cli.output import next_command, print_json
    from edgesdk.fleet.enrol.authority import Authority
    from edgesdk_targets.whole_file import OWNER_ONLY, disk_errors, write_whole

    signer = Authority.open_or_create(authority)
    pair = signer.server(name)
    with disk_errors(authority):
        write_whole(authority / "service.key", pair.key, OWNER_ONLY)
    write_whole(authority / "service.crt", pair.certificate)
    files = {"certificate": str(authority / "service.crt"), "key": str(authority / "service.key")}
    if json_output:
        print_json({**files, "ca_sha256": signer.fingerprint})
        return
    typer.echo("\n".join(files.values()))
    next_command(f"edgesdk fleet enrol DEVICE --server https://{name[0]}:8443")


def _line(service: Any, made: Any) -> str:
    from edgesdk.fleet.enrol.install_line import install_line

    options = ("--target", made.order.target) if made.order.target else ()
    return install_line(service, made.token, options=options)


def _write_lines(out: Path, lines: list[tuple[str, str]]) -> None:
    from edgesdk_targets.whole_file import OWNER_ONLY, disk_errors, write_whole

    with disk_errors(out):
        write_whole(out, "".join(f"# {node}\n{line}\n" for node, line in lines).encode(), OWNER_ONLY)


def _certificate_state(revoked_ms: int | None, not_after_ms: int, now_ms: int) -> str:
    if revoked_ms is not None:
        return "revoked"
    return "expired" if now_ms >= not_after_ms else "good"


def _when(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, timezone.utc).isoformat(timespec="minutes")
