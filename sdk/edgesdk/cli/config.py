"""`edgesdk config show|check|schema`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesdk.cli.output import JsonFlag, add_row, console, print_json, table

if TYPE_CHECKING:
    from edgesdk_agent.config.root import AgentConfig

# A source with a scheme, or a USB camera's number.
_NO_FILE = re.compile(r"[a-z0-9]{2,}:|\d{1,3}$")

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
ConfigPath = Annotated[Path, typer.Argument(metavar="FILE", help="An agent's edgesdk.yaml.")]
NoMqtt = Annotated[bool, typer.Option("--no-mqtt", help="The agent will run without a broker.")]


@app.command()
def show(
    config: ConfigPath = Path("edgesdk.yaml"),
    effective_values: Annotated[  # noqa: ARG001
        bool, typer.Option("--effective", help="Show what is in effect: the only view there is.")
    ] = True,
    no_mqtt: NoMqtt = False,
    json: JsonFlag = False,
) -> None:
    """Show every value that is in effect and where it came from; secrets are hidden."""
    from edgesdk_agent.config.loading import effective, load_config

    lines = effective(load_config(config, no_mqtt=no_mqtt))
    if json:
        print_json([{"path": line.path, "value": line.value, "origin": line.origin} for line in lines])
        return
    rows = table("setting", "value", "from")
    for line in lines:
        add_row(rows, line.path, line.value, line.origin)
    console().print(rows)


@app.command()
def check(config: ConfigPath = Path("edgesdk.yaml"), no_mqtt: NoMqtt = False, json: JsonFlag = False) -> None:
    """Check a configuration; every wrong field is named with its line, and each file that this machine has not."""
    from edgesdk_agent.config.loading import load_config

    loaded = load_config(config, no_mqtt=no_mqtt)
    missing = _missing_here(loaded.config)
    if json:
        cameras = len(loaded.config.cameras)
        print_json({"file": str(config), "verdict": "valid", "cameras": cameras, "missing": missing})
        return
    console().print(f"{config} is valid.", highlight=False)
    for path, what in missing.items():
        console().print(f"  {path}: there is no {what} on this machine", highlight=False, markup=False)


def _missing_here(config: AgentConfig) -> dict[str, str]:
    """Return the files that the agent will look for and are not here, by field; on its own device they may be."""
    sources = {f"cameras[{i}].source": camera.source.reveal() for i, camera in enumerate(config.cameras)}
    files = {path: source for path, source in sources.items() if not _NO_FILE.match(source)}
    named = {"bundle": str(config.bundle), **files}
    return {path: name for path, name in named.items() if not Path(name).expanduser().exists()}


@app.command()
def schema() -> None:
    """Print the JSON Schema of edgesdk.yaml."""
    from edgesdk_agent.config.loading import config_schema

    print_json(config_schema())
