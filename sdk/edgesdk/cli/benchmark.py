"""`edgesdk benchmark`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesdk.cli.output import (
    JsonFlag,
    add_row,
    console,
    next_command,
    note,
    plain,
    print_json,
    progress_line,
    size_text,
    table,
)

if TYPE_CHECKING:
    from edgesdk.benchmark.host import HostFacts
    from edgesdk.benchmark.measure import Measured, Plan, Row
    from edgesdk_targets.bundle.bundle import Bundle

_NOTHING_RAN = 4


class HintName(str, Enum):
    """What the device is wanted for: the quickest answer, or the most pictures a second."""

    latency = "latency"
    throughput = "throughput"


def benchmark(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A .edgebundle file or its unpacked folder.")],
    target: Annotated[str | None, typer.Option("--target", "-t", help="Only this target's variants.")] = None,
    variant: Annotated[str | None, typer.Option(help="Only this variant.")] = None,
    hint: Annotated[
        HintName, typer.Option(help="One inference on all cores, or one inference a core at the same time.")
    ] = HintName.latency,
    duration: Annotated[float, typer.Option(min=0.05, help="Seconds of the steady state, for each variant.")] = 5.0,
    threads: Annotated[int, typer.Option(min=0, help="Cores to use; 0 for all.")] = 0,
    json: JsonFlag = False,
) -> None:
    """Time a bundle's variants on this machine, each in a process of its own.

    A variant that is meant for another device is timed too, and marked as simulated: its speed there is another one.
    """
    from edgesdk.benchmark.host import host_facts
    from edgesdk.benchmark.measure import Plan
    from edgesdk_targets.bundle.bundle import open_bundle

    plan = Plan(hint.value, duration, threads)
    host = host_facts()
    with open_bundle(bundle) as opened:
        rows = _rows(opened, target, variant, plan, host)
        digest = opened.digest
    best = next((row for row in rows if row.measured), None)
    if json:
        first = (best or rows[0]).to_json()
        variants = [row.to_json() for row in rows]
        print_json({**first, "bundle": str(bundle), "digest": digest, "host": host.to_json(), "variants": variants})
    else:
        _print(rows, host)
        next_command(f"edgesdk compare {bundle}")
    if best is None:
        raise typer.Exit(_NOTHING_RAN)


def _rows(opened: Bundle, target: str | None, variant_id: str | None, plan: Plan, host: HostFacts) -> list[Row]:
    from edgesdk.benchmark.measure import Row, measure_all
    from edgesdk.benchmark.runnable import runnable

    found = runnable(opened.manifest, target=target, variant_id=variant_id)
    with progress_line("benchmark") as say:
        rows = measure_all(opened, found.variants, plan, host, say)
    for variant, reason in found.missing:
        rows.append(Row(variant, variant.runtime, "not run", plan, failure="missing", notes=(reason,)))
    return rows


def _print(rows: list[Row], host: HostFacts) -> None:
    shown = table(
        "variant", "computes in", "load", "first", "p50 ms", "p95 ms", "p99 ms", "per second", "memory", "status"
    )
    for row in rows:
        cells = _cells(row.measured) if row.measured else ("",) * 7
        add_row(shown, row.variant.id, row.effective_precision if row.measured else "", *cells, row.status)
    out = console()
    out.print(shown)
    plan = rows[0].plan
    out.print(
        f"{plan.lanes} inference{'s' if plan.lanes > 1 else ''} at a time, {plan.threads_each} "
        f"thread{'s' if plan.threads_each > 1 else ''} each; {plain(host.in_words)}",
        highlight=False,
    )
    for row in rows:
        if row.measured and row.measured.stages_ms:
            stages = ", ".join(f"{name} {ms:.3g} ms" for name, ms in row.measured.stages_ms.items())
            size = "x".join(map(str, reversed(row.measured.picture)))
            out.print(f"{plain(row.variant.id)}: {stages}, for a picture of {size}", highlight=False, markup=False)
        for line in row.notes:
            out.print(f"{plain(row.variant.id)}: {plain(line)}", highlight=False, markup=False)
    for line in host.warnings:
        note(f"warning: {line}")
    if any(row.status == "simulated" for row in rows):
        note("simulated: the file is meant for another device; it ran here, and its speed there is not known")


def _cells(measured: Measured) -> tuple[str, ...]:
    figures = measured.latency
    times = (figures.p50, figures.p95, figures.p99)
    return (
        f"{measured.load_ms:.0f} ms",
        f"{measured.first_ms:.3g} ms",
        *(f"{ms:.3g}" for ms in times),
        f"{measured.throughput_fps:.{0 if measured.throughput_fps >= 100 else 1}f}",
        size_text(measured.rss_bytes),
    )
