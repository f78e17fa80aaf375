"""`edgesdk config show|check|schema`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgesdk.cli.output import JsonFlag, add_row, console, print_json, table

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
    """Check a configuration; every wrong field is named with its line."""
    from edgesdk_agent.config.loading import load_config

    loaded = load_config(config, no_mqtt=no_mqtt)
    if json:
        print_json({"file": str(config), "verdict": "valid", "cameras": len(loaded.config.cameras)})
        return
    console().print(f"{config} is valid.", highlight=False)


@app.command()
def schema() -> None:
    """Print the JSON Schema of edgesdk.yaml."""
    from edgesdk_agent.config.loading import config_schema

    print_json(config_schema())
