"""`edgesdk fleet backup`, `restore` and `migrate`: a fleet's store as a whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesdk.cli.fleet_record import DbOption
from edgesdk.cli.output import JsonFlag

if TYPE_CHECKING:
    from edgesdk.fleet.store.address import Address
    from edgesdk.fleet.store.media import MediaFolder

MediaOption = Annotated[Path | None, typer.Option("--media", help="Where pictures lie; beside the file unless given.")]


def backup(
    output: Annotated[Path, typer.Option("--output", "-o", help="The backup to make.")],
    db: DbOption = "fleet.db",
    media: MediaOption = None,
    with_media: Annotated[bool, typer.Option("--with-media", help="Put pictures and clips in, too.")] = False,
    json_output: JsonFlag = False,
) -> None:
    """Write everything that a store holds to one file, while it is used."""
    from edgesdk.cli.output import next_command, note, print_json
    from edgesdk.fleet.store import address
    from edgesdk.fleet.store.backup import back_up
    from edgesdk.fleet.store.engine import opened_store

    place = address.parse(db)
    with opened_store(place, create=False) as engine, _progress(json_output) as progress:
        folder = _media(place, media) if with_media else None
        made = back_up(engine, output, int(time.time() * 1000), media=folder, progress=progress)
    size = output.stat().st_size
    done = {"backup": str(output), "db": str(place), "version": made.version, "bytes": size}
    if json_output:
        print_json({**done, "rows": made.tables, "media": made.media})
        return
    note(f"Wrote {sum(made.tables.values())} rows and {made.media} files to {output} ({size / 1e6:.1f} MB)")
    next_command(f"edgesdk fleet restore {output} --db restored.db")


def restore(
    source: Annotated[Path, typer.Argument(help="A file that `fleet backup` made.")],
    db: DbOption = "fleet.db",
    media: MediaOption = None,
    json_output: JsonFlag = False,
) -> None:
    """Fill a new store from a backup: a file, or an empty database of PostgreSQL, whichever it came from."""
    from edgesdk.cli.output import next_command, note, print_json
    from edgesdk.fleet.store import address
    from edgesdk.fleet.store.engine import connect
    from edgesdk.fleet.store.restore import restore as fill

    place = address.parse(db)
    is_new = place.path is not None and not place.path.exists()
    engine = connect(place)
    try:
        with _progress(json_output) as progress:
            made = fill(engine, source, int(time.time() * 1000), media=_media(place, media), progress=progress)
    except BaseException:
        engine.dispose()
        if is_new and place.path is not None:
            # It would be taken for a store that is merely empty.
            for suffix in ("", "-wal", "-shm"):
                place.path.with_name(place.path.name + suffix).unlink(missing_ok=True)
        raise
    engine.dispose()
    if json_output:
        print_json({"db": str(place), "backup": str(source), "rows": made.tables, "media": made.media})
        return
    note(f"Restored {sum(made.tables.values())} rows and {made.media} files into {place}")
    next_command(f"edgesdk fleet records --db {place}")


def migrate(
    db: DbOption = "fleet.db",
    json_output: JsonFlag = False,
) -> None:
    """Bring a store of an earlier edgesdk to this one's version."""
    from edgesdk.cli.output import note, print_json
    from edgesdk.fleet.store import address, version
    from edgesdk.fleet.store.engine import connect

    place = address.parse(db)
    engine = connect(place, create=False)
    try:
        found = version.migrate(engine, place)
    finally:
        engine.dispose()
    if json_output:
        print_json({"db": str(place), "from": found.before, "to": found.after})
    elif found.before == found.after:
        note(f"{place} is of version {found.after}, which is ours.")
    else:
        note(f"{place} was of version {found.before}, and is of {found.after} now.")


def remove(
    node: Annotated[str, typer.Argument(help="tenant.device.")],
    db: DbOption = "fleet.db",
    json_output: JsonFlag = False,
) -> None:
    """Remove a device and all that it reported. One that goes on speaking appears again: revoke it first."""
    from edgesdk.cli.output import note, print_json
    from edgesdk.fleet.store import devices
    from edgesdk.fleet.store.audit import add_entry
    from edgesdk.fleet.store.engine import opened_store, writing
    from edgesdk_targets.errors import InputError

    with opened_store(db, create=False) as engine, writing(engine) as connection:
        if not devices.remove(connection, node):
            raise InputError(f"There is no device {node[:140]!r}.", hint="Write it as tenant.device.")
        add_entry(connection, "command line", "device.remove", node)
    if json_output:
        print_json({"removed": node})
    else:
        note(f"{node} is removed. What the broker keeps of it brings it back: revoke it, or clear its retained topics.")


def _media(place: Address, given: Path | None) -> MediaFolder:
    from edgesdk.fleet.store.media import MediaFolder

    return MediaFolder(given) if given is not None else MediaFolder.beside(place)


@contextmanager
def _progress(json_output: bool) -> Iterator[Callable[[str, int], None] | None]:
    """Show which table is at work, on a terminal."""
    from edgesdk.cli.output import console

    if json_output or not console().is_terminal:
        yield None
        return
    with console().status("") as shown:
        yield lambda table, rows: shown.update(f"{table}: {rows} rows")
