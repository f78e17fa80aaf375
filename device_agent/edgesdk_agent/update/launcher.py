"""Start what is in the slot that is to run, count failed starts, and go back by itself: the only writer of `switch.json`.

    ROOT/switch.json      which slot runs, and which is on trial; written here alone
    ROOT/order.json       what the agent asks for: begin, try, confirm, give_up, damaged; written by the agent alone
    ROOT/slots/a, slots/b what there is to run; complete where there is a `slot.json`
    ROOT/agents/NAME      environments; a slot that names one is run by the program of COMMAND's name in it

    python3 launcher.py ROOT -- COMMAND … {slot} …

This file needs Python's standard library and nothing else, so that a copy of it goes on working when the agent beside it
cannot even be imported. Every start of a slot on trial is counted on the disk before it is made. A trial ends by the
agent's `confirm`, or it ends badly: too many starts, too much time, or the agent's `give_up`. All that decides is pure.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

SWITCH, ORDER, SLOT_FILE, SLOTS = "switch.json", "order.json", "slot.json", ("a", "b")
ENVIRONMENTS, PROBE = "agents", "probe.py"  # a program that loads whatever the environment must be able to
FOLDER_VARIABLE, SLOT_VARIABLE = "EDGESDK_SLOTS", "EDGESDK_SLOT"  # what the program is told of itself
NOT_IN_TIME = "not confirmed in time"
_HALF_WRITTEN = ".switch-"
_LARGEST_BYTES = 1 << 16
_WAITED = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
_LOOK_S, _STOP_S = 1.0, 20.0
_NO_SLOT = 78  # EX_CONFIG: starting again would change nothing
_NO_PROGRAM = 127  # as of a shell
_START_WITHIN_S, _PROBE_S = 1800, 300.0  # the first start of a model may build an engine
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Trial:
    """A slot that is not proven yet. `starts` were begun of `most_starts`; each may last `deadline_s`.

    Of a `hot` one the program that runs takes over what is in it; that counts as a start.
    """

    slot: str
    id: str
    starts: int = 0
    most_starts: int = 3
    deadline_s: float = 600.0
    hot: bool = False


@dataclass(frozen=True)
class Switch:
    """`order` is the number of the last order that was carried out; `id` says what the active slot holds.

    `ended_id`, `kept` and `why` tell how the last trial ended. `damaged` is the slot that ran and could not be read any more.
    """

    active: str = ""
    id: str = ""
    trial: Trial | None = None
    order: int = 0
    ended_id: str = ""
    kept: bool = False
    why: str = ""
    damaged: str = ""

    @property
    def runs(self) -> str:
        """The slot to run."""
        return self.trial.slot if self.trial else self.active


def obey(switch: Switch, order: dict[str, Any]) -> Switch:
    """Return the switch after an order. One that was carried out, or makes no sense now, changes nothing but the number."""
    number = order.get("number")
    if not isinstance(number, int) or number <= switch.order:
        return switch
    done = replace(switch, order=number)
    what, slot, named = order.get("do"), order.get("slot"), order.get("id")
    if slot not in SLOTS or not isinstance(named, str):
        return done
    trial = switch.trial
    if what == "begin" and not switch.active:
        return replace(done, active=slot, id=named)
    if what == "try" and switch.active and slot != switch.active and trial is None:
        most, deadline = _number(order, "most_starts", 3, 1, 10), _number(order, "deadline_s", 600, 1, 86400)
        begun = Trial(slot, named, 0, int(most), deadline, order.get("hot") is True)
        return replace(done, trial=begun, ended_id="", kept=False, why="", damaged="")
    if what == "damaged" and (slot, named) == (switch.active, switch.id):
        return left_damaged(done, str(order.get("why", "")))
    if trial is not None and (trial.slot, trial.id) == (slot, named):
        if what == "confirm" and trial.starts:
            return replace(done, active=slot, id=named, trial=None, ended_id=named, kept=True, why="")
        if what == "give_up":
            return ended(done, str(order.get("why", "the agent gave it up"))[:300])
    return done


def ended(switch: Switch, why: str) -> Switch:
    """Return the switch with its trial ended badly; the active slot was never touched."""
    return replace(switch, trial=None, ended_id=switch.trial.id if switch.trial else "", kept=False, why=why)


def counted(switch: Switch, held: dict[str, str], last: str = "") -> Switch:
    """Return the switch for a start that is about to be made.

    Args:
        held: slot → id of what is complete in it.
        last: how the start before ended, where that is known.
    """
    trial = switch.trial
    if trial is not None:
        if held.get(trial.slot) != trial.id:
            switch = ended(switch, f"slot {trial.slot} does not hold it")
        elif trial.starts >= trial.most_starts:
            switch = ended(switch, f"not confirmed in {trial.starts} starts{last and f', the last of which {last}'}")
        else:
            return replace(switch, trial=replace(trial, starts=trial.starts + 1))
    sound = {slot: named for slot, named in held.items() if slot != switch.damaged}
    if switch.active not in sound and sound:
        # The active slot is never written, so only a failing disk brings us here; something that runs is better.
        other, lost = min(sound), switch.active
        why = switch.why if lost and lost == switch.damaged else f"slot {lost or '-'} was damaged or unknown"
        switch = replace(switch, active=other, id=sound[other], ended_id="", kept=False, why=why, damaged=lost)
    return switch


def left_damaged(switch: Switch, why: str) -> Switch:
    """Return the switch with the slot that runs noted as damaged; of two that are, the first one is left."""
    if switch.trial is not None or switch.damaged:
        return switch
    return replace(switch, damaged=switch.active, why=f"slot {switch.active} is damaged: {why}"[:300])


def read_switch(root: Path) -> Switch:
    """Return the switch; an empty one where there is none, or none that can be understood."""
    raw = read_json(root / SWITCH)
    try:
        trial = Trial(**_known(Trial, raw["trial"])) if raw.get("trial") else None
        found = Switch(**{**_known(Switch, raw), "trial": trial})
        sound = isinstance(found.order, int) and {found.active, found.runs, found.damaged} <= {*SLOTS, ""}
    except (TypeError, KeyError, AttributeError):
        return Switch()
    return found if sound and (trial is None or isinstance(trial.starts, int)) else Switch()


def obey_order(root: Path) -> Switch:
    """Carry out the order that is there, if it is new, and return the switch."""
    switch = read_switch(root)
    after = obey(switch, read_json(root / ORDER))
    # What the disk does not take has not happened; the order stays, for when it does.
    return after if after == switch or _kept(root, after) else switch


def prepare_start(root: Path, last: str = "") -> Switch:
    """Carry out the order, count the start that is about to be made, and return the switch to run by; `last` as for `counted`."""
    switch, held = read_switch(root), held_slots(root)
    # One write for both: a start may follow each of them, and none comes in between.
    after = counted(obey(switch, read_json(root / ORDER)), held, last)
    if after == switch or _kept(root, after):
        return after
    # A start that cannot be counted could be made for ever; on a full disk what is proven runs.
    return replace(counted(switch, held), trial=None)


def held_slots(root: Path) -> dict[str, str]:
    """Return what is complete in the slots, by slot."""
    found = {slot: read_json(root / "slots" / slot / SLOT_FILE).get("id") for slot in SLOTS}
    return {slot: named for slot, named in found.items() if isinstance(named, str)}


def _known(kind: Any, raw: dict[str, Any]) -> dict[str, Any]:
    """Return what this version knows of a value that another one may have written."""
    return {name: value for name, value in raw.items() if name in kind.__dataclass_fields__}


def _kept(root: Path, switch: Switch) -> bool:
    try:
        write_switch(root, switch)
    except OSError as error:
        print(f"launcher: {root / SWITCH} cannot be written: {error}", file=sys.stderr)  # noqa: T201
        return False
    return True


def write_switch(root: Path, switch: Switch) -> None:
    """Write the switch, whole or not at all: the file's bytes are on the disk before its name is, and then the name is too."""
    content = json.dumps(asdict(switch), sort_keys=True).encode()
    handle, name = tempfile.mkstemp(prefix=_HALF_WRITTEN, dir=root)
    try:
        try:
            os.write(handle, content)
            os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(name, root / SWITCH)  # noqa: PTH105  (all of them calls of `os`, as the test of power cuts records these)
    except OSError:
        os.unlink(name)  # noqa: PTH108
        raise
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_json(path: Path) -> dict[str, Any]:
    """Return what a file holds; nothing where it is absent, unreadable or no object."""
    try:
        with path.open("rb") as stream:
            found = json.loads(stream.read(_LARGEST_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def run(root: Path, command: list[str]) -> int:
    """Start, watch and start again, until the program ends outside a trial or this one is asked to stop; return its code."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _WAITED)
    as_child = _childs_beginning()
    for left in root.glob(f"{_HALF_WRITTEN}*"):
        left.unlink()
    last, unsound = "", set[str]()
    while True:
        switch = prepare_start(root, last)
        noted = read_switch(root)  # on a full disk not what runs
        if not switch.runs or switch.runs not in held_slots(root):
            print(f"launcher: no slot in {root} holds anything to run", file=sys.stderr)  # noqa: T201
            return _NO_SLOT
        own = own_program(root, switch.runs, command[0])
        child = _started(root, switch, command, "" if own in unsound and switch.trial is None else own, as_child)
        if child is None and switch.trial is None:
            return _NO_PROGRAM
        if child is None:
            last = "could not be made"
            continue
        asked_to_stop, switch = _watch(root, child, switch, noted)
        code = child.wait()
        last = f"ended with code {code}" if code >= 0 else f"was ended by signal {-code}"
        now = obey_order(root)
        stays = now.trial is None and now.runs == switch.runs
        if stays and code and not asked_to_stop and own not in {"", *unsound}:
            asked_to_stop, loads = _probed(own, as_child)
            if not loads:
                unsound.add(own)
                _leave_unsound(root, now, unsound, command[0])
                continue
        goes_over = bool(now.damaged) and not noted.damaged
        # It ended by itself; so it did where the disk took nothing, before or since.
        if asked_to_stop or (stays and not goes_over) or now == noted != switch:
            return code if code >= 0 else 128 - code
        _say_it_begins_anew()
        if now.trial is not None:
            time.sleep(min(now.trial.starts, 5) * 0.2)  # a program that ends at once is not to take the processor


def own_program(root: Path, slot: str, program: str) -> str:
    """Return the program of that name in the slot's own environment; empty where the slot names none."""
    named = read_json(root / "slots" / slot / SLOT_FILE).get("environment")
    # One plain name: nothing that a file says leads out of the folder.
    plain = isinstance(named, str) and named.isalnum()
    return str(root / ENVIRONMENTS / str(named) / "bin" / Path(program).name) if plain else ""


def _probed(own: str, as_child: Callable[[], None]) -> tuple[bool, bool]:
    """Return whether somebody asked us to stop meanwhile, and whether an environment loads what it did when it was proven."""
    python = Path(own).with_name("python")
    probe = python.parent.parent / PROBE
    if not probe.exists():
        return False, True
    for _ in range(2):  # memory may be short once
        _say_it_begins_anew()
        try:
            child = subprocess.Popen([str(python), "-I", str(probe)], preexec_fn=as_child)  # noqa: PLW1509
        except OSError:
            return False, False
        until, stop = time.monotonic() + _PROBE_S, False
        while child.poll() is None and not stop and time.monotonic() < until:
            got = signal.sigtimedwait(_WAITED, _LOOK_S)
            stop = got is not None and got.si_signo in {signal.SIGTERM, signal.SIGINT}
        child.kill()  # it has nothing to lose
        # Who was killed says nothing: it took too long, memory ran out, or somebody did it.
        if stop or child.wait() in {0, -9, -15}:
            return stop, True
    return False, False


def _leave_unsound(root: Path, switch: Switch, unsound: set[str], program: str) -> None:
    """Go over to the other slot where that runs by something else; else the given program stands in for what does not load."""
    print(f"launcher: slot {switch.runs}: its agent does not load any more", file=sys.stderr)  # noqa: T201
    others = [slot for slot in held_slots(root) if slot != switch.runs]
    if any(own_program(root, slot, program) not in unsound for slot in others):
        _kept(root, left_damaged(switch, "its agent does not load any more"))


def _started(
    root: Path, switch: Switch, command: list[str], own: str, as_child: Callable[[], None]
) -> subprocess.Popen[bytes] | None:
    """Start the slot that runs, by its own program if it has one, what is proven else by the given one; None if neither starts."""
    environment = {**os.environ, FOLDER_VARIABLE: str(root), SLOT_VARIABLE: switch.runs}
    # It names us, and it is the program that tells the service manager that it is alive.
    environment.pop("WATCHDOG_PID", None)
    words = [word.replace("{slot}", str(root / "slots" / switch.runs)) for word in command]
    # Nothing of these is to mix another installation's packages into an environment.
    plain = {name: value for name, value in environment.items() if name not in {"PYTHONPATH", "PYTHONHOME"}}
    ways = [([own, *words[1:]], plain)] if own else []
    if not own or switch.trial is None:
        ways.append((words, environment))
    for way, variables in ways:
        try:
            return subprocess.Popen(way, env=variables, preexec_fn=as_child)  # noqa: PLW1509  (no threads here)
        except OSError as error:
            print(f"launcher: {way[0]} cannot be started: {error}", file=sys.stderr)  # noqa: T201
    return None


def _childs_beginning() -> Callable[[], None]:
    """Return what a child does before it becomes the program."""
    libc = ctypes.CDLL(None)

    def begin() -> None:
        # A terminal's Ctrl-C comes to us, who hand it on: twice the same signal would be impatience.
        os.setpgid(0, 0)
        # Two programs at one camera would be worse than none, should we be killed.
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WAITED)

    return begin


def _say_it_begins_anew() -> None:
    """Tell systemd that until the program says that it is ready nobody says that it is alive."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    began = f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}\nWATCHDOG=1"
    # A datagram of its own: within one, systemd winds the watchdog up after it has extended it.
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.setblocking(False)
        for word in (began, f"EXTEND_TIMEOUT_USEC={_START_WITHIN_S * 1_000_000}"):
            out.sendto(word.encode(), "\0" + address[1:] if address.startswith("@") else address)


def _watch(root: Path, child: subprocess.Popen[bytes], began: Switch, noted: Switch) -> tuple[bool, Switch]:
    """Wait until the child ended, ending it where the switch says so; return whether somebody asked us to stop, and what it ran."""
    until = None if began.trial is None else time.monotonic() + began.trial.deadline_s
    stopping = False
    while child.poll() is None:
        got = signal.sigtimedwait(_WAITED, _LOOK_S)
        if got is not None and got.si_signo != signal.SIGCHLD:
            child.send_signal(got.si_signo)
            stopping |= got.si_signo != signal.SIGHUP
        switch = obey_order(root)
        if switch.trial is not None and switch.trial.hot and not switch.trial.starts and not stopping:
            # Counted before it is made, as every start is; the program waits for that. Where it cannot be, another one is started.
            taken = counted(switch, held_slots(root))
            if _kept(root, taken):
                began = switch = taken
                until = None if taken.trial is None else time.monotonic() + taken.trial.deadline_s
        if switch.trial is None:
            until = None
        if until is not None and time.monotonic() >= until:
            until, switch = None, ended(switch, NOT_IN_TIME)
            _kept(root, switch)
        if switch.runs != began.runs and switch != noted and not stopping:
            _end(child)
    return stopping, began


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    with suppress(subprocess.TimeoutExpired):
        child.wait(_STOP_S)
    child.kill()  # nothing to one that has ended


def _number(order: dict[str, Any], name: str, usual: float, least: float, most: float) -> float:
    value = order.get(name, usual)
    return min(max(value, least), most) if isinstance(value, (int, float)) else usual


def main(arguments: list[str]) -> int:
    """Run from a command line."""
    if len(arguments) < 3 or arguments[1] != "--":
        sys.exit("use: launcher.py ROOT -- COMMAND … {slot} …")
    return run(Path(arguments[0]), arguments[2:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
