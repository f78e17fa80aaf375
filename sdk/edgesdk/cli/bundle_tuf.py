"""`edgesdk bundle tuf root|sign-root|release|withdraw|renew`: a fleet's repository of what is released."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesdk.cli.bundle_sign import FolderOption, key_folder, private_key
from edgesdk.cli.output import JsonFlag, console, next_command, print_json

if TYPE_CHECKING:
    from edgesdk_targets.signing.public_key import PublicKey

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
Repository = Annotated[Path, typer.Argument(metavar="FOLDER", help="The repository, for a web server.")]
TargetsKey = Annotated[str, typer.Option("--targets", help="The key that releases bundles.")]
OnlineKey = Annotated[str, typer.Option("--online", help="The key that says what is newest.")]


@app.command()
def root(
    folder: Repository,
    root_keys: Annotated[list[str], typer.Option("--root", help="A key that counts for the keys; several.")],
    targets: TargetsKey,
    online: OnlineKey,
    threshold: Annotated[int, typer.Option(help="How many of the root's keys must sign together.", min=1)] = 2,
    keys: FolderOption = None,
    json: JsonFlag = False,
) -> None:
    """Draft the first root or the next one: whose keys count. It is nothing until enough people signed it."""
    from edgesdk.signing.tuf_repository import Roles, TufRepository

    def public(name: str) -> PublicKey:
        return key_folder(keys).public(name)

    roles = Roles(tuple(map(public, root_keys)), threshold, public(targets), public(online))
    version = TufRepository(folder).draft_root(roles)
    if json:
        print_json({"version": version, "threshold": threshold})
        return
    console().print(f"root {version} is drafted; {threshold} of {len(root_keys)} must sign it", highlight=False)
    next_command(f"edgesdk bundle tuf sign-root {folder} --key {root_keys[0]}")


@app.command("sign-root")
def sign_root(
    folder: Repository,
    key: Annotated[str, typer.Option("--key", help="Your key of the root.")],
    keys: FolderOption = None,
    json: JsonFlag = False,
) -> None:
    """Sign the draft of the root; the last signature that is needed makes it the root."""
    from edgesdk.signing.tuf_repository import TufRepository

    missing = TufRepository(folder).sign_root(private_key(key_folder(keys), key))
    if json:
        print_json({"missing": missing})
        return
    console().print(f"{missing} signatures are missing" if missing else "it is the root now", highlight=False)


@app.command()
def release(
    folder: Repository,
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A signed .edgebundle, as it will be served.")],
    targets: TargetsKey,
    online: OnlineKey,
    keys: FolderOption = None,
    json: JsonFlag = False,
) -> None:
    """Release a bundle to the devices that ask this repository."""
    from edgesdk.signing.tuf_repository import TufRepository

    own = key_folder(keys)
    name = TufRepository(folder).release(bundle, private_key(own, targets), private_key(own, online))
    if json:
        print_json({"name": name})
        return
    console().print(f"released: {name}", highlight=False)


@app.command()
def withdraw(
    folder: Repository,
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `release` printed it.")],
    targets: TargetsKey,
    online: OnlineKey,
    keys: FolderOption = None,
    json: JsonFlag = False,
) -> None:
    """Release a bundle no more; devices that run it go on."""
    from edgesdk.signing.tuf_repository import TufRepository

    own = key_folder(keys)
    TufRepository(folder).withdraw(name, private_key(own, targets), private_key(own, online))
    if json:
        print_json({"name": name})
        return
    console().print(f"withdrawn: {name}", highlight=False)


@app.command()
def renew(
    folder: Repository,
    online: OnlineKey,
    targets: Annotated[
        str | None, typer.Option("--targets", help="Also what is released, for a year, by the key that releases.")
    ] = None,
    keys: FolderOption = None,
    json: JsonFlag = False,
) -> None:
    """Say again what is newest, for a week from now: once a day, by a timer; with --targets once a year, by hand."""
    from edgesdk.signing.tuf_repository import TufRepository

    own = key_folder(keys)
    TufRepository(folder).renew(private_key(own, online), None if targets is None else private_key(own, targets))
    if json:
        print_json({"renewed": True, "targets": targets is not None})
        return
    console().print(
        "good for a week from now" + (", and what is released for a year" if targets else ""), highlight=False
    )
