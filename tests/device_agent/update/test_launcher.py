"""The launcher with real programs: it counts, it goes back alone, it needs nothing but Python; and its rules, as values."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk_agent.update import launcher
from edgesdk_agent.update.launcher import Switch, Trial, counted, obey, read_switch

PATIENCE_S = 30.0
ENVIRONMENT = {"PATH": os.environ["PATH"]}
HELD = {"a": "one", "b": "two"}
# What runs in a slot: it tells that it began, and then does what its slot says.
PROGRAM = """
import json, os, pathlib, sys, time
slot, root = pathlib.Path(sys.argv[1]), pathlib.Path(os.environ["EDGESDK_SLOTS"])
with (root / "began").open("a") as log:
    log.write(os.environ["EDGESDK_SLOT"] + "\\n")
exec((slot / "program.py").read_text())
"""
STAYS = "time.sleep(60)"
CONFIRMS = """
order = dict(json.loads((root / "order.json").read_text()), do="confirm", number=2)
(root / "order.new").write_text(json.dumps(order)); os.replace(root / "order.new", root / "order.json")
time.sleep(60)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A device whose slot a runs, and whose slot b holds a candidate."""
    for slot, named in HELD.items():
        (tmp_path / "slots" / slot).mkdir(parents=True)
        (tmp_path / "slots" / slot / "slot.json").write_text(json.dumps({"id": named}))
        (tmp_path / "slots" / slot / "program.py").write_text(STAYS)
    launcher.write_switch(tmp_path, Switch("a", "one"))
    return tmp_path


@pytest.fixture
def started(root: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    running: list[subprocess.Popen[bytes]] = []
    yield running
    for one in running:
        one.terminate()
        one.wait(PATIENCE_S)


def start(root: Path, started: list[subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    """Start a copy of the launcher that sees nothing of edgesdk, not even an installed one."""
    one = subprocess.Popen(words(root), env=ENVIRONMENT)
    started.append(one)
    return one


def words(root: Path) -> list[str]:
    copy = root / "launcher.py"
    shutil.copy(launcher.__file__, copy)
    return [sys.executable, "-I", "-S", str(copy), str(root), "--", sys.executable, "-c", PROGRAM, "{slot}"]


def _runs(process: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def order(root: Path, what: str = "try", number: int = 1, **more: Any) -> None:
    content = {"number": number, "do": what, "slot": "b", "id": "two", **more}
    (root / "order.json").write_text(json.dumps(content))


def began(root: Path) -> list[str]:
    return (root / "began").read_text().split() if (root / "began").exists() else []


def wait_for(what: Any) -> None:
    until = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)


class TestWithRealPrograms:
    def test_an_order_ends_the_old_program_and_a_confirmed_one_stays(self, root: Path, started: Any) -> None:
        (root / "slots/b/program.py").write_text(CONFIRMS)
        one = start(root, started)
        wait_for(lambda: began(root) == ["a"])
        order(root)
        wait_for(lambda: read_switch(root).kept)
        assert read_switch(root) == Switch("b", "two", None, 2, "two", kept=True)
        assert began(root) == ["a", "b"]
        assert one.poll() is None

    def test_a_program_that_cannot_start_is_left_after_three_starts(self, root: Path, started: Any) -> None:
        (root / "slots/b/program.py").write_text("import nothing_of_this_name")
        order(root)
        one = start(root, started)
        wait_for(lambda: began(root) == ["b", "b", "b", "a"])
        switch = read_switch(root)
        assert (switch.active, switch.trial, switch.kept) == ("a", None, False)
        assert switch.why == "not confirmed in 3 starts, the last of which ended with code 1"
        assert one.poll() is None

    def test_a_program_that_hangs_is_left_after_its_time(self, root: Path, started: Any) -> None:
        hangs = "import signal; signal.signal(signal.SIGTERM, signal.SIG_DFL); time.sleep(60)"
        (root / "slots/b/program.py").write_text(hangs)
        order(root, deadline_s=1)
        start(root, started)
        wait_for(lambda: began(root) == ["b", "a"])
        assert read_switch(root).why == "not confirmed in time"

    def test_a_stop_is_handed_on_and_ends_it_with_the_programs_code(self, root: Path, started: Any) -> None:
        (root / "slots/a/program.py").write_text(
            "import signal; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); "
            "(root / 'ready').touch(); time.sleep(60)"
        )
        one = start(root, started)
        wait_for((root / "ready").exists)
        one.send_signal(signal.SIGTERM)
        assert one.wait(PATIENCE_S) == 7

    def test_outside_a_trial_an_end_is_the_service_managers_business(self, root: Path, started: Any) -> None:
        (root / "slots/a/program.py").write_text("sys.exit(5)")
        assert start(root, started).wait(PATIENCE_S) == 5
        assert began(root) == ["a"]

    def test_so_it_is_where_a_full_disk_cannot_count_a_start_on_trial(self, root: Path, started: Any) -> None:
        """Else a program that ends at once would be started again without a pause, for as long as the disk is full."""
        (root / "slots/a/program.py").write_text("sys.exit(5)")
        launcher.write_switch(root, Switch("a", "one", Trial("b", "two")))
        full = (
            "import pathlib, sys; sys.path.insert(0, sys.argv[1]); import launcher\n"
            "def write_switch(*_): raise OSError(28, 'no space')\n"
            "launcher.write_switch = write_switch\n"
            "sys.exit(launcher.run(pathlib.Path(sys.argv[1]), sys.argv[2:]))"
        )
        one = subprocess.Popen([sys.executable, "-c", full, str(root), *words(root)[6:]], env=ENVIRONMENT)
        started.append(one)
        assert one.wait(PATIENCE_S) == 5
        assert began(root) == ["a"]

    def test_so_it_is_for_one_that_was_confirmed_in_this_run(self, root: Path, started: Any) -> None:
        wait = "while 'two' not in json.loads((root / 'switch.json').read_text())['id']: time.sleep(0.02)\nsys.exit(4)"
        (root / "slots/b/program.py").write_text(CONFIRMS.replace("time.sleep(60)", wait))
        order(root)
        assert start(root, started).wait(PATIENCE_S) == 4
        assert began(root) == ["b"]

    def test_killed_itself_it_goes_on_counting(self, root: Path, started: Any) -> None:
        order(root)
        for starts in (1, 2, 3):
            one = start(root, started)
            wait_for(lambda starts=starts: began(root) == ["b"] * starts)
            one.kill()
            one.wait(PATIENCE_S)
        start(root, started)
        wait_for(lambda: began(root)[-1] == "a")
        assert began(root) == ["b", "b", "b", "a"]

    def test_its_own_end_ends_the_program_and_signals_of_a_terminal_come_once(self, root: Path, started: Any) -> None:
        (root / "slots/a/program.py").write_text(
            "(root / 'tmp').write_text(f'{os.getpid()} {os.getpgid(0)}'); os.replace(root / 'tmp', root / 'ids'); "
            "time.sleep(60)"
        )
        one = start(root, started)
        wait_for((root / "ids").exists)
        child, group = map(int, (root / "ids").read_text().split())
        assert group == child != one.pid
        one.kill()
        wait_for(lambda: not _runs(child))

    def test_a_service_manager_hears_of_a_new_start_and_waits_for_the_program(self, root: Path) -> None:
        address = root / "notify"
        (root / "slots/a/program.py").write_text(
            "(root / 'tmp').write_text(json.dumps(dict(os.environ))); os.replace(root / 'tmp', root / 'told'); sys.exit(5)"
        )
        (root / "slots/b/program.py").write_text("sys.exit(3)")
        order(root, most_starts=1)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(address))
            environment = {"NOTIFY_SOCKET": str(address), "WATCHDOG_PID": "1", "WATCHDOG_USEC": "9", **ENVIRONMENT}
            done = subprocess.run(words(root), env=environment, check=False, timeout=PATIENCE_S)
            manager.setblocking(False)
            heard = [manager.recv(4096).decode() for _ in range(2)]
        assert done.returncode == 5
        assert heard[0].startswith("RELOADING=1\nMONOTONIC_USEC=")
        assert heard[1] == "EXTEND_TIMEOUT_USEC=1800000000"
        told = json.loads((root / "told").read_text())
        assert (told["WATCHDOG_USEC"], "WATCHDOG_PID" in told, told["EDGESDK_SLOT"]) == ("9", False, "a")

    def test_where_a_program_says_that_its_slot_is_damaged_the_other_one_runs(self, root: Path, started: Any) -> None:
        says = (
            "order = dict(number=1 + json.loads((root / 'switch.json').read_text())['order'], do='damaged', "
            "slot=os.environ['EDGESDK_SLOT'], id={'a': 'one', 'b': 'two'}[os.environ['EDGESDK_SLOT']], why='bad hash')\n"
            "(root / 'order.json').write_text(json.dumps(order))\nsys.exit(1)"
        )
        (root / "slots/a/program.py").write_text(says)
        one = start(root, started)
        wait_for(lambda: began(root) == ["a", "b"])
        switch = read_switch(root)
        assert (switch.active, switch.id, switch.damaged) == ("b", "two", "a")
        assert switch.why == "slot a is damaged: bad hash"
        assert one.poll() is None

    def test_of_two_damaged_slots_neither_is_preferred_and_the_service_manager_decides(
        self, root: Path, started: Any
    ) -> None:
        launcher.write_switch(root, Switch("b", "two", damaged="a"))
        (root / "slots/b/program.py").write_text("sys.exit(1)")
        order(root, "damaged")
        assert start(root, started).wait(PATIENCE_S) == 1
        assert (began(root), read_switch(root).active) == (["b"], "b")

    def test_without_anything_to_run_it_says_so(self, tmp_path: Path, started: Any) -> None:
        (tmp_path / "empty").mkdir()
        assert start(tmp_path / "empty", started).wait(PATIENCE_S) == 78


class TestOwnPrograms:
    """A slot that names an environment is run by the program of the same name in that."""

    @pytest.fixture
    def own(self, root: Path) -> Path:
        """Let slot b name an environment, and return its program, which is not there yet."""
        (root / "slots/b/slot.json").write_text(json.dumps({"id": "two", "environment": "abc"}))
        (root / "agents/abc/bin").mkdir(parents=True)
        return root / "agents/abc/bin" / Path(sys.executable).name

    @staticmethod
    def write(own: Path, interpreter: str = "/bin/sh") -> None:
        own.write_text(
            f'#!{interpreter}\necho "own ${{PYTHONPATH-none}}" >> "$EDGESDK_SLOTS/own"\nexec {sys.executable} "$@"\n'
        )
        own.chmod(0o700)

    def test_it_runs_and_no_other_packages_are_mixed_in(self, root: Path, own: Path, started: Any) -> None:
        self.write(own)
        (root / "slots/b/program.py").write_text(CONFIRMS)
        order(root)
        started.append(subprocess.Popen(words(root), env={**ENVIRONMENT, "PYTHONPATH": "/elsewhere"}))
        wait_for(lambda: read_switch(root).kept)
        assert (root / "own").read_text() == "own none\n"
        assert began(root) == ["b"]

    @pytest.mark.parametrize("lost", ["it is not there", "its interpreter is not there", "it may not be run"])
    def test_on_trial_one_that_cannot_be_started_is_counted_and_left(
        self, root: Path, own: Path, started: Any, lost: str
    ) -> None:
        if lost != "it is not there":
            self.write(own, "/bin/sh" if "may not" in lost else "/none/python")
            own.chmod(0o600 if "may not" in lost else 0o700)
        order(root)
        one = start(root, started)
        wait_for(lambda: began(root) == ["a"])
        assert read_switch(root).why == "not confirmed in 3 starts, the last of which could not be made"
        assert one.poll() is None

    def test_once_confirmed_the_given_program_stands_in_for_a_lost_one(
        self, root: Path, own: Path, started: Any
    ) -> None:
        launcher.write_switch(root, Switch("b", "two"))
        one = start(root, started)
        wait_for(lambda: began(root) == ["b"])
        assert not (root / "own").exists()
        assert one.poll() is None

    @staticmethod
    def confirmed(root: Path, own: Path, probe: str, before: str = "") -> list[str]:
        """Let slot b run by an environment whose program ends at once, and which loads what `probe` does.

        Args:
            before: the environment of slot a; the given program runs it unless given.

        Returns:
            The launcher's command line, whose given program has another name than Python.
        """
        (root / "agent").symlink_to(sys.executable)
        own = own.with_name("agent")
        own.write_text('#!/bin/sh\necho "own $EDGESDK_SLOT" >> "$EDGESDK_SLOTS/own"\nexit 1\n')
        own.chmod(0o700)
        (own.parent / "python").write_text(f'#!/bin/sh\necho asked >> "$EDGESDK_ASKED"\nexec {sys.executable} "$@"\n')
        (own.parent / "python").chmod(0o700)
        (root / "agents/abc" / launcher.PROBE).write_text(probe)
        (root / "slots/a/slot.json").write_text(json.dumps({"id": "one", "environment": before}))
        launcher.write_switch(root, Switch("b", "two"))
        python, *options = words(root)
        return [python, *(str(root / "agent") if word == python else word for word in options)]

    @staticmethod
    def asking(root: Path, command: list[str], started: Any) -> subprocess.Popen[bytes]:
        one = subprocess.Popen(command, env={**ENVIRONMENT, "EDGESDK_ASKED": str(root / "asked")})
        started.append(one)
        return one

    def test_what_was_confirmed_and_does_not_load_any_more_is_left_for_the_other_slot(
        self, root: Path, own: Path, started: Any
    ) -> None:
        one = self.asking(root, self.confirmed(root, own, "import nothing_of_this_name"), started)
        wait_for(lambda: began(root) == ["a"])
        switch = read_switch(root)
        assert (switch.active, switch.id, switch.damaged) == ("a", "one", "b")
        assert switch.why == "slot b is damaged: its agent does not load any more"
        # Once in vain, and asked twice: memory may be short for a moment.
        assert ((root / "own").read_text(), (root / "asked").read_text()) == ("own b\n", "asked\nasked\n")
        assert one.poll() is None

    def test_where_both_slots_run_by_it_the_given_program_stands_in(self, root: Path, own: Path, started: Any) -> None:
        one = self.asking(root, self.confirmed(root, own, "import nothing_of_this_name", before="abc"), started)
        wait_for(lambda: began(root) == ["b"])
        assert read_switch(root) == Switch("b", "two")
        assert one.poll() is None

    def test_an_end_for_another_reason_is_the_service_managers_business(self, root: Path, own: Path) -> None:
        """Such as a configuration that cannot be used: the environment is whole, and nothing is left for that."""
        command = self.confirmed(root, own, "import json")
        done = subprocess.run(command, env={**ENVIRONMENT, "EDGESDK_ASKED": str(root / "asked")}, check=False)
        assert (done.returncode, (root / "asked").read_text()) == (1, "asked\n")
        assert read_switch(root) == Switch("b", "two")

    @pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
    def test_a_stop_is_heard_while_it_looks_and_leaves_nobody_behind(
        self, root: Path, own: Path, started: Any, how: signal.Signals
    ) -> None:
        asks = f"import os, pathlib, time\npathlib.Path({str(root / 'it')!r}).write_text(f'{{os.getpid()}} ')\ntime.sleep(600)"
        one = self.asking(root, self.confirmed(root, own, asks), started)
        wait_for(lambda: (root / "it").exists() and (root / "it").read_text().endswith(" "))
        probe = int((root / "it").read_text())
        assert _runs(probe)
        one.send_signal(how)
        assert one.wait(PATIENCE_S) == (-9 if how == signal.SIGKILL else 1)
        wait_for(lambda: not _runs(probe))
        assert read_switch(root) == Switch("b", "two"), "a stop says nothing about the environment"

    def test_without_any_program_it_says_so_and_ends(self, root: Path) -> None:
        done = subprocess.run(
            [*words(root)[:6], "/none/program", "{slot}"], env=ENVIRONMENT, capture_output=True, check=False
        )
        assert done.returncode == 127
        assert b"/none/program cannot be started" in done.stderr


# By what began, and not by whether there is an order: the order may be there before the first start has come to ask.
ONCE = """
if (root / "began").read_text().split() != ["a"]:
    time.sleep(60)
"""
FOLLOWS = """
def switch():
    return json.loads((root / "switch.json").read_text())
def ask(do, number):
    told = dict(json.loads((root / "order.json").read_text()), do=do, number=number)
    (root / "order.new").write_text(json.dumps(told)); os.replace(root / "order.new", root / "order.json")
while not ((switch().get("trial") or {}).get("starts")):
    time.sleep(0.02)
with (root / "began").open("a") as log:
    log.write("took-over\\n")
"""


class TestHotTrials:
    """What runs takes over what is on trial: no program ends for it, and every way back is as ever."""

    def test_it_is_counted_before_it_is_made_and_the_same_program_stays(self, root: Path, started: Any) -> None:
        (root / "slots/a/program.py").write_text(FOLLOWS + "ask('confirm', 2)\ntime.sleep(60)")
        one = start(root, started)
        wait_for(lambda: began(root) == ["a"])
        order(root, hot=True)
        wait_for(lambda: read_switch(root).kept)
        assert read_switch(root) == Switch("b", "two", None, 2, "two", kept=True)
        # What it is told and makes no sense shows that it has looked since, twice, and ended nobody.
        for number in (3, 4):
            order(root, "begin", number)
            wait_for(lambda number=number: read_switch(root).order == number)
        assert began(root) == ["a", "took-over"]
        assert one.poll() is None

    def test_once_confirmed_its_end_is_the_service_managers_business(self, root: Path, started: Any) -> None:
        ends = "while switch().get('trial'): time.sleep(0.02)\nsys.exit(4)"
        (root / "slots/a/program.py").write_text(FOLLOWS + "ask('confirm', 2)\n" + ends)
        one = start(root, started)
        wait_for(lambda: began(root) == ["a"])
        order(root, hot=True)
        assert one.wait(PATIENCE_S) == 4
        assert began(root) == ["a", "took-over"]

    def test_given_up_the_old_one_is_started(self, root: Path, started: Any) -> None:
        (root / "slots/a/program.py").write_text(ONCE + FOLLOWS + "ask('give_up', 2)\ntime.sleep(60)")
        one = start(root, started)
        wait_for(lambda: began(root) == ["a"])
        order(root, hot=True)
        wait_for(lambda: began(root) == ["a", "took-over", "a"])
        switch = read_switch(root)
        assert (switch.active, switch.trial, switch.kept) == ("a", None, False)
        assert one.poll() is None

    def test_a_crash_counts_and_the_next_starts_are_made_from_the_slot(self, root: Path, started: Any) -> None:
        (root / "slots/a/program.py").write_text(ONCE + FOLLOWS + "os.kill(os.getpid(), 9)")
        (root / "slots/b/program.py").write_text("sys.exit(3)")
        start(root, started)
        wait_for(lambda: began(root) == ["a"])
        order(root, hot=True)
        wait_for(lambda: began(root) == ["a", "took-over", "b", "b", "a"])
        assert read_switch(root).why == "not confirmed in 3 starts, the last of which ended with code 3"

    def test_one_that_hangs_is_left_after_its_time(self, root: Path, started: Any) -> None:
        (root / "slots/a/program.py").write_text(ONCE + FOLLOWS + "time.sleep(60)")
        start(root, started)
        wait_for(lambda: began(root) == ["a"])
        order(root, hot=True, deadline_s=1)
        wait_for(lambda: began(root) == ["a", "took-over", "a"])
        assert read_switch(root).why == "not confirmed in time"

    def test_where_nothing_runs_that_could_take_over_it_is_a_start_as_ever(self, root: Path, started: Any) -> None:
        order(root, hot=True)
        (root / "slots/b/program.py").write_text("sys.exit(3)")
        start(root, started)
        wait_for(lambda: began(root) == ["b", "b", "b", "a"])


class TestRules:
    def test_an_order_is_carried_out_once(self) -> None:
        told = {"number": 1, "do": "try", "slot": "b", "id": "two"}
        first = obey(Switch("a", "one"), told)
        assert first.trial == Trial("b", "two", 0, 3, 600)
        assert obey(first, told) is first

    @pytest.mark.parametrize(
        "told",
        [
            {"do": "try", "slot": "a", "id": "one"},  # what runs
            {"do": "try", "slot": "../c", "id": "two"},
            {"do": "try", "slot": "b", "id": 5},
            {"do": "begin", "slot": "b", "id": "two"},  # there are slots already
            {"do": "confirm", "slot": "b", "id": "two"},  # nothing is on trial
            {"do": "give_up", "slot": "b", "id": "two"},
            {"do": "format", "slot": "b", "id": "two"},
            {"do": "damaged", "slot": "b", "id": "two"},  # what does not run
            {"do": "damaged", "slot": "a", "id": "two"},
            {},
        ],
    )
    def test_what_makes_no_sense_changes_nothing_but_the_number(self, told: dict[str, Any]) -> None:
        before = Switch("a", "one")
        assert obey(before, {**told, "number": 4}) == Switch("a", "one", order=4)

    def test_only_what_was_started_is_confirmed_and_only_itself(self) -> None:
        trial = Switch("a", "one", Trial("b", "two"))
        confirm = {"number": 1, "do": "confirm", "slot": "b", "id": "two"}
        assert obey(trial, confirm).active == "a"
        begun = counted(trial, HELD)
        assert obey(begun, {**confirm, "id": "three"}).active == "a"
        assert obey(begun, confirm).active == "b"

    def test_a_slot_that_holds_something_else_is_not_started(self) -> None:
        after = counted(Switch("a", "one", Trial("b", "two")), {"a": "one", "b": "three"})
        assert (after.runs, after.why) == ("a", "slot b does not hold it")

    def test_where_the_active_slot_is_lost_what_is_whole_runs(self) -> None:
        assert counted(Switch("a", "one"), {"b": "two"}).runs == "b"
        assert counted(Switch(), HELD).runs == "a"
        assert not counted(Switch(), {}).runs

    @given(st.lists(st.tuples(st.sampled_from(["start", "try", "confirm", "give_up", "begin"]), st.sampled_from("ab"))))
    def test_whatever_comes_there_is_always_a_slot_to_run_and_trials_end(self, events: list[tuple[str, str]]) -> None:
        switch = Switch("a", "one")
        for number, (what, slot) in enumerate(events, start=1):
            before = switch
            if what == "start":
                switch = counted(switch, HELD)
            else:
                switch = obey(switch, {"number": number, "do": what, "slot": slot, "id": HELD[slot]})
            assert switch.runs in HELD
            assert switch.trial is None or (switch.trial.slot != switch.active and switch.trial.starts <= 3)
            # The active slot changes by a confirmation of a trial that was started, and by nothing else.
            if switch.active != before.active:
                assert what == "confirm"
                assert before.trial is not None
                assert before.trial.starts > 0
        for _ in range(4):
            switch = counted(switch, HELD)
        assert switch.trial is None


@given(st.binary(max_size=60) | st.from_regex(rb'\{"(active|trial|order)": ?(1|"x"|\{\}|\[\]|null)\}', fullmatch=True))
def test_any_file_in_the_switchs_place_is_read_or_counts_as_none(raw: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "switch.json").write_bytes(raw)
        assert read_switch(Path(folder)).runs in {"a", "b", ""}


def test_the_launcher_imports_nothing_but_the_standard_library() -> None:
    import ast

    tree = ast.parse(Path(launcher.__file__).read_text())
    found = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [one.name for one in node.names] if isinstance(node, ast.Import)
            else [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        )
    }  # fmt: skip
    assert found <= set(sys.stdlib_module_names)
    assert "edgesdk_targets" not in found
