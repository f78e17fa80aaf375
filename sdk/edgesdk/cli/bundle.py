"""`edgesdk bundle inspect|verify|unpack|diff`; `sign`, `keys`, `tuf`, `chunks`, `agent`, `cascade` and the rest have own files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesdk.cli.bundle_agent import agent
from edgesdk.cli.bundle_chunks import chunks
from edgesdk.cli.bundle_keys import app as keys_app
from edgesdk.cli.bundle_sign import sign, signature_facts, signature_text
from edgesdk.cli.bundle_together import cascade, ensemble
from edgesdk.cli.bundle_tuf import app as tuf_app
from edgesdk.cli.output import JsonFlag, add_row, console, next_command, plain, print_json, size_text, table
from edgesdk_targets.target import Precision

if TYPE_CHECKING:
    from edgesdk.bundle_diff import Difference
    from edgesdk_targets.bundle.bundle import Bundle
    from edgesdk_targets.bundle.manifest import Variant
    from edgesdk_targets.together.spec import Together

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
app.command()(sign)
app.command()(chunks)
app.command()(agent)
app.command()(cascade)
app.command()(ensemble)
app.add_typer(keys_app, name="keys", help="Make, list, trust and revoke keys.")
app.add_typer(tuf_app, name="tuf", help="A fleet's repository of what is released, with keys of several people.")
BundlePath = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="A .edgebundle file, or the folder it was unpacked to.")
]


@app.command()
def inspect(bundle: BundlePath, json: JsonFlag = False) -> None:
    """Say what a bundle holds: model, inputs, variants, sizes."""
    from edgesdk_targets.bundle.bundle import open_bundle

    with open_bundle(bundle) as opened:
        if json:
            manifest = opened.manifest.model_dump(mode="json", by_alias=True, exclude_none=True)
            print_json({"path": str(bundle), "digest": opened.digest, "manifest": manifest})
            return
        _print(opened)


@app.command()
def verify(
    bundle: BundlePath,
    key: Annotated[
        list[Path] | None,
        typer.Option(
            "--key", help="A NAME.pub, or a file of trusted keys: one of them must have signed. Several are allowed."
        ),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Check that a bundle is whole (container, names, sizes, hashes, schema) and, with --key, from whom it is."""
    from edgesdk_targets.agent_release.agent_release import open_release

    with open_release(bundle) as opened:
        files = opened.manifest.files
        total = sum(entry.size for entry in files.values())
        signature = signature_facts(opened, key or [])
        if json:
            whole = {
                "path": str(bundle),
                "digest": opened.digest,
                "files": len(files),
                "bytes": total,
                "verdict": "whole",
            }
            print_json({**whole, "signature": signature})
            return
        console().print(f"{bundle} is whole: {len(files)} files, {size_text(total)}, {opened.digest}", highlight=False)
        console().print(signature_text(signature), highlight=False, soft_wrap=True)


@app.command()
def unpack(
    bundle: BundlePath,
    output: Annotated[Path, typer.Option("--output", "-o", help="A new folder.")],
    json: JsonFlag = False,
) -> None:
    """Write a bundle's files into a folder, which can be used in its place."""
    from edgesdk_targets.agent_release.agent_release import open_release

    with open_release(bundle) as opened:
        opened.unpack(output)
        if json:
            print_json({"folder": str(output), "digest": opened.digest, "files": len(opened.manifest.files)})
            return
        console().print(f"{len(opened.manifest.files)} files in {output}", highlight=False)
    next_command(f"edgesdk bundle verify {output}")


@app.command()
def diff(
    first: Annotated[Path, typer.Argument(metavar="A", help="A bundle, or the folder it was unpacked to.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another one.")],
    json: JsonFlag = False,
) -> None:
    """Say what differs between two bundles; exit code 0 where they are the same, 1 where they differ, 2 for trouble."""
    from edgesdk.bundle_diff import differences
    from edgesdk_targets.bundle.bundle import open_bundle
    from edgesdk_targets.errors import BundleError, InputError

    try:
        with open_bundle(first) as a, open_bundle(second) as b:
            found = differences(a, b)
            digests = {"first": a.digest, "second": b.digest}
    except BundleError as error:
        # 1 would say that they differ.
        raise InputError(error.message, hint=error.hint) from error
    if json:
        paths = {"first": str(first), "second": str(second)}
        print_json({**paths, "digests": digests, "same": not found, "differences": [item.to_json() for item in found]})
    elif found:
        _print_differences(found)
    else:
        console().print(f"The same: {digests['first']}", highlight=False)
    if found:
        raise typer.Exit(1)


def _print_differences(found: list[Difference]) -> None:
    rows = table("section", "what", "first", "second")
    for item in found:
        add_row(rows, item.section, item.name, _value_text(item.first), _value_text(item.second))
    console().print(rows)


def _value_text(value: object) -> str:
    """Write a value for a person; files by size and the beginning of their digest."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        if set(value) == {"size", "sha256"}:
            return f"{size_text(value['size'])}, {value['sha256'][:8]}…"
        return ", ".join(f"{key}: {_inner_text(item)}" for key, item in value.items()) or "nothing"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_inner_text, value))}]"
    text = str(value)
    return f"{text[:15]}…" if text.startswith("sha256:") else text


def _inner_text(value: object) -> str:
    text = _value_text(value)
    return f"({text})" if isinstance(value, dict) else text


def _print(opened: Bundle) -> None:
    manifest = opened.manifest
    out = console()
    out.print(f"{manifest.name} {manifest.version}  ({manifest.task})  {opened.digest}", highlight=False)
    for what, specs in (("input", manifest.inputs), ("output", manifest.outputs)):
        for spec in specs:
            out.print(f"  {what} {plain(spec.name)}: {list(spec.shape)} {spec.dtype}", highlight=False, markup=False)
    if manifest.preprocess:
        how = _value_text(manifest.preprocess.model_dump(mode="json"))
        out.print(f"  preprocess {plain(how)}", highlight=False, markup=False)
    if manifest.labels:
        shown = ", ".join(manifest.labels[:8]) + (" …" if len(manifest.labels) > 8 else "")
        out.print(f"  labels ({len(manifest.labels)}) {plain(shown)}", highlight=False, markup=False)
    for state in manifest.state:
        line = f"  state {plain(state.output)} → {plain(state.input)}, reset on {', '.join(state.reset)}"
        out.print(line, highlight=False, markup=False)
    if manifest.window is not None:
        window = manifest.window
        line = (
            f"  window of {window.frames} frames, asked after every {window.stride}, reset on {', '.join(window.reset)}"
        )
        out.print(line, highlight=False, markup=False)
    rows = table("variant", "runtime", "precision", "computes in", "size", "parity", "status")
    for variant in manifest.variants:
        add_row(
            rows,
            variant.id, variant.runtime.value, variant.precision.value, _computes_in(variant),
            size_text(manifest.bytes_of(variant)), _parity_text(variant.parity), variant.status,
        )  # fmt: skip
    out.print(rows)
    for variant in manifest.variants:
        if variant.together is not None:
            out.print(
                f"  {plain(variant.id)}: {plain(_together_text(variant.together))}", highlight=False, markup=False
            )


def _together_text(together: Together) -> str:
    """Say how several models answer as one."""
    names = [f"{one.name} {one.version} ({one.precision.value})" for one in together.members]
    if together.rule != "cascade":
        return f"{together.rule} of {', '.join(names)}"
    often = "" if together.share is None else f", {together.share:.0%} of the calibration pictures"
    return f"{names[0]}, and below {together.threshold:.4f} {names[1]}{often}"


def _computes_in(variant: Variant) -> str:
    rest = variant.effective_precision
    return f"int8, rest {rest}" if variant.precision in {Precision.INT8, Precision.MIXED} else rest


def _parity_text(parity: dict[str, object]) -> str:
    """Say the worst figure; the report comes from the bundle and may hold anything."""
    worst = parity.get("worst")
    if not isinstance(worst, dict) or not isinstance(worst.get("sqnr_db"), (int, float)):
        return "not compared"
    name = worst.get("name")
    return f"{worst['sqnr_db']:.0f} dB" + (f" ({name})" if isinstance(name, str) else "")
