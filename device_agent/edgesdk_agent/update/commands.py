"""`edgesdk-agent update begin|install|back|abort|status`: another model on this device, from its own shell."""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk_targets.errors import DeviceError, InputError

if TYPE_CHECKING:
    from edgesdk_agent.config.root import AgentConfig
    from edgesdk_agent.config.update import UpdateSection
    from edgesdk_agent.update.record import Release
    from edgesdk_agent.update.wish import Wish, WishFiles

NAME = "update"
_LOOK_S = 0.2


def add_parser(commands: Any) -> None:
    """Add the command to the agent's command line."""
    from edgesdk_agent.shadow.asked import add_arguments

    group = commands.add_parser(
        NAME,
        help="change the model or the agent of this device, on trial",
        description="Another bundle for the agent that runs here under its launcher: checked, tried, and kept only if it does "
        "its work. See docs/updating.md.",
    )
    verbs = group.add_subparsers(dest="update", required=True, metavar="VERB")
    begin = verbs.add_parser("begin", help="put the first bundle into a slot; does nothing where there is one")
    begin.add_argument("--bundle", metavar="BUNDLE", help="another one than the configuration's")
    install = verbs.add_parser("install", help="ask for another bundle or agent, and wait for what comes of it")
    install.add_argument(
        "address", metavar="BUNDLE", help="a .edgebundle or .edgeagent: a file, such as on a stick, or https://…"
    )
    add_arguments(install)
    back = verbs.add_parser("back", help="ask for the bundle before this one, which the other slot still holds")
    abort = verbs.add_parser("abort", help="end the update that is under way")
    status = verbs.add_parser("status", help="say what runs, and how far an update is")
    for command in (back, abort):
        command.add_argument("--why", default="", help="for the log, and for whoever watches")
    for command in (install, back):
        command.add_argument("--no-wait", action="store_true", help="only ask")
        command.add_argument(
            "--answer-within", type=float, default=30.0, metavar="S", help="how long the agent may take to answer"
        )
    for command in (begin, install, back, abort, status):
        command.add_argument("--config", metavar="FILE", required=True, help="the agent's edgesdk.yaml")
        command.add_argument("--json", action="store_true", help="print one JSON document")
        command.add_argument("--quiet", action="store_true", help="log warnings only")
        command.add_argument("--debug", action="store_true", help="show tracebacks")


def run(options: argparse.Namespace) -> int:
    """Do one of these and return its exit code: 0, or 1 where an update was asked for and did not stay."""
    from edgesdk_agent.config.loading import load_config

    config = load_config(Path(options.config), no_mqtt=True).config
    if config.update is None:
        raise InputError(
            f"{options.config} has no section `update`.", hint="Add it, with the keys that you trust: docs/updating.md."
        )
    if options.update == "begin":
        return _begin(options, config, config.update)
    if options.update == "status":
        found = _status(config.update.folder)
        _print(options, found, _in_words(found))
        return 0
    return _ask(options, config.update)


def _begin(options: argparse.Namespace, config: AgentConfig, section: UpdateSection) -> int:
    from edgesdk_agent.health.clock_trust import ClockTrust
    from edgesdk_agent.update import launcher
    from edgesdk_agent.update.boot_clock import moment
    from edgesdk_agent.update.fetch.sources import Sources
    from edgesdk_agent.update.launcher import held_slots, read_switch
    from edgesdk_agent.update.proof_here import proof_of
    from edgesdk_agent.update.updater import Updater
    from edgesdk_targets.whole_file import write_whole

    root = section.folder
    if read_switch(root).active or held_slots(root):
        _print(options, {"folder": str(root), "begun": False}, f"{root} has its slots already.")
        return 0
    proof = proof_of(section, config.target, config.variant, threading.Event(), ClockTrust().now)
    sources = Sources(proof.accept, bytes_per_s=section.bytes_per_s, authority=section.ca)
    # Links are followed: what a slot holds is a file of its own.
    address = str(Path(options.bundle or config.bundle).resolve())
    release = sources.release_at(address)
    Updater(root, sources, proof, moment).begin(release, address)
    # For whoever starts it without systemd; the service has its own, which the service cannot write.
    write_whole(root / "launcher.py", Path(launcher.__file__).read_bytes())
    _print(
        options,
        {"folder": str(root), "begun": True, "id": release.id, "release": release.number},
        f"{root}: slot a holds {release.name} {release.version}, release {release.number}; the launcher takes it up.",
    )
    return 0


def _ask(options: argparse.Namespace, section: UpdateSection) -> int:
    """Write a wish and follow what becomes of it."""
    import secrets  # 10 ms, which the other commands need not wait for

    from edgesdk_agent.shadow.asked import plan_of
    from edgesdk_agent.update.wish import Wish, WishFiles

    files, token = WishFiles(section.folder), secrets.token_hex(8)
    address = getattr(options, "address", "")
    if address and "://" not in address:
        if not Path(address).is_file():
            raise InputError(f"There is no file {address}.", hint="Name a .edgebundle, or an address with https://.")
        address = files.give(Path(address), token)
    shadow = plan_of(options) if options.update == "install" else None
    wish = Wish(do=options.update, token=token, address=address, shadow=shadow, why=getattr(options, "why", "")[:300])
    files.ask(wish)
    if options.update == "abort" or options.no_wait:
        _print(
            options,
            {"asked": options.update},
            f"Asked for; see `edgesdk-agent update status --config {options.config}`.",
        )
        return 0
    said = _await_answer(files, wish, options.answer_within)
    found = _status(section.folder) if said else _await_rest(options, section.folder)
    _print(options, {**found, "said": said}, said or _in_words(found))
    return 0 if said or found["step"] in {"confirmed", "staged"} else 1


def _await_answer(files: WishFiles, wish: Wish, within_s: float) -> str:
    """Wait until a wish is taken up, and return what there is to say where nothing more will come of it."""
    until, told = time.monotonic() + within_s, ""
    while True:
        answer = files.answered()
        if answer is not None and answer.token == wish.token:
            if answer.taken:
                return answer.why
            if not answer.waits:
                raise InputError(f"The agent refuses: {answer.why}")
            if answer.why != told:
                told = answer.why
                sys.stderr.write(f"waits: {told}\n")
        elif time.monotonic() >= until:
            raise DeviceError(
                f"No agent has answered within {within_s:g} s; it is asked for all the same.",
                hint="Does it run under its launcher, with the same configuration? `edgesdk-agent status`",
            )
        time.sleep(_LOOK_S)


def _await_rest(options: argparse.Namespace, root: Path) -> dict[str, Any]:
    told = ""
    while True:
        found = _status(root)
        if found["step"] != told and not options.quiet:
            told = found["step"]
            sys.stderr.write(f"{told}\n")
        if found["at_rest"] or (found["step"] == "staged" and found["shadowed"] is not None):
            return found
        time.sleep(_LOOK_S)


def _status(root: Path) -> dict[str, Any]:
    """Return what is known of the updates in a folder."""
    from edgesdk_agent.update.launcher import held_slots, read_switch
    from edgesdk_agent.update.record import RECORD, RecordFile
    from edgesdk_agent.update.slots import Slots
    from edgesdk_agent.update.wish import WishFiles

    try:
        # Asked for before it is read: who may not read a record would be told that it is damaged.
        names = {path.name for path in root.iterdir()}
        readable = RECORD not in names or os.access(root / RECORD, os.R_OK)
    except PermissionError:
        readable = False
    except OSError as error:
        raise InputError(f"There are no slots in {root}.", hint="Begin with `edgesdk-agent update begin`.") from error
    if not readable:
        raise DeviceError(f"{root} is for the service's user and root alone.", hint="Run it with sudo.")
    file, switch = RecordFile(root), read_switch(root)
    if file.damage:
        raise DeviceError(file.damage, hint="The agent begins it anew; the slots tell what was confirmed.")
    record, answer, runs = file.now, WishFiles(root).answered(), Slots(root).content(switch.runs)
    return {
        "folder": str(root),
        "runs": switch.runs,
        "trial": None if switch.trial is None else {"slot": switch.trial.slot, "starts": switch.trial.starts},
        "slots": held_slots(root),
        "bundle": _told(None if runs is None else runs.bundle),
        "agent": _told(None if runs is None else runs.agent),
        "step": record.step.value,
        "at_rest": record.step.at_rest,
        "release": _told(record.release),
        "confirmed": _told(record.confirmed),
        "previous": _told(record.previous),
        "shadow": None if record.shadow is None else record.shadow.model_dump(),
        "shadowed": None if record.shadowed is None else record.shadowed.model_dump(),
        "floor": record.floor,
        "why": record.why,
        "refused": "" if answer is None or answer.taken or answer.waits else answer.why,
        "waits": answer.why if answer is not None and answer.waits else "",
    }


def _told(release: Release | None) -> dict[str, Any] | None:
    return None if release is None else release.model_dump()


def _in_words(found: dict[str, Any]) -> str:
    lines = [f"slot {found['runs'] or '-'} runs" + (" on trial" if found["trial"] else "")]
    lines += [
        f"{what}: {_named(found[what])}"
        for what in ("bundle", "agent", "confirmed", "previous")
        if found[what] is not None
    ]
    release, why = found["release"], found["why"]
    named = "" if release is None else f"{_named(release)}: "
    lines.append(f"update: {named}{found['step']}{f', {why}' if why else ''}")
    if found["step"] == "staged" and found["shadow"] is not None:
        lines.append("shadow run: " + ("it is promoted, and waits to be asked for" if found["shadowed"] else "goes on"))
    lines += [f"{what}: {found[what]}" for what in ("waits", "refused") if found[what]]
    return "\n".join(lines)


def _named(release: dict[str, Any]) -> str:
    return f"{release['name']} {release['version']}, release {release['number']}"


def _print(options: argparse.Namespace, document: Any, text: str) -> None:
    sys.stdout.write((json.dumps(document, indent=2) if options.json else text) + "\n")
    sys.stdout.flush()
