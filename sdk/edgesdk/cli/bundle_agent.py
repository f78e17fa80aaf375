"""`edgesdk bundle agent`: a release of the agent's own program, out of a wheelhouse."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgesdk.cli.output import JsonFlag, console, next_command, print_json, size_text


def agent(
    wheelhouse: Annotated[Path, typer.Argument(metavar="FOLDER", help="What scripts/wheelhouse wrote.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A file, or a folder for it.")] = Path(),
    json: JsonFlag = False,
) -> None:
    """Make a release of the agent's program for one kind of device, to be signed and sent as a bundle is."""
    from edgesdk.agent_release import release_from_wheelhouse
    from edgesdk_targets.agent_release.agent_release import open_agent_release

    path = release_from_wheelhouse(wheelhouse, output)
    with open_agent_release(path) as release:
        found, digest = release.manifest, release.digest
    if json:
        print_json(
            {
                "path": str(path), "digest": digest, "version": found.version, "python": found.python,
                "arch": found.arch, "wheels": len(found.files) - 1, "installed_bytes": found.installed_bytes,
            }
        )  # fmt: skip
        return
    installed = size_text(found.installed_bytes)
    console().print(f"{path}: {found.version}, {len(found.files) - 1} wheels, {installed} installed", highlight=False)
    next_command(f"edgesdk bundle sign {path} --key NAME")
