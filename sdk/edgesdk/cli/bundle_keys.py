"""`edgesdk bundle keys new|list|show|trust|revoke`: the keys that bundles are signed with, and those that are trusted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesdk.cli.bundle_sign import FolderOption, key_folder, new_passphrase
from edgesdk.cli.output import JsonFlag, add_row, console, next_command, print_json, table

if TYPE_CHECKING:
    from edgesdk_targets.signing.public_key import PublicKey
    from edgesdk_targets.signing.trusted_keys import TrustedKeys

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
KeyName = Annotated[str, typer.Argument(metavar="NAME", help="The key's name in the folder of keys.")]
TrustedFile = Annotated[Path, typer.Argument(metavar="FILE", help="The file of trusted keys that devices get.")]


@app.command()
def new(
    name: KeyName,
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help="Keep it under a passphrase; it is asked for.")
    ] = False,
    keys: FolderOption = None,
    json: JsonFlag = False,
) -> None:
    """Make a key to sign with; the private half stays on this machine."""
    folder = key_folder(keys)
    public = folder.make(name, new_passphrase() if passphrase else "").public
    files = {"private": str(folder.path / f"{name}.key"), "public": str(folder.path / f"{name}.pub")}
    if json:
        print_json({**_facts(public), **files})
        return
    console().print(f"{public.to_line()}\nid {public.id}, in {files['private']}", highlight=False, soft_wrap=True)
    next_command(f"edgesdk bundle sign BUNDLE --key {name}")


@app.command("list")
def list_keys(keys: FolderOption = None, json: JsonFlag = False) -> None:
    """List the keys of this machine."""
    folder = key_folder(keys)
    found = folder.public_keys()
    if json:
        rows = [{**_facts(key), "private": folder.has_private(key.name)} for key in found]
        print_json({"folder": str(folder.path), "keys": rows})
        return
    made = table("name", "id", "can sign")
    for key in found:
        add_row(made, key.name, key.id, "yes" if folder.has_private(key.name) else "no")
    console().print(made if found else f"No keys in {folder.path}")


@app.command()
def show(name: KeyName, keys: FolderOption = None, json: JsonFlag = False) -> None:
    """Print the public key: the line for a device's file of trusted keys."""
    key = key_folder(keys).public(name)
    if json:
        print_json(_facts(key))
        return
    console().print(key.to_line(), highlight=False, soft_wrap=True)


@app.command()
def trust(
    file: TrustedFile,
    key: Annotated[str, typer.Argument(metavar="KEY", help="A key's name, its .pub file, or its line in quotes.")],
    keys: FolderOption = None,
    json: JsonFlag = False,
) -> None:
    """Add a key to a file of trusted keys, which is made where it is absent."""
    from edgesdk_targets.errors import InputError
    from edgesdk_targets.signing.public_key import PublicKey
    from edgesdk_targets.signing.trusted_keys import TrustedKeys, read_trusted_keys, write_trusted_keys

    if " " in key:
        added = TrustedKeys.of(PublicKey.from_line(key))
    elif key.endswith(".pub"):
        added = read_trusted_keys([Path(key)])
    else:
        added = TrustedKeys.of(key_folder(keys).public(key))
    before = _read(file)
    if back := [one.name for one in added.good if one.id in before.revoked]:
        raise InputError(
            f"{back[0]} is revoked in {file}.",
            hint="A revoked key is not trusted again; make a new one and sign with that.",
        )
    write_trusted_keys(file, before.joined(added))
    _told(file, before.joined(added), json)


@app.command()
def revoke(
    file: TrustedFile,
    key: Annotated[str, typer.Argument(metavar="KEY", help="The name or id of a key; for good.")],
    why: Annotated[str, typer.Option(help="The reason, for the message that devices give.")] = "",
    json: JsonFlag = False,
) -> None:
    """Say that a key is trusted no more: bundles that it alone signed are refused wherever this file is."""
    from edgesdk_targets.errors import InputError
    from edgesdk_targets.signing.public_key import check_key_id
    from edgesdk_targets.signing.trusted_keys import write_trusted_keys

    before = _read(file)
    named = [one.id for one in before.keys.values() if key in {one.name, one.id}]
    if len(named) > 1:
        raise InputError(f"{len(named)} keys in {file} are named {key}.", hint=f"Give an id: {', '.join(named)}.")
    # An id that is not in the file can be revoked as well: the file may be joined with others.
    after = before.without(named[0] if named else check_key_id(key), why)
    write_trusted_keys(file, after)
    _told(file, after, json)
    if before.keys and not after.good:
        console().print("No key in it is good now: devices with this file take no bundle.", highlight=False)


def _read(file: Path) -> TrustedKeys:
    """Return what is in the file, nothing where it is absent; unlike for a device, all keys may be revoked."""
    from edgesdk_targets.errors import InputError
    from edgesdk_targets.signing.trusted_keys import TrustedKeys, parse_trusted_keys

    if not file.exists():
        return TrustedKeys()
    try:
        return parse_trusted_keys(file.read_text("utf-8"), str(file))
    except (OSError, ValueError) as error:
        raise InputError(f"{file} cannot be read: {error}.", hint="Name a file of trusted keys.") from error


def _told(file: Path, now: TrustedKeys, json: bool) -> None:
    if json:
        rows = [{**_facts(key), "revoked": key.id in now.revoked} for key in now.keys.values()]
        print_json({"file": str(file), "keys": rows, "revoked": dict(now.revoked)})
        return
    made = table("name", "id", "state")
    for key in now.keys.values():
        add_row(
            made, key.name, key.id, f"revoked {now.revoked[key.id]}".rstrip() if key.id in now.revoked else "trusted"
        )
    for key_id in now.revoked.keys() - now.keys.keys():
        add_row(made, "-", key_id, f"revoked {now.revoked[key_id]}".rstrip())
    console().print(made)


def _facts(key: PublicKey) -> dict[str, str]:
    return {"name": key.name, "id": key.id, "line": key.to_line()}
