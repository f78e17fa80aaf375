"""`edgesdk doctor`."""

from __future__ import annotations

from edgesdk.cli.output import JsonFlag, console, print_json, table


def doctor(json: JsonFlag = False) -> None:
    """Say what is installed, what is missing, and the line that mends it."""
    import platform

    from rich.markup import escape

    from edgesdk import __version__
    from edgesdk.doctor import examine
    from edgesdk_targets.variant_choice import this_host

    findings = examine()
    host = this_host()
    if json:
        print_json(
            {
                "edgesdk": __version__,
                "host": {"arch": host.arch, "target": host.target, "system": platform.platform()},
                "findings": [finding.to_json() for finding in findings],
            }
        )
        return
    out = console()
    out.print(f"edgesdk {__version__} on {platform.platform()}, target {host.target or 'unknown'}", highlight=False)
    rows = table("part", "what", "state", "version", "to mend it")
    colours = {"ok": "green", "missing": "yellow", "broken": "red"}
    for finding in findings:
        state = f"[{colours[finding.state]}]{finding.state}[/]"
        rows.add_row(finding.part, finding.name, state, escape(finding.version), escape(finding.mend))
    out.print(rows)
