"""`edgesdk fleet grafana`: dashboards for Grafana and alert rules for Prometheus, as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgesdk.cli.output import JsonFlag


def grafana(
    folder: Annotated[Path, typer.Argument(help="Where the files go.")] = Path("grafana"),
    json_output: JsonFlag = False,
) -> None:
    """Write two Grafana dashboards (the fleet, one device) and Prometheus alert rules over the service's /metrics."""
    from importlib.resources import files

    from edgesdk.cli.output import note, print_json
    from edgesdk_targets.whole_file import disk_errors, write_whole

    written = []
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for found in sorted(files("edgesdk.fleet.grafana").iterdir(), key=lambda one: one.name):
            if found.name.endswith((".json", ".yaml")):
                write_whole(folder / found.name, found.read_bytes())
                written.append(str(folder / found.name))
    if json_output:
        print_json({"files": written})
        return
    typer.echo("\n".join(written))
    note("Grafana: Dashboards, New, Import. Prometheus: rule_files. docs/fleet.md says how Prometheus logs in.")
