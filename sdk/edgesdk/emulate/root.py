"""The file system of an emulated board, and its Python.

Paths that exist below the root win over this machine's own, so what must not be the machine's is put there: the C library,
Python, and what the kernel says of the processor. One copy of Debian's files and one of the wheels serve every board.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgesdk.emulate.board import CORES, Board
from edgesdk.emulate.debian import check_programs, unpack_python
from edgesdk.emulate.wheels import LOCK, PYTHON, unpack_wheels
from edgesdk_converters.cache import default_folder as cache_folder
from edgesdk_targets.errors import InputError

Say = Callable[[str], None]
# Counted up when what is made here changes.
_LAYOUT = 1
_PYTHON_NAME = "python3-emulated"
# The wrapper hands it on as PYTHONPATH; the machine's own PYTHONPATH holds x86 packages.
BOARD_PATH = "EDGESDK_BOARD_PATH"
FETCHES = "Debian's arm64 Python 3.11 by apt-get (21 MB), and 18 aarch64 wheels by pip (126 MB)"


@dataclass(frozen=True, slots=True)
class EmulatedBoard:
    """A board that is set up.

    Attributes:
        python: used as any Python; what it starts by `sys.executable` is emulated as well.
        site: folder of the unpacked wheels.
    """

    board: Board
    python: Path
    site: Path


def default_folder() -> Path:
    """Return where emulated boards are kept."""
    return cache_folder() / "emulated"


def find_emulated(board: Board, folder: Path | None = None) -> EmulatedBoard | None:
    """Return the board if it is set up completely for this edgesdk's wheels."""
    folder = folder or default_folder()
    key = _key()
    python = folder / f"{board.target}-{key}" / "usr/bin" / _PYTHON_NAME
    site = folder / f"wheels-{key}"
    return EmulatedBoard(board, python, site) if python.is_file() and site.is_dir() else None


def set_up(board: Board, *, say: Say, folder: Path | None = None, sources: Path | None = None) -> EmulatedBoard:
    """Fetch and unpack what the board needs, as far as it is not there yet.

    Args:
        say: told what is fetched.
        sources: an apt list in place of this machine's own.

    Raises:
        MissingProgram: qemu, apt or dpkg is not installed.
        FetchFailed: something cannot be had.
    """
    folder = folder or default_folder()
    folder.mkdir(parents=True, exist_ok=True)
    key = _key()
    site, root = folder / f"wheels-{key}", folder / f"{board.target}-{key}"
    if not (root / "usr/bin" / _PYTHON_NAME).is_file():
        make_root(root, board, say=say, folder=folder, sources=sources)
    if not site.is_dir():
        say("fetching 18 aarch64 wheels by pip (126 MB)")
        with _whole(site) as unpacked:
            unpack_wheels(unpacked)
    found = find_emulated(board, folder)
    assert found is not None  # noqa: S101  (everything was made above)
    return found


def make_root(
    root: Path, board: Board, python: str = PYTHON, *, say: Say, folder: Path | None = None, sources: Path | None = None
) -> Path:
    """Make a board's file system without wheels at `root`, and return its Python.

    Args:
        python: the version; Debian 12 has 3.11.
        folder: where Debian's unpacked files are kept for the next time.

    Raises:
        InputError: there is something else at `root` already.
        MissingProgram, FetchFailed: as `set_up`.
    """
    if root.exists() and any(root.iterdir()):
        raise InputError(f"{root} holds something else.", hint="Give an empty or new folder.")
    root = root.absolute()
    base = _debian(folder or default_folder(), python, say, sources)
    with _whole(root) as tree:
        # The same files under another name: a copy would be 85 MB a board.
        shutil.copytree(base, tree, symlinks=True, copy_function=_link)
        describe_board(tree, root, board, python)
    return root / "usr/bin" / _PYTHON_NAME


def _debian(folder: Path, python: str, say: Say, sources: Path | None) -> Path:
    check_programs()
    base = folder / f"debian-{python}-{_LAYOUT}"
    if not base.is_dir():
        say(f"fetching Debian's arm64 Python {python} by apt-get (21 MB)")
        with _whole(base) as tree:
            unpack_python(tree, python, sources=sources)
    return base


def _link(source: str, place: str) -> str:
    try:
        os.link(source, place)
    except OSError:
        # Another file system.
        shutil.copy2(source, place)
    return place


def describe_board(tree: Path, root: Path, board: Board, python: str) -> None:
    """Write what the kernel would say on the board, and the wrapper that starts Python there.

    Args:
        tree: where the file system is now.
        root: where it will be.
    """
    for name in ("proc/device-tree", "sys/devices/system/cpu"):
        (tree / name).mkdir(parents=True)
    (tree / "proc/cpuinfo").write_text(board.cpuinfo(), encoding="utf-8")
    (tree / "proc/device-tree/model").write_bytes(f"{board.model} (emulated)\0".encode())
    for name in ("possible", "present", "online"):
        (tree / "sys/devices/system/cpu" / name).write_text(f"0-{CORES - 1}\n", encoding="utf-8")
    for core in range(CORES):
        # OpenVINO's kernel generator ends with SIGSEGV where it cannot read this.
        place = tree / f"sys/devices/system/cpu/cpu{core}/regs/identification"
        place.mkdir(parents=True)
        (place / "midr_el1").write_text(f"{board.midr:#018x}\n", encoding="utf-8")
    # Else Python would find the x86 packages of this machine.
    for name in ("usr/lib/python3/dist-packages", f"usr/local/lib/python{python}/dist-packages"):
        (tree / name).mkdir(parents=True, exist_ok=True)
    # A script and not the binary, so that a child process that Python starts from sys.executable is emulated as well,
    # and so that `-m venv` works: $0 is then the link inside the environment, by which Python finds it.
    quoted = shlex.quote(str(root))
    wrapper = tree / "usr/bin" / _PYTHON_NAME
    wrapper.write_text(
        "#!/bin/sh\n"
        "unset PYTHONPATH PYTHONHOME LD_LIBRARY_PATH LD_PRELOAD\n"
        f'[ -z "${{{BOARD_PATH}:-}}" ] || export PYTHONPATH="${BOARD_PATH}"\n'
        f'exec qemu-aarch64-static -cpu {board.cpu} -L {quoted} -0 "$0" {quoted}/usr/bin/python{python} "$@"\n',
        encoding="utf-8",
    )
    wrapper.chmod(0o755)


def _key() -> str:
    return hashlib.sha256(f"{_LAYOUT} {PYTHON}\n".encode() + LOCK.read_bytes()).hexdigest()[:12]


@contextmanager
def _whole(place: Path) -> Iterator[Path]:
    """Yield a path to make a folder at, which comes to `place` when all of it is there."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{place.name}-", dir=place.parent) as scratch:
        new = Path(scratch) / "new"
        yield new
        if place.is_dir() and not any(place.iterdir()):
            place.rmdir()
        try:
            new.rename(place)
        except OSError:
            # Somebody else made it meanwhile; theirs is as good.
            if not place.is_dir():
                raise
