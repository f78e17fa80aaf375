"""`edgesdk bundle sign`, and what `edgesdk bundle verify --key` says of signatures."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgesdk.cli.output import JsonFlag, console, next_command, plain, print_json
from edgesdk_targets.errors import InputError

if TYPE_CHECKING:
    from edgesdk.signing.key_folder import KeyFolder
    from edgesdk.signing.private_key import PrivateKey
    from edgesdk_targets.bundle.package import Package

PASSPHRASE = "EDGESDK_KEY_PASSPHRASE"  # noqa: S105  (the name of a variable)
FolderOption = Annotated[
    Path | None,
    typer.Option("--keys", help="The folder of keys; ~/.config/edgesdk/keys unless given.", envvar="EDGESDK_KEYS"),
]


def sign(
    bundle: Annotated[
        Path, typer.Argument(metavar="BUNDLE", help="A .edgebundle or .edgeagent, or an unpacked one's folder.")
    ],
    key: Annotated[str, typer.Option("--key", help="The name of your key: `edgesdk bundle keys list`.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write another file; else this one.")] = None,
    release: Annotated[
        int | None,
        typer.Option(help="Above that of every release before; unless given, the time.", min=1, max=(1 << 53) - 1),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Forget the signatures that there are.")] = False,
    keys: FolderOption = None,
    json: JsonFlag = False,
) -> None:
    """Say by your key that this bundle is from you; several keys may sign the same one."""
    from edgesdk.signing.sign import sign_bundle
    from edgesdk_targets.agent_release.agent_release import open_release

    private = private_key(key_folder(keys), key)
    with open_release(bundle) as opened:
        done = sign_bundle(opened, private, output or bundle, release=release, again=again)
    stated = done.statement
    if json:
        print_json(
            {
                "path": str(done.path), "digest": stated.bundle, "name": stated.name, "version": stated.version,
                "release": stated.release, "keys": list(done.keys), "added": done.added,
            }
        )  # fmt: skip
        return
    verb = "signed by" if done.added else "was signed before by"
    console().print(f"{done.path} {verb} {private.public.name}, release {stated.release}", highlight=False)
    next_command(f"edgesdk bundle verify {done.path} --key {key_folder(keys).path / f'{key}.pub'}")


def key_folder(path: Path | None) -> KeyFolder:
    """Return the folder of keys that was named, or the user's."""
    from edgesdk.signing.key_folder import KeyFolder, usual_folder

    return KeyFolder(path or usual_folder())


def signature_facts(opened: Package, key_files: list[Path]) -> dict[str, Any]:
    """Return what is known of an opened bundle's signatures, as `verify` prints it.

    Raises:
        BadSignature: one of its kinds, where keys were given and none of them signed.
        InputError: a file of keys cannot be used.
    """
    from edgesdk_targets.signing.check import check_signature, signatures_of
    from edgesdk_targets.signing.trusted_keys import read_trusted_keys

    if key_files:
        signed = check_signature(opened, read_trusted_keys(key_files))
        by = [{"name": key.name, "id": key.id} for key in signed.by]
        return {"checked": True, "by": by, "release": signed.statement.release}
    file = signatures_of(opened)
    return {"checked": False, "by": [{"id": one.key} for one in file.signatures] if file else [], "release": None}


def signature_text(facts: dict[str, Any]) -> str:
    """Write the same for a person."""
    if facts["checked"]:
        by = ", ".join(f"{plain(one['name'])} ({one['id']})" for one in facts["by"])
        return f"signed by {by}, release {facts['release']}"
    if facts["by"]:
        return f"signed by {', '.join(one['id'] for one in facts['by'])}, not checked: give --key FILE"
    return "not signed"


def private_key(folder: KeyFolder, name: str) -> PrivateKey:
    """Return a private key, asking for its passphrase where there is somebody to ask."""
    from edgesdk.signing.private_key import PassphraseNeeded

    given = os.environ.get(PASSPHRASE, "")
    try:
        return folder.private(name, given)
    except PassphraseNeeded:
        if given or not sys.stdin.isatty():
            raise
    return folder.private(name, typer.prompt(f"Passphrase of {name}", hide_input=True, err=True))


def new_passphrase() -> str:
    """Return a passphrase for a new key, from the environment or asked for twice. Raises InputError."""
    given = os.environ.get(PASSPHRASE, "")
    if not given and sys.stdin.isatty():
        given = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=True, err=True)
    if not given:
        raise InputError("There is nobody to ask for a passphrase.", hint=f"Set the environment variable {PASSPHRASE}.")
    return given
