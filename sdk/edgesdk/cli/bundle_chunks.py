"""`edgesdk bundle chunks`: the list beside a bundle by which devices fetch it in parts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgesdk.cli.output import JsonFlag, console, print_json
from edgesdk_targets.errors import InputError


def chunks(
    bundle: Annotated[
        Path, typer.Argument(metavar="BUNDLE", help="A .edgebundle or .edgeagent, as it will be served.")
    ],
    json: JsonFlag = False,
) -> None:
    """Write the list of chunks beside a bundle, for a web server's folder or a stick; again after each signing."""
    from edgesdk_targets.agent_release.agent_release import open_release
    from edgesdk_targets.bundle.chunk_list import CHUNKS_SUFFIX, chunks_of
    from edgesdk_targets.signing.check import signatures_of
    from edgesdk_targets.whole_file import write_whole

    if bundle.is_dir():
        raise InputError(f"{bundle} is a folder; devices fetch files.", hint="Give the .edgebundle.")
    with open_release(bundle) as opened:
        signed = signatures_of(opened)
        found = chunks_of(opened, 0 if signed is None else signed.read_statement().release)
    beside = bundle.with_name(bundle.name + CHUNKS_SUFFIX)
    write_whole(beside, found.to_bytes())
    if json:
        print_json(
            {
                "path": str(beside),
                "digest": found.bundle,
                "release": found.release,
                "size": found.size,
                "chunks": len(found.sha256),
            }
        )
        return
    console().print(f"{len(found.sha256)} chunks in {beside}", highlight=False)
    if not found.release:
        console().print("It is not signed, and no device takes it: edgesdk bundle sign", highlight=False)
