"""Write an offline installer of the agent for one target: wheels, a lock file with hashes, and install.sh.

pip judges a dependency's conditions (`python_version < "3.11"`) by the machine that it runs on, not by the one that
it is asked to download for. So the packages are found here: from the pins in requirements/device*.txt, by the
conditions of the target. Only then does pip fetch them, by hash. Nothing appears under the output's name until all
of it is there.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from wheelhouse_resolve import Locked, WheelIndex, needed_glibc, pins_from, read_requires, resolve

from edgesdk_targets.catalogue import find_target
from edgesdk_targets.errors import EdgeError, FetchFailed, InputError
from edgesdk_targets.target import Runtime, Target

ROOT = Path(__file__).resolve().parent.parent
INSTALLER = ROOT / "scripts" / "wheelhouse-install.sh"
LOCK = "requirements.lock"
OLDEST_PYTHON_MINOR = 10
EXTRAS = {Runtime.LITERT: "litert", Runtime.ONNXRUNTIME: "onnx", Runtime.OPENVINO: "openvino"}
# apt's Picamera2 comes with a simplejpeg that was built for numpy 1 and does not import beside numpy 2 (Raspberry Pi OS
# 12; raspberrypi/picamera2 issue 1211). A newer one in the virtual environment is found first.
BESIDE_PICAMERA2 = ("simplejpeg",)
MODULES = {Runtime.LITERT: "ai_edge_litert", Runtime.ONNXRUNTIME: "onnxruntime", Runtime.OPENVINO: "openvino"}


@dataclass(frozen=True, slots=True)
class Plan:
    """What the wheelhouse is for: a target, the Python and C library there, and what to put in."""

    target: Target
    python: str
    glibc: str
    runtimes: tuple[Runtime, ...]
    picamera2: bool = False
    enrol: bool = False
    tuf: bool = False

    @property
    def extras(self) -> tuple[str, ...]:
        asked = [name for name, wanted in (("enrol", self.enrol), ("tuf", self.tuf)) if wanted]
        return ("agent", *asked, *(EXTRAS[runtime] for runtime in self.runtimes))

    @property
    def index(self) -> WheelIndex:
        return WheelIndex(self.target.arch, self.python, self.glibc)

    @property
    def pins(self) -> Path:
        return ROOT / "requirements" / ("device-3.10.txt" if self.python == "3.10" else "device.txt")


def main() -> int:
    args = _arguments()
    # Ended from outside it must clean up as well; a signal that is not caught would leave the temporary folder.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        plan = make_plan(
            args.target,
            args.python,
            tuple(Runtime(name) for name in args.runtime),
            picamera2=args.picamera2,
            enrol=args.enrol,
            tuf=args.tuf,
        )
        if args.dry_run:
            with tempfile.TemporaryDirectory() as temporary:
                locked = find_packages(plan, Path(temporary))
            print("".join(package.line() for package in locked), end="")
            return 0
        output = args.output or Path(f"wheelhouse-{plan.target.name}-py{plan.python}")
        locked = write_wheelhouse(plan, output)
    except EdgeError as error:
        print(f"wheelhouse: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        print(f"wheelhouse: {error.strerror or error}: {error.filename or ''}", file=sys.stderr)
        print("  → Give another folder with -o, or make room on the disk.", file=sys.stderr)
        return 1
    _report(plan, output, locked, as_json=args.json)
    return 0


def make_plan(
    name: str,
    python: str | None = None,
    runtimes: tuple[Runtime, ...] = (),
    *,
    picamera2: bool = False,
    enrol: bool = False,
    tuf: bool = False,
) -> Plan:
    """Decide Python, C library and runtimes of a target's wheelhouse.

    Raises:
        InputError: the agent does not run on the target, or not with this Python or runtime.
    """
    target = find_target(name)
    if not target.agent:
        raise InputError(f"The agent does not run on {target.name}.", hint=target.agent_note)
    if target.arch == "any":
        raise InputError(
            f"{target.name} is no single machine, so there is no wheelhouse for it.",
            hint="Take the nearest board or PC: rpi5 for a 64-bit Arm, x86-cpu for Intel and AMD.",
        )
    platform = next((p for p in target.platforms if python in (None, p.python)), None)
    version = python or target.platform.python
    match = re.fullmatch(r"3\.(\d+)", version)
    if match is None or int(match[1]) < OLDEST_PYTHON_MINOR:
        raise InputError(f"The agent does not run on Python {version}.", hint="It needs 3.10 or newer.")
    wanted = runtimes or tuple(runtime for runtime in target.runtimes if runtime in EXTRAS)[:1]
    for runtime in wanted:
        if runtime not in target.runtimes or runtime not in EXTRAS:
            chain = ", ".join(str(runtime) for runtime in target.runtimes if runtime in EXTRAS)
            raise InputError(
                f"A wheelhouse for {target.name} cannot hold {runtime}.",
                hint=f"It can hold: {chain}. TensorRT comes with the device's system.",
            )
    # A Python that none of the target's systems brings was built by its user: stay with the oldest C library.
    oldest = min((p.glibc for p in target.platforms), key=lambda text: int(text.split(".")[1]))
    return Plan(target, version, platform.glibc if platform else oldest, wanted, picamera2, enrol, tuf)


def write_wheelhouse(plan: Plan, output: Path) -> list[Locked]:
    """Build, resolve, download and write everything to the folder `output`; return what is in it.

    Raises:
        InputError: `output` holds something else, or a package is not pinned.
        FetchFailed: a package or the build failed.
    """
    if output.exists() and any(output.iterdir()) and not (output / LOCK).is_file():
        raise InputError(f"{output} holds something that is no wheelhouse.", hint="Give an empty or new folder.")
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as temporary:
        folder = Path(temporary) / "new"
        folder.mkdir()
        locked = find_packages(plan, folder)
        own, others = locked[0], locked[1:]
        _say(f"3/4 downloading {len(others)} packages")
        (folder / LOCK).write_text("".join(package.line() for package in others), encoding="utf-8")
        plan.index.download(folder / LOCK, folder)
        _say("4/4 writing the lock file and install.sh")
        _write_files(plan, folder, [own, *others])
        if output.exists():
            output.rename(Path(temporary) / "old")
        folder.rename(output)
    return locked


def find_packages(plan: Plan, folder: Path) -> list[Locked]:
    """Build the wheel of edgesdk in `folder` and find what it needs; the first one returned is edgesdk's own.

    Raises:
        InputError: a package is not pinned, or a pin contradicts another package.
        FetchFailed: the build failed, or a package has no wheel for that machine.
    """
    _say("1/4 building the wheel of edgesdk")
    own = _build_own_wheel(folder)
    _say("2/4 finding the packages")
    requires = (*read_requires(own), *(BESIDE_PICAMERA2 if plan.picamera2 else ()))
    others = resolve(requires, plan.extras, pins_from(plan.pins, plan.index), plan.index)
    return [_own_lock(own, plan), *others]


def _build_own_wheel(folder: Path) -> Path:
    # Where what builds it is here already, as after `scripts/setup`, pip need not fetch it into an environment of its own.
    here = ["--no-build-isolation"] if importlib.util.find_spec("hatchling") else []
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        *here,
        "--wheel-dir",
        str(folder),
        str(ROOT),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("edgesdk-*.whl"))
    if done.returncode or not wheels:
        reason = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise FetchFailed(
            f"The wheel of edgesdk could not be built: {reason}", hint=f"Try `pip wheel {ROOT}` to see all of it."
        )
    return wheels[0]


def _own_lock(wheel: Path, plan: Plan) -> Locked:
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return Locked(f"edgesdk[{','.join(plan.extras)}]", wheel.name.split("-")[1], digest, wheel.name)


def _write_files(plan: Plan, folder: Path, locked: list[Locked]) -> None:
    glibc = needed_glibc(package.file for package in locked)
    header = f"# edgesdk for {plan.target.name}, Python {plan.python}, {plan.target.arch}, glibc {glibc} or newer.\n"
    (folder / LOCK).write_text(header + "".join(package.line() for package in locked), encoding="utf-8")
    settings = {
        "TARGET": plan.target.name,
        "PYTHON_VERSION": plan.python,
        "ARCH": plan.target.arch,
        "GLIBC": glibc,
        "SYSTEM_SITE_PACKAGES": "yes" if plan.target.system_site_packages or plan.picamera2 else "no",
        "MODULES": " ".join(
            [
                *("numpy", "cv2", "edgesdk_agent"),
                *(("cryptography",) if plan.enrol or plan.tuf else ()),
                *(("tuf",) if plan.tuf else ()),
                *(MODULES[runtime] for runtime in plan.runtimes),
            ]
        ),
        "SYSTEM_MODULES": "tensorrt" if Runtime.TENSORRT in plan.target.runtimes else "",
        "APT": " ".join(plan.target.apt),
    }
    lines = "".join(f'{name}="{value}"\n' for name, value in settings.items())
    (folder / "wheelhouse.env").write_text(lines, encoding="utf-8")
    shutil.copyfile(INSTALLER, folder / "install.sh")
    (folder / "install.sh").chmod(0o755)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="wheelhouse", description="Write an offline installer of the agent for one target."
    )
    parser.add_argument("--target", required=True, help="a target of `edgesdk targets`, e.g. rpi5, rpi5@trixie")
    parser.add_argument("--python", help="the device's Python, e.g. 3.11 (default: its usual system's)")
    parser.add_argument(
        "--runtime",
        action="append",
        default=[],
        choices=[str(runtime) for runtime in Runtime],
        help="put this runtime in; may be repeated (default: the first of the target's chain that PyPI has)",
    )
    parser.add_argument("--picamera2", action="store_true", help="for a CSI camera through Raspberry Pi OS's Picamera2")
    parser.add_argument(
        "--enrol",
        action="store_true",
        help="with what `edgesdk agent enrol` needs, and signatures; see docs/enrolling.md",
    )
    parser.add_argument(
        "--tuf",
        action="store_true",
        help="with what asking a fleet's repository of releases needs; see docs/signing.md",
    )
    parser.add_argument("-o", "--output", type=Path, help="folder to write (default: wheelhouse-TARGET-pyVERSION)")
    parser.add_argument("--dry-run", action="store_true", help="only print what requirements.lock would hold")
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    return parser.parse_args()


def _report(plan: Plan, output: Path, locked: list[Locked], *, as_json: bool) -> None:
    sizes = {package.name: (output / package.file).stat().st_size for package in locked}
    total = sum(sizes.values())
    if as_json:
        packages = [
            {"name": p.name, "version": p.version, "file": p.file, "sha256": p.sha256, "bytes": sizes[p.name]}
            for p in locked
        ]
        document = {
            "target": plan.target.name,
            "python": plan.python,
            "arch": plan.target.arch,
            "glibc": needed_glibc(package.file for package in locked),
            "runtimes": [str(runtime) for runtime in plan.runtimes],
            "path": str(output),
            "bytes": total,
            "packages": packages,
        }
        print(json.dumps(document, indent=2))
        return
    for package in locked:
        print(f"  {package.name:<28} {package.version:<12} {sizes[package.name] / 1e6:7.1f} MB")
    print(f"{output}: {len(locked)} wheels, {total / 1e6:.1f} MB, for {plan.target.name} with Python {plan.python}")
    print(f"Next: copy {output} to the device and run there:  sh {output.name}/install.sh ~/edgesdk")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    os.umask(0o022)  # what is copied to a device must be readable there
    sys.exit(main())
