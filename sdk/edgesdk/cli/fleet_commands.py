"""`edgesdk fleet cmd` tells a device to do something; `edgesdk fleet desired` says what it shall become."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgesdk.cli.broker_access import HERE, BrokerUrl, Ca, Cert, CertKey, Insecure, Password, Username, broker_access
from edgesdk.cli.output import JsonFlag
from edgesdk_targets.errors import InputError, LinkError

if TYPE_CHECKING:
    from edgesdk_targets.messages import Reported

NodeArgument = Annotated[str, typer.Argument(metavar="NODE", help="The device: tenant.name, or its name alone.")]


def cmd(
    node: NodeArgument,
    verb: Annotated[str, typer.Argument(help="snapshot, restart, set, log-level, logs, birth, pause, resume, …")],
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[ARGS]", help="name=value, or what the verb takes.")
    ] = None,
    broker: BrokerUrl = HERE,
    username: Username = "",
    password: Password = "",
    ca: Ca = None,
    cert: Cert = None,
    key: CertKey = None,
    insecure: Insecure = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it is done, and show what came of it.")] = False,
    timeout: Annotated[
        float, typer.Option(help="Seconds in which it must be begun, and for --wait be done.", min=1)
    ] = 30.0,
    restart: Annotated[bool, typer.Option("--restart", help="With set: start again where a field needs it.")] = False,
    command_id: Annotated[
        str, typer.Option("--id", help="Of the command; the same id again is the same command, done once.")
    ] = "",
    json_output: JsonFlag = False,
) -> None:
    """Tell a device to do something: accepted, then done; or refused, and why. Ends with 1 where it was not done."""
    import asyncio
    import secrets

    from edgesdk.cli.output import note, print_json
    from edgesdk.fleet.command_sender import new_command, send_command
    from edgesdk.fleet.command_words import arguments_from

    address, tls = broker_access(broker, username, password, ca=ca, cert=cert, key=key, insecure=insecure)
    device = _node(node)
    try:
        command = new_command(
            device, verb, {**arguments_from(verb, words or [], restart=restart)},
            command_id=command_id or secrets.token_hex(8), within_s=timeout,
        )  # fmt: skip
    except ValueError as error:
        raise InputError(f"This is no command: {error}", hint="An id is up to 64 letters, digits, - and _.") from error

    def told(reply: Any) -> None:
        if not json_output and reply.step == "accepted":
            note(f"{device} {verb}: accepted")

    outcome = asyncio.run(send_command(address, command, wait_s=timeout if wait else None, tls=tls, told=told))
    reply = outcome.reply
    if json_output:
        told_fields = None if reply is None else reply.model_dump(mode="json", by_alias=True)
        print_json(
            {
                "id": command.id,
                "node": str(device),
                "state": outcome.state,
                "accepted": outcome.accepted,
                "reply": told_fields,
            }
        )
    if reply is None or (wait and not outcome.over):
        there = f"{device} is {outcome.state}" if outcome.state else f"the broker knows no {device}"
        message = f"No answer to {verb} in time; {there}." if reply is None else f"{verb} is not done in time."
        raise LinkError(message, hint=f"Ask again, for the same command: --id {command.id}")
    if reply.step != "accepted" and not reply.ok:
        raise LinkError(f"{device} {reply.code or 'failed'}: {reply.message}", hint=_more(reply.data))
    if not json_output and outcome.over:
        _show(str(device), verb, reply.message, dict(reply.data))


def desired(
    node: NodeArgument,
    file: Annotated[
        Path | None,
        typer.Argument(help="YAML with config, bundle, update, log_level, paused_cameras; none shows what is."),
    ] = None,
    broker: BrokerUrl = HERE,
    username: Username = "",
    password: Password = "",
    ca: Ca = None,
    cert: Cert = None,
    key: CertKey = None,
    insecure: Insecure = False,
    version: Annotated[int, typer.Option(help="Of this document; one more than the last unless given.", min=0)] = 0,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for what the device says of it.", min=0)] = 10.0,
    json_output: JsonFlag = False,
) -> None:
    """Say what a device shall become, retained at the broker; or show what is wanted and what it reported."""
    import asyncio
    from datetime import datetime, timezone

    from edgesdk.cli.output import console, note, print_json
    from edgesdk.fleet.command_sender import read_shadow, send_desired
    from edgesdk_targets.messages import Desired
    from edgesdk_targets.yaml_file import load_yaml

    address, tls = broker_access(broker, username, password, ca=ca, cert=cert, key=key, insecure=insecure)
    device = _node(node)
    view = asyncio.run(read_shadow(address, device, tls=tls))
    if file is not None:
        state = load_yaml(file).data or {}
        if not isinstance(state, dict):
            raise InputError(
                f"{file}: must be fields with values.", hint="config, bundle, update, log_level, paused_cameras."
            )
        known = max(view.desired.version if view.desired else 0, view.reported.version if view.reported else 0)
        document = Desired(node=str(device), at=datetime.now(timezone.utc), version=version or known + 1, state=state)
        view = asyncio.run(send_desired(address, document, wait_s=timeout, tls=tls))
        if view.reported is None or view.reported.version < document.version:
            note(f"{device} has not said anything of version {document.version} yet; the broker keeps it.")
    if json_output:
        print_json({
            "node": str(device),
            "desired": None if view.desired is None else view.desired.model_dump(mode="json", by_alias=True),
            "reported": None if view.reported is None else view.reported.model_dump(mode="json", by_alias=True),
        })  # fmt: skip
        return
    wanted = "nothing" if view.desired is None else f"version {view.desired.version}"
    console().print(f"{device}: wanted is {wanted}", highlight=False)
    if view.reported is not None:
        _show_reported(view.reported)


def _show_reported(reported: Reported) -> None:
    from edgesdk.cli.output import add_row, console, table

    rows = table("part", "is", "")
    for name, value in reported.applied.items():
        add_row(rows, name, "applied", str(value))
    for field in reported.pending:
        add_row(rows, field, "pending", "with the next start")
    for one in reported.refused:
        add_row(rows, one.what, "refused", one.why)
    console().print(f"reported is version {reported.version}", highlight=False)
    if rows.row_count:
        console().print(rows)


def _show(node: str, verb: str, message: str, data: dict[str, Any]) -> None:
    from edgesdk.cli.output import add_row, console, plain, table

    records = data.pop("records", None)
    for one in records if isinstance(records, list) else []:
        line = " ".join(str(one.get(name, "")) for name in ("at", "level", "message")) if isinstance(one, dict) else ""
        typer.echo(plain(line))
    console().print(f"{node} {verb}: done{f'. {plain(message)}' if message else ''}", highlight=False, markup=False)
    if data:
        rows = table("", "")
        for name, value in data.items():
            add_row(rows, name, str(value))
        console().print(rows)


def _more(data: Any) -> str:
    verbs = data.get("verbs") if isinstance(data, dict) else None
    return f"It knows {verbs}." if verbs else ""


def _node(text: str) -> Any:
    from edgesdk_targets.topics import Node

    return Node.parse(text) if "." in text else Node(text)
