"""`edgesdk agent …`: the device's own entry point, reached from the roof."""

from __future__ import annotations

from typing import Any

import typer

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def _group() -> None:
    """Run the device agent: camera → model → MQTT."""


_PASSED_ON: dict[str, Any] = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


def _agent_command(name: str, about: str) -> None:
    @app.command(name, context_settings=_PASSED_ON, help=f"{about} (`edgesdk agent {name} --help` lists the options).")
    def _pass_on(context: typer.Context) -> None:
        from edgesdk_agent.main import run as run_agent

        # `--debug` is taken by the root, wherever it stands; the agent has one of its own.
        debug = ["--debug"] if context.find_root().params.get("debug") else []
        raise typer.Exit(run_agent([name, *context.args, *debug], prog="edgesdk agent"))


_agent_command("run", "Run until stopped")
_agent_command("status", "Say how the agents on this device do")
_agent_command("enrol", "Make this device one of a fleet")
_agent_command("install", "Make the agent a service of this device")
_agent_command("uninstall", "Stop the service and remove it")
_agent_command("logs", "Show the service's log")
_agent_command("update", "Change the model of this device, on trial")
_agent_command("support-bundle", "Gather what helps to find a fault, without secrets")
