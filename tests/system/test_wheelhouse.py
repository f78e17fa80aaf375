"""The offline installer for devices: what is found for another machine, what is written, and what install.sh refuses.

Packages come from the package index that this machine's pip uses.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

from edgesdk.agent_release import release_from_wheelhouse
from edgesdk_agent.update.environment.agent_here import build_in_children
from edgesdk_targets.agent_release.agent_release import open_agent_release
from edgesdk_targets.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "wheelhouse.py"
HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
TRAINING = ("torch", "onnx", "litert-torch", "nncf", "tensorflow")

pytestmark = [pytest.mark.system, pytest.mark.long]


def wheelhouse(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def install(folder: Path, *arguments: str | Path, python: Path | str) -> subprocess.CompletedProcess[str]:
    command = ["sh", str(folder / "install.sh"), *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHON": str(python)}
    )


# --- finding packages for another machine ------------------------------------------------------------------------


@pytest.fixture
def resolving(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the module of scripts/, which is no package."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("wheelhouse_resolve")


@pytest.fixture
def shelf(resolving: Any) -> Callable[..., Any]:
    """Return a maker of package indexes that hold what they are given: name → what it requires."""

    def make(packages: dict[str, tuple[str, ...]], python: str = "3.10", arch: str = "aarch64") -> Any:
        class Shelf(resolving.WheelIndex):  # type: ignore[misc]
            def describe(self, pinned: list[str]) -> list[Any]:
                names = [text.partition("==")[0] for text in pinned]
                return [
                    resolving.Described(resolving.Locked(name, "1.0", "0" * 64, f"{name}.whl"), packages[name])
                    for name in names
                ]

        return Shelf(arch, python, "2.36")

    return make


def names(locked: list[Any]) -> list[str]:
    return [package.name for package in locked]


def test_conditions_are_those_of_the_device_and_not_of_this_machine(resolving: Any, shelf: Callable[..., Any]) -> None:
    requires = (
        'old; python_version < "3.11"',
        'new; python_version >= "3.11"',
        'arm; platform_machine == "aarch64"',
        'pc; platform_machine == "x86_64"',
        'windows; sys_platform == "win32"',
    )
    packages: dict[str, tuple[str, ...]] = dict.fromkeys(("old", "new", "arm", "pc", "windows"), ())
    pins = dict.fromkeys(packages, "1.0")
    assert names(resolving.resolve(requires, (), pins, shelf(packages, "3.10"))) == ["arm", "old"]
    assert names(resolving.resolve(requires, (), pins, shelf(packages, "3.13", "x86_64"))) == ["new", "pc"]


def test_extras_are_followed_through_other_packages_and_circles_end(resolving: Any, shelf: Callable[..., Any]) -> None:
    packages = {
        "a": ("b[fast]", "c"),
        "b": ("a", 'speed; extra == "fast"', 'colour; extra == "nice"'),
        "c": ("b[nice]",),
        "speed": (),
        "colour": (),
        "unwanted": (),
    }
    pins = dict.fromkeys(packages, "1.0")
    requires = ('a; extra == "agent"', 'unwanted; extra == "torch"')
    assert names(resolving.resolve(requires, ("agent",), pins, shelf(packages))) == ["a", "b", "c", "colour", "speed"]


def test_unpinned_and_contradicting_packages_are_refused(resolving: Any, shelf: Callable[..., Any]) -> None:
    packages: dict[str, tuple[str, ...]] = {"a": ("b>=2",), "b": ()}
    with pytest.raises(InputError, match=r"a needs b on Python 3\.10, which is not pinned"):
        resolving.resolve(("a",), (), {"a": "1.0"}, shelf(packages))
    with pytest.raises(InputError, match=r"a needs b>=2, but 1\.0 is pinned"):
        resolving.resolve(("a",), (), {"a": "1.0", "b": "1.0"}, shelf(packages))
    assert names(resolving.resolve(("a",), (), {"a": "1.0", "b": "2.0"}, shelf(packages))) == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "expected"), [("numpy>=2\n", "not pinned"), ("\n# fine\nnumpy==\n", r"pins\.txt:3.*no requirement")]
)
def test_a_line_that_is_no_pin_is_named(text: str, expected: str, resolving: Any, tmp_path: Path) -> None:
    path = tmp_path / "pins.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=expected):
        resolving.pins_from(path, resolving.WheelIndex("aarch64", "3.11", "2.36"))


def test_the_oldest_c_library_that_will_do_is_read_from_the_wheels(resolving: Any) -> None:
    files = ["a-1-py3-none-any.whl", "b-1-cp311-cp311-manylinux2014_aarch64.manylinux_2_17_aarch64.whl"]
    assert resolving.needed_glibc(files) == "2.17"
    files.append("c-1-cp311-cp311-manylinux_2_27_aarch64.manylinux_2_28_aarch64.whl")
    assert resolving.needed_glibc(files) == "2.27"
    files.append("d-1-cp311-cp311-manylinux_2_35_aarch64.whl")
    assert resolving.needed_glibc(files) == "2.35"


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13"])
def test_every_runtime_of_a_board_resolves_for_each_python(python: str) -> None:
    runtimes = ["--runtime", "litert", "--runtime", "onnxruntime"]
    done = wheelhouse("--target", "rpi5", "--python", python, *runtimes, "--enrol", "--tuf", "--dry-run")
    assert done.returncode == 0, done.stderr
    lines = dict(line.split("==") for line in done.stdout.splitlines())
    found = {name.lower(): rest.partition(" ")[0] for name, rest in lines.items()}
    assert found["numpy"] == ("2.2.6" if python == "3.10" else "2.4.6")
    assert found["onnxruntime"] == ("1.23.2" if python == "3.10" else "1.31.1")
    assert {
        "ai-edge-litert",
        "opencv-python-headless",
        "paho-mqtt",
        "pydantic",
        "tuf",
        "edgesdk[agent,enrol,tuf,litert,onnx]",
    } <= set(found)
    assert not set(TRAINING) & set(found)
    assert all("--hash=sha256:" in rest for rest in lines.values())


def test_picamera2_of_the_system_gets_a_simplejpeg_for_this_numpy(tmp_path: Path) -> None:
    done = wheelhouse("--target", "rpi5", "--picamera2", "-o", tmp_path / "with", "--json")
    assert done.returncode == 0, done.stderr
    assert "simplejpeg" in {package["name"] for package in json.loads(done.stdout)["packages"]}
    assert 'SYSTEM_SITE_PACKAGES="yes"' in (tmp_path / "with/wheelhouse.env").read_text(encoding="utf-8")


# --- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--target", "rpi6"], "no target 'rpi6'"),
        (["--target", "jetson-nano"], "Python 3.6"),
        (["--target", "generic-onnx"], "no single machine"),
        (["--target", "rpi5", "--python", "3.9"], "does not run on Python 3.9"),
        (["--target", "rpi5", "--python", "newest"], "does not run on Python newest"),
        (["--target", "rpi5", "--runtime", "tensorrt"], "cannot hold tensorrt"),
        (["--target", "rpi5", "--python", "3.99"], "pip could not get"),
    ],
)
def test_refusals_say_why_and_leave_nothing(arguments: list[str], expected: str, tmp_path: Path) -> None:
    done = wheelhouse(*arguments, "-o", tmp_path / "out")
    assert done.returncode == 1
    assert expected in done.stderr
    assert "→" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work", encoding="utf-8")
    done = wheelhouse("--target", "rpi5", "-o", tmp_path)
    assert done.returncode == 1
    assert "no wheelhouse" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


# --- a wheelhouse for this machine, installed ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Make a wheelhouse with LiteRT for this machine's Python; return the folder and what `--json` said."""
    folder = tmp_path_factory.mktemp("made") / "wheels"
    done = wheelhouse("--target", "x86-cpu", "--python", HERE, "--runtime", "litert", "-o", folder, "--json")
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


def test_wheels_are_complete_fit_the_machine_and_have_the_stated_hashes(made: tuple[Path, dict[str, Any]]) -> None:
    folder, said = made
    version = (sys.version_info[0], sys.version_info[1])
    platforms = [f"manylinux_2_{minor}_x86_64" for minor in range(36, 16, -1)] + ["manylinux2014_x86_64"]
    fitting = {*cpython_tags(version, platforms=platforms), *compatible_tags(version, platforms=platforms)}
    locked = (folder / "requirements.lock").read_text(encoding="utf-8")
    assert {path.name for path in folder.glob("*.whl")} == {package["file"] for package in said["packages"]}
    for package in said["packages"]:
        content = (folder / package["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == package["sha256"]
        assert f"{package['name']}=={package['version']} --hash=sha256:{package['sha256']}" in locked
        assert parse_wheel_filename(package["file"])[3] & fitting, package["file"]
    assert said["bytes"] == sum(path.stat().st_size for path in folder.glob("*.whl"))
    with zipfile.ZipFile(next(folder.glob("edgesdk-*.whl"))) as own:
        inside = own.namelist()
    assert "edgesdk_targets/profiles/rpi5.yaml" in inside
    assert not [name for name in inside if name.startswith("tests")]


def test_install_sh_is_clean_shell(made: tuple[Path, dict[str, Any]]) -> None:
    shell = shutil.which("dash") or "sh"
    for script in (made[0] / "install.sh", ROOT / "scripts" / "wheelhouse"):
        assert subprocess.run([shell, "-n", str(script)], check=False).returncode == 0


@pytest.fixture(scope="module")
def installed(made: tuple[Path, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install that wheelhouse as on a device; return the environment's folder."""
    venv = tmp_path_factory.mktemp("device") / "with space" / "edgesdk"
    done = install(made[0], "--no-compile", venv, python=sys.executable)
    assert done.returncode == 0, done.stdout + done.stderr
    return venv


def test_installed_environment_holds_the_agent_and_no_training_framework(installed: Path) -> None:
    code = (
        "import importlib.metadata as m, json, edgesdk_agent, edgesdk_targets.catalogue as c;"
        "print(json.dumps([sorted(d.name.lower() for d in m.distributions()), c.find_target('rpi').name]))"
    )
    done = subprocess.run([installed / "bin/python", "-I", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    packages, rpi = json.loads(done.stdout)
    assert rpi == "rpi5"
    assert {"edgesdk", "ai-edge-litert", "numpy", "psutil"} <= set(packages)
    assert not set(TRAINING) & set(packages)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bundle that LiteRT runs."""
    from edgesdk_converters.convert import convert

    targets = ["x86-cpu", "rpi5"]
    return convert(ROOT / "examples/digits/detector.yaml", targets, output=tmp_path_factory.mktemp("bundle")).path


def test_a_release_of_the_agent_becomes_an_environment_that_works(
    made: tuple[Path, dict[str, Any]], bundle: Path, tmp_path: Path
) -> None:
    """The same wheels by the way of an update: packed, unpacked, built and proven with a bundle, and nothing fetched."""
    release = release_from_wheelhouse(made[0], tmp_path)
    place = tmp_path / "agents" / "one"
    place.mkdir(parents=True)
    build_in_children("", "", threading.Event())(release, place, bundle)
    said = subprocess.run([place / "bin/edgesdk-agent", "--version"], capture_output=True, text=True, check=True)
    assert said.stdout == f"edgesdk {version('edgesdk')}\n"
    files = [path for path in place.rglob("*") if path.is_file()]
    with open_agent_release(release) as opened:
        # What is asked for before the first byte is written is enough, and not many times too much.
        asked = opened.manifest.installed_bytes * 1.6
    assert asked / 2 < sum(path.stat().st_size for path in files) < asked


def test_an_existing_environment_is_brought_up_to_date(made: tuple[Path, dict[str, Any]], installed: Path) -> None:
    done = install(made[0], "--no-compile", installed, python=sys.executable)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def copy(made: tuple[Path, dict[str, Any]], tmp_path: Path) -> Iterator[Path]:
    """Return a copy of the wheelhouse that a test may damage; unchanged wheels are shared."""
    folder = tmp_path / "copy"
    shutil.copytree(made[0], folder, copy_function=os.link)
    yield folder
    shutil.rmtree(folder)


def replace(path: Path, content: bytes) -> None:
    """Write a file anew, so that the other names of it keep their content."""
    path.unlink()
    path.write_bytes(content)


def test_a_changed_wheel_is_not_installed(copy: Path, tmp_path: Path) -> None:
    wheel = next(copy.glob("mdurl-*.whl"))
    content = bytearray(wheel.read_bytes())
    content[len(content) // 2] ^= 1
    replace(wheel, bytes(content))
    done = install(copy, tmp_path / "venv", python=sys.executable)
    assert done.returncode == 1
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert not (tmp_path / "venv").exists(), "a half-made environment must not stay"


def test_a_missing_wheel_is_not_looked_for_elsewhere(copy: Path, tmp_path: Path) -> None:
    next(copy.glob("mdurl-*.whl")).unlink()
    done = install(copy, tmp_path / "venv", python=sys.executable)
    assert done.returncode == 1
    assert "mdurl" in done.stderr
    assert not (tmp_path / "venv").exists()


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        ("PYTHON_VERSION", "3.9", f"for Python 3.9 on x86_64, but .* is {HERE} x86_64"),
        ("ARCH", "aarch64", f"on aarch64, but .* is {HERE} x86_64"),
        ("GLIBC", "2.99", "need glibc 2.99 or newer"),
    ],
)
def test_wheels_of_another_machine_are_refused(
    setting: str, value: str, expected: str, copy: Path, tmp_path: Path
) -> None:
    settings = (copy / "wheelhouse.env").read_text(encoding="utf-8").splitlines()
    changed = [f'{setting}="{value}"' if line.startswith(f"{setting}=") else line for line in settings]
    assert changed != settings
    replace(copy / "wheelhouse.env", "\n".join(changed).encode() + b"\n")
    done = install(copy, tmp_path / "venv", python=sys.executable)
    assert done.returncode == 1
    assert re.search(expected, done.stderr), done.stderr
    assert not (tmp_path / "venv").exists()


def test_a_folder_that_is_no_environment_is_left_alone(made: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"dear")
    done = install(made[0], tmp_path, python=sys.executable)
    assert done.returncode == 1
    assert "no virtual environment" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_an_incomplete_copy_is_refused(copy: Path, tmp_path: Path) -> None:
    (copy / "requirements.lock").unlink()
    done = install(copy, tmp_path / "venv", python=sys.executable)
    assert done.returncode == 1
    assert "no complete wheelhouse" in done.stderr


# --- the oldest Python of a device -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def python310() -> Path:
    found = [os.environ.get("EDGESDK_PYTHON310"), shutil.which("python3.10")]
    found += map(str, sorted(Path.home().glob(".pyenv/versions/3.10.*/bin/python3.10")))
    for candidate in filter(None, found):
        check = [candidate, "-c", "import sys, ensurepip, venv; sys.exit(sys.version_info[:2] != (3, 10))"]
        if subprocess.run(check, capture_output=True, check=False).returncode == 0:
            return Path(candidate)
    pytest.skip("there is no Python 3.10 on this machine (EDGESDK_PYTHON310 names one)")


def test_the_agent_runs_on_python_3_10_with_one_runtime_alone(python310: Path, bundle: Path, tmp_path: Path) -> None:
    """JetPack 6 and Ubuntu 22.04 bring Python 3.10; nothing but `edgesdk[agent,litert]` is installed there."""
    wheels, venv = tmp_path / "wheels", tmp_path / "edgesdk"
    done = wheelhouse("--target", "x86-cpu@jammy", "--runtime", "litert", "-o", wheels)
    assert done.returncode == 0, done.stderr
    done = install(wheels, "--no-compile", venv, python=python310)
    assert done.returncode == 0, done.stdout + done.stderr
    code = (
        "import sys; from edgesdk_agent.main import run\n"
        "code = run(sys.argv[1:])\n"
        "foreign = {'torch', 'onnx', 'typer', 'rich', 'edgesdk', 'edgesdk_converters', 'openvino', 'onnxruntime'}\n"
        "print(sorted(foreign & set(sys.modules)), file=sys.stderr)\n"
        "sys.exit(code)"
    )
    arguments = ["run", "--json", "--quiet", "--no-mqtt", "--bundle", bundle]
    arguments += ["--source", "conveyor:?frames=20&fps=1000&live=0"]
    command = [venv / "bin/python", "-I", "-c", code, *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["frames"] == {"captured": 20, "processed": 20, "dropped": {}, "in_flight": 0}
    assert done.stderr.splitlines()[-1] == "[]"
    version = subprocess.run([venv / "bin/edgesdk-agent", "--version"], capture_output=True, text=True, check=False)
    assert version.returncode == 0, version.stderr
