"""`edgesdk camera …`: what a camera delivers, and which cameras there are."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edgesdk.cli.output import JsonFlag
from edgesdk_targets.secret_url import SecretUrl

if TYPE_CHECKING:
    from edgesdk_agent.cameras.finding.probe import ProbeReport

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
_DOES_NOT_OPEN = 1

Seconds = Annotated[float, typer.Option(help="How long to read it, or to wait for answers.", min=0.2, max=3600.0)]


@app.callback()
def _group() -> None:
    """Say what a camera delivers, and find the cameras of this network."""


@app.command()
def probe(
    source: Annotated[
        str, typer.Argument(help="A camera's address, as in `cameras: source`, or onvif://…; ${env:NAME} is filled in.")
    ],
    seconds: Seconds = 3.0,
    timeout: Annotated[float, typer.Option(help="Seconds until it counts as silent.", min=0.5, max=300.0)] = 10.0,
    decoder: Annotated[
        Literal["auto", "software", "gstreamer", "nvdec", "v4l2m2m", "vaapi"], typer.Option(help="What decodes it.")
    ] = "auto",
    json: JsonFlag = False,
) -> None:
    """Open a camera once: its size, codec and rate, what decodes it and why, its other streams; or why it does not open."""
    from edgesdk.cli.output import progress_line
    from edgesdk_agent.cameras.finding.probe import probe_camera
    from edgesdk_agent.config.secrets import warn_of_arguments
    from edgesdk_agent.logs.start import current_logs, start_logs
    from edgesdk_agent.logs.tracebacks import redact_tracebacks
    from edgesdk_agent.pipeline_settings import apply_pipeline_settings

    url = _filled_in(source)
    start_logs(logging.getLogger().level)
    current_logs().redaction.add(*url.secrets)
    redact_tracebacks()
    warn_of_arguments([source])
    apply_pipeline_settings()
    with progress_line(f"Probes {url}"):
        report = probe_camera(url, seconds=seconds, timeout_s=timeout, decoder=decoder)
    if json:
        from edgesdk.cli.output import print_json

        print_json(report.to_json())
    else:
        _print(report)
    if not report.opens:
        raise typer.Exit(_DOES_NOT_OPEN)


@app.command()
def discover(
    seconds: Seconds = 3.0,
    address: Annotated[str, typer.Option(help="Ask this address alone, where multicast does not reach.")] = "",
    port: Annotated[int, typer.Option(help="UDP port of WS-Discovery.", min=1, max=65535)] = 3702,
    interface: Annotated[str, typer.Option(help="This machine's address in the network to ask.")] = "",
    json: JsonFlag = False,
) -> None:
    """Find ONVIF cameras in the local network (WS-Discovery); no password is sent, and nothing is opened."""
    from dataclasses import asdict

    from edgesdk.cli.output import add_row, console, next_command, note, print_json, progress_line, table
    from edgesdk_agent.cameras.finding.ws_discovery import GROUP, discover, onvif_place

    with progress_line("Asks the network for cameras"):
        found = discover(seconds=seconds, address=address or GROUP, port=port, interface=interface)
    if json:
        print_json({"cameras": [asdict(camera) for camera in found]})
        return
    if not found:
        note("No ONVIF camera answered. Some have ONVIF switched off; multicast does not pass routers (--address).")
        return
    rows = table("address", "name", "hardware", "location", "service")
    for camera in found:
        add_row(rows, camera.host, camera.name, camera.hardware, camera.location, " ".join(camera.services))
    console().print(rows)
    first = found[0]
    # The camera itself says which streams it has, to whom has a login.
    next_command(f"edgesdk camera probe 'onvif://USER:${{env:CAM_PASSWORD}}@{onvif_place(first)}'")


def _filled_in(source: str) -> SecretUrl:
    import os
    from pathlib import Path

    from edgesdk_agent.config.origin import Setting, resolved

    return SecretUrl(str(resolved(("source",), Setting(source, "argument", Path()), os.environ)))


def _print(report: ProbeReport) -> None:
    from edgesdk.cli.output import add_row, console, plain, table

    out = console()
    if not report.opens:
        out.print(f"{plain(report.source)} does not open.", style="red", highlight=False, markup=False)
        out.print(f"  {plain(report.problem)}", highlight=False, markup=False, soft_wrap=True)
        if report.hint:
            out.print(f"  → {plain(report.hint)}", highlight=False, markup=False, soft_wrap=True)
    else:
        rows = table("what", "found")
        told = "" if report.fps_told is None else f" (it says {report.fps_told:g})"
        fps = "unknown" if report.fps is None else f"{report.fps:g}{told}"
        add_row(rows, "source", report.source)
        add_row(rows, "size", f"{report.width}x{report.height}")
        add_row(rows, "codec", report.codec or "not told")
        add_row(rows, "frames/s", fps)
        add_row(rows, "first picture", f"after {report.opened_in_s:.2f} s")
        add_row(rows, "decoder", report.decoder or "none")
        for reason in report.decoder_reasons:
            add_row(rows, "", reason)
        if report.make or report.server:
            add_row(rows, "make", " · ".join(filter(None, (report.make, report.server))))
        if report.corrupt:
            add_row(rows, "damaged", f"{report.corrupt} pictures")
        out.print(rows)
        if report.still:
            out.print("All pictures were the very same: a still scene, or a frozen camera.", style="yellow")
    if report.streams:
        streams = table("stream", "address", "codec")
        for stream in report.streams:
            codec = (stream.codec or "video") if stream.answers else "does not answer"
            add_row(streams, f"{stream.name}{' (this one)' if stream.this else ''}", stream.url, codec)
        out.print(streams)
