"""A machine with a systemd of its own: process 1 of its namespaces, on a copy-on-write view of this one's files.

What is installed there, with its users and units, is seen by nobody outside, and is gone at the end. The network is this
machine's, so a broker on loopback is reached.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typing_extensions import Self

_PATIENCE_S = 60.0
# Where it sees the Python environment and this repository: not below /tmp, which no service shares.
_PYTHON = "/opt/edgesdk"
SOURCE = "/opt/edgesdk-source"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_BOOT = r"""
set -eu
place=$1 path=$2
shift 2
mount -t tmpfs none "$place/layer"
mkdir "$place/layer/upper" "$place/layer/work"
mount -t overlay overlay -o "lowerdir=/,upperdir=$place/layer/upper,workdir=$place/layer/work" "$place/root"
cd "$place/root"
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs none run
mkdir -p run/systemd/system etc/edgesdk
# At a boot it empties /tmp, of which it sees this machine's: every file of it would be marked as gone.
ln -sf /dev/null etc/systemd/system/systemd-tmpfiles-setup.service
while [ $# -gt 0 ]; do
    mkdir -p "./$2"
    mount --bind "$1" "./$2"
    shift 2
done
chmod 755 .
printf '[Unit]\nDefaultDependencies=no\n' > run/systemd/system/quiet.target
exec env -i container=other PATH="$path" \
    chroot . /lib/systemd/systemd --system --unit=quiet.target --log-target=console
"""


class SystemdMachine:
    """Boots at the start of a `with` statement and is killed at its end, with all that runs in it.

    Args:
        folder: an empty one, for its mounts.
        repository: seen there at `SOURCE`.
    """

    def __init__(self, folder: Path, repository: Path) -> None:
        if os.geteuid() != 0 or not Path("/lib/systemd/systemd").exists() or shutil.which("unshare") is None:
            pytest.skip("a machine with a systemd of its own needs root, systemd and unshare")
        self._folder = folder
        self._shared = (sys.prefix, _PYTHON, str(repository), SOURCE)
        self._groups = [Path(where) / f"edgesdk-{os.getpid()}-{folder.name}" for where in _hierarchies()]
        self._process: subprocess.Popen[bytes] | None = None
        self._enter: list[str] = []

    def __enter__(self) -> Self:
        for name in ("layer", "root"):
            (self._folder / name).mkdir(parents=True)
        for group in self._groups:
            group.mkdir()
        log = (self._folder / "boot.log").open("wb")
        # A service manager takes over the control group that it starts in.
        joins = "".join(f'echo $$ > "{group}/cgroup.procs"; ' for group in self._groups)
        boot = [
            "unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--uts", "--ipc",
            "sh", "-c", _BOOT, "boot", str(self._folder), _PATH, *self._shared,
        ]  # fmt: skip
        with log:
            self._process = subprocess.Popen(
                ["sh", "-c", f'{joins}exec "$@"', "join", *boot], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        self._enter = ["nsenter", f"--target={self._first()}", "--mount", "--pid", "--uts", "--ipc", "--root", "--wd"]
        end = time.monotonic() + _PATIENCE_S
        while self.run("systemctl", "is-system-running", fails=True).strip() != "running":
            if time.monotonic() > end:
                self.__exit__()
                pytest.skip(f"no systemd can run here: {self.boot_log()}")
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        for group in self._groups:
            _remove(group)

    def boot_log(self) -> str:
        """Return what systemd and the services told."""
        return (self._folder / "boot.log").read_text("utf-8", "replace")[-3000:]

    def run(self, *words: str, fails: bool = False) -> str:
        """Run a program in there as root, and return what it said; `fails`: however it ends."""
        done = subprocess.run(
            [*self._enter, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False,
            env={"PATH": _PATH},
        )  # fmt: skip
        assert fails or done.returncode == 0, f"{words} ended with {done.returncode}: {done.stdout}\n{self.boot_log()}"
        return done.stdout

    def write(self, path: str, text: str | bytes) -> None:
        """Write a file that everybody in there may read."""
        data = text.encode() if isinstance(text, str) else text
        subprocess.run(
            [*self._enter, "sh", "-c", 'mkdir -p "${1%/*}" && cat > "$1" && chmod 644 "$1"', "write", path],
            input=data, check=True, timeout=60,
        )  # fmt: skip

    def shows(self, unit: str, name: str) -> str:
        """Return one of a unit's properties."""
        return self.run("systemctl", "show", "--value", f"--property={name}", unit).strip()

    def until(self, unit: str, name: str, value: str) -> None:
        """Wait until a unit's property has a value."""
        end = time.monotonic() + _PATIENCE_S
        while (now := self.shows(unit, name)) != value:
            if time.monotonic() > end:
                told = self.run("systemctl", "status", "--no-pager", "--full", unit, fails=True)
                raise AssertionError(f"{name} of {unit} stays {now}, not {value}\n{told}\n{self.boot_log()}")
            time.sleep(0.1)

    @property
    def python(self) -> str:
        """The environment's interpreter, as it is seen in there."""
        return f"{_PYTHON}/bin/python"

    def _first(self) -> int:
        """Return the number out here of what is process 1 in there."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        end = time.monotonic() + _PATIENCE_S
        while self._process.poll() is None and time.monotonic() < end:
            found = children.read_text().split()
            if found and "systemd" in Path(f"/proc/{found[0]}/comm").read_text():
                return int(found[0])
            time.sleep(0.02)
        self.__exit__()
        pytest.skip(f"no systemd can run here: {self.boot_log()}")


def _hierarchies() -> list[str]:
    """Return where control groups are kept that systemd takes: the one of today, or the two of before."""
    places = ["/sys/fs/cgroup"] if Path("/sys/fs/cgroup/cgroup.procs").exists() else []
    return places or [one for one in ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified") if Path(one).is_dir()]


def _remove(group: Path) -> None:
    """Remove a control group with those below it, as soon as what ran in them is gone."""
    end = time.monotonic() + 10
    while group.exists() and time.monotonic() < end:
        for folder, _, _ in os.walk(group, topdown=False):
            try:
                Path(folder).rmdir()
            except OSError:
                time.sleep(0.02)
