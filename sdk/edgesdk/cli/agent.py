"""`edgesdk agent …`: the device's own entry point, reached from the roof."""

from __future__ import annotations

import typer

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def _group() -> None:
    """Run the device agent: camera → model → MQTT."""


@app.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    help="Run until stopped; `edgesdk agent run --help` lists the options (those of `edgesdk-agent run`).",
)
def run(context: typer.Context) -> None:
    from edgesdk_agent.main import run as run_agent

    # `--debug` is taken by the root, wherever it stands; the agent has one of its own.
    debug = ["--debug"] if context.find_root().params.get("debug") else []
    raise typer.Exit(run_agent(["run", *context.args, *debug], prog="edgesdk agent"))
