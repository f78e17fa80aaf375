"""`edgesdk targets [NAME]`: which devices are known, and what is known of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from edgesdk.cli.output import JsonFlag, console, next_command, note, print_json, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgesdk_targets.target import Platform, Target

Name = Annotated[str | None, typer.Argument(metavar="[NAME]", help="A name, an alias, or your own YAML file.")]


def targets(name: Name = None, json: JsonFlag = False) -> None:
    """List the devices that a model can be converted for, or show one."""
    from edgesdk_targets.catalogue import find_target, load_targets

    if name is not None:
        target = find_target(name)
        if json:
            print_json(target.model_dump(mode="json"))
        else:
            _print_one(target, asked=name)
        return
    known = load_targets()
    if json:
        print_json({"targets": [target.model_dump(mode="json") for target in known.values()]})
        return
    _print_list(list(known.values()))


def _print_list(known: list[Target]) -> None:
    listing = table("Target", "Arch", "Default", "Memory", "Agent", "Runtimes, best first")
    for column in listing.columns[:-1]:
        column.no_wrap = True
    for target in known:
        listing.add_row(
            target.name,
            target.arch,
            str(target.default_precision),
            memory_text(target.memory_bytes) if target.memory_bytes else "-",
            "yes" if target.agent else "no",
            " → ".join(map(str, target.runtimes)),
        )
    out = console()
    out.print(listing)
    for status in dict.fromkeys(target.status for target in known):
        names = ", ".join(target.name for target in known if target.status == status)
        out.print(f"{str(status).capitalize()}: {names}", markup=False, highlight=False)
    next_command("edgesdk targets NAME")


def _print_one(target: Target, *, asked: str) -> None:
    if asked.partition("@")[0] == "jetson":
        note(f"'jetson' is taken as {target.name}; the other Jetsons have names of their own.")
    details = table("", "", title=f"{target.name}: {target.summary}")
    details.show_header = False
    for label, text in _details(target):
        details.add_row(label, text)
    console().print(details, markup=False)
    if target.agent:
        # A target of the user's own is found by its file, not by its name.
        from_file = asked.partition("@")[0].lower().replace("_", "-") not in {target.name, *target.aliases}
        next_command(f"edgesdk convert MODEL --target {asked if from_file else target.name} -o OUT")


def _details(target: Target) -> Iterator[tuple[str, str]]:
    """Yield the label and text of every line that this target has something to say on."""
    rows = [
        ("Also called", ", ".join(target.aliases)),
        ("Processor", _processor_text(target)),
        ("GPU", _gpu_text(target)),
        ("Memory", target.memory_note or (memory_text(target.memory_bytes) if target.memory_bytes else "")),
        ("Largest bundle", memory_text(target.max_bundle_bytes)),
        *((f"{runtime}", ", ".join(map(str, target.precisions[runtime]))) for runtime in target.runtimes),
        ("Default precision", str(target.default_precision)),
        ("Engine", "built on the device, from the bundle" if target.builds_on_device else ""),
        ("ONNX opset", f"up to {target.max_onnx_opset}" if target.max_onnx_opset else ""),
        ("Camera", target.camera),
        ("Hardware video decoders", ", ".join(target.video_decoders) or "none"),
        ("", target.video_note),
        *(("System", _platform_text(target, platform)) for platform in target.platforms),
        ("apt packages", " ".join(target.apt)),
        ("Agent", "yes" if target.agent else "no"),
        ("", target.agent_note),
        ("Tried", _STATUS[target.status.value]),
        *(("Source", source) for source in target.sources),
    ]
    return (row for row in rows if row[1])


_STATUS = {
    "measured": "measured on this kind of machine",
    "emulated": "emulated: its own programs under an emulator; results real, speed unknown",
    "simulated": "simulated: the same runtime on another machine",
    "built only": "built only: nothing was run on this device by this project",
}


def memory_text(size_bytes: int) -> str:
    """Write an amount of memory as boards are sold: 8 GB for 8 GiB."""
    gib = size_bytes / 2**30
    return f"{gib:.0f} GB" if gib >= 1 else f"{gib * 1024:.0f} MB"


def _processor_text(target: Target) -> str:
    cpu = target.cpu
    cores = f", {cpu.cores} cores" if cpu.cores else ""
    clock = f", {cpu.max_mhz / 1000:.2g} GHz" if cpu.max_mhz else ""
    features = f" ({', '.join(cpu.features)})" if cpu.features else ""
    return f"{cpu.model}, {target.arch}{cores}{clock}{features}"


def _gpu_text(target: Target) -> str:
    gpu = target.gpu
    if gpu is None:
        return ""
    cores = f", {gpu.cuda_cores} CUDA cores" if gpu.cuda_cores else ""
    capability = f", compute capability {gpu.compute_capability}" if gpu.compute_capability else ""
    return f"{gpu.model}{cores}{capability}"


def _platform_text(target: Target, platform: Platform) -> str:
    parts = [f"Python {platform.python}", f"glibc {platform.glibc}"]
    if platform.cuda:
        parts.append(f"CUDA {platform.cuda}")
    if platform.tensorrt:
        parts.append(f"TensorRT {platform.tensorrt}")
    return f"{platform.name}: {', '.join(parts)}  ({target.name}@{platform.id})"
