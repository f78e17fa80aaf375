"""`edgesdk fleet template …`: configuration that devices share, what differs at a site, and who has drifted."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from edgesdk.cli.broker_access import HERE, BrokerUrl, Ca, Cert, CertKey, Insecure, Password, Username, broker_access
from edgesdk.cli.fleet_alerts import DbOption
from edgesdk.cli.output import JsonFlag
from edgesdk_targets.errors import InputError
from edgesdk_targets.topics import check_name

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def _group() -> None:
    """Configuration that devices share: write it, see what it comes to, find who differs."""


@app.command("set")
def set_template(
    name: Annotated[str, typer.Argument(help="The template.")],
    file: Annotated[Path, typer.Argument(help="A part of edgesdk.yaml.")],
    site: Annotated[str, typer.Option(help="Write what differs at this site.")] = "",
    node: Annotated[str, typer.Option(help="Write what differs on this device: tenant.device.")] = "",
    db: DbOption = "fleet.db",
    json_output: JsonFlag = False,
) -> None:
    """Write a template, or what differs from it at a site or on a device."""
    from edgesdk.cli.output import next_command, note, print_json
    from edgesdk.fleet.enrol.templates import check_place, check_template
    from edgesdk.fleet.store.engine import opened_store, writing
    from edgesdk.fleet.store.templates import get_template, put_override, put_template
    from edgesdk_targets.yaml_file import load_yaml

    if site and node:
        raise InputError("--site and --node exclude one another.", hint="Give one of them.")
    check_name(name, "template")
    if site or node:
        check_place("site" if site else "node", site or node)
    body = check_template(load_yaml(file).data)
    now_ms = int(time.time() * 1000)
    with opened_store(db) as engine, writing(engine) as connection:
        if site or node:
            put_override(connection, name, "site" if site else "node", site or node, body, "command line", now_ms)
        else:
            put_template(connection, name, body, "command line", now_ms)
        version = get_template(connection, name).version
    if json_output:
        print_json({"template": name, "version": version, "site": site, "node": node})
        return
    note(f"{name} is now version {version}")
    next_command(f"edgesdk fleet template push {name} --db {db} --broker mqtts://…")


@app.command("ls")
def list_templates(db: DbOption = "fleet.db", json_output: JsonFlag = False) -> None:
    """List templates."""
    from edgesdk.cli.output import add_row, console, print_json, table
    from edgesdk.fleet.store import templates
    from edgesdk.fleet.store.engine import opened_store, reading

    with opened_store(db, create=False) as engine, reading(engine) as connection:
        found = templates.list_templates(connection)
    if json_output:
        print_json({"templates": [{"name": one.name, "version": one.version, "body": one.body} for one in found]})
        return
    shown = table("template", "version", "says")
    for one in found:
        add_row(shown, one.name, str(one.version), ", ".join(one.body))
    console().print(shown)


@app.command("show")
def show(
    node: Annotated[str, typer.Argument(help="tenant.device.")],
    db: DbOption = "fleet.db",
    json_output: JsonFlag = False,
) -> None:
    """Show what a device's file is to hold: template, site, device and enrolment laid over each other."""
    from edgesdk.cli.output import print_json
    from edgesdk.fleet.enrol.drift import wanted_configuration
    from edgesdk.fleet.store.engine import opened_store, reading
    from edgesdk_targets.yaml_file import dump_yaml

    with opened_store(db, create=False) as engine, reading(engine) as connection:
        wanted = wanted_configuration(connection, node)
    if json_output:
        print_json({"node": node, "configuration": wanted})
    else:
        typer.echo(dump_yaml(wanted), nl=False)


@app.command("drift")
def drift(
    template: Annotated[str, typer.Argument(help="Only devices that follow this one.")] = "",
    db: DbOption = "fleet.db",
    json_output: JsonFlag = False,
) -> None:
    """Show which devices are not as their template wants them, and in what. Ends with 3 if one is not."""
    from edgesdk.cli.output import add_row, console, print_json, table
    from edgesdk.fleet.enrol.drift import read_drift
    from edgesdk.fleet.store.engine import opened_store, reading

    with opened_store(db, create=False) as engine, reading(engine) as connection:
        found = read_drift(connection, template)
    if json_output:
        print_json({"devices": [{"node": o.node, "template": o.template, "differs": list(o.differs)} for o in found]})
    else:
        shown = table("device", "template", "differs")
        for one in found:
            add_row(shown, one.node, one.template, "; ".join(one.differs) or "as wanted")
        console().print(shown)
    if any(one.differs for one in found):
        raise typer.Exit(3)


@app.command("push")
def push(
    template: Annotated[str, typer.Argument(help="The template whose devices are told.")],
    node: Annotated[str, typer.Option(help="Only this device: tenant.device.")] = "",
    db: DbOption = "fleet.db",
    broker: BrokerUrl = HERE,
    username: Username = "",
    password: Password = "",
    ca: Ca = None,
    cert: Cert = None,
    key: CertKey = None,
    insecure: Insecure = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for what devices say of it.", min=0)] = 10.0,
    json_output: JsonFlag = False,
) -> None:
    """Bring what a template says now to its devices, as their desired state. Ends with 3 where something cannot be."""
    import asyncio

    from edgesdk.cli.output import add_row, console, print_json, table
    from edgesdk.fleet.enrol.template_push import push_template
    from edgesdk.fleet.store.engine import opened_store

    address, tls = broker_access(broker, username, password, ca=ca, cert=cert, key=key, insecure=insecure)
    with opened_store(db, create=False) as engine:
        done = asyncio.run(
            push_template(engine, template, address, tls=tls, node=node, wait_s=timeout, actor="command line")
        )
    if json_output:
        devices = [
            {"node": o.node, "version": o.version, "state": o.state, "fields": dict(o.fields), "left": list(o.left)}
            for o in done
        ]
        print_json({"template": template, "devices": devices})
    else:
        shown = table("device", "is", "fields", "cannot be")
        for one in done:
            add_row(shown, one.node, one.state, ", ".join(one.fields), "; ".join(one.left))
        console().print(shown)
    if any(one.left for one in done):
        raise typer.Exit(3)


@app.command("rm")
def remove_template(
    name: Annotated[str, typer.Argument(help="The template.")],
    db: DbOption = "fleet.db",
    json_output: JsonFlag = False,
) -> None:
    """Remove a template that no device follows, with what differs from it."""
    from edgesdk.cli.output import note, print_json
    from edgesdk.fleet.store.audit import add_entry
    from edgesdk.fleet.store.engine import opened_store, writing
    from edgesdk.fleet.store.templates import delete_template

    with opened_store(db, create=False) as engine, writing(engine) as connection:
        delete_template(connection, name)
        add_entry(connection, "command line", "template.delete", name)
    if json_output:
        print_json({"removed": name})
    else:
        note(f"{name} is removed")
