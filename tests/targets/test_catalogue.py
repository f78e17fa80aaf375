"""Targets: the shipped profiles, other names for them, a user's own files, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from importlib.resources import files
from pathlib import Path

import pytest

from edgesdk_targets import catalogue
from edgesdk_targets.catalogue import find_target, load_targets, shipped_target, target_from_file
from edgesdk_targets.errors import InputError, UnknownTarget
from edgesdk_targets.target import Precision, Runtime, Status, Target

PROMISED = {
    "generic-onnx",
    "jetson-agx-orin",
    "jetson-nano",
    "jetson-orin-nano",
    "jetson-orin-nx",
    "jetson-thor",
    "jetson-xavier-nx",
    "rpi-zero2w",
    "rpi4",
    "rpi5",
    "x86-cpu",
    "x86-gpu-nvidia",
}

OWN = """\
name: my-board
summary: A board of our own
aliases: [board]
arch: aarch64
runtimes: [onnxruntime, litert]
precisions:
  onnxruntime: [fp32]
  litert: [fp32, int8]
default_precision: fp32
memory_bytes: 2 GiB
max_bundle_bytes: 64 MiB
cpu: {model: Arm Cortex-A55, cores: 4}
platforms:
  - {id: yocto, name: Our Yocto, python: "3.12", glibc: "2.39"}
"""


@pytest.fixture(autouse=True)
def no_targets_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(catalogue.ENVIRONMENT, raising=False)
    catalogue._of_packages.cache_clear()
    yield
    catalogue._of_packages.cache_clear()


def write(folder: Path, text: str = OWN, name: str = "own.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_all_promised_profiles_are_shipped() -> None:
    assert set(load_targets()) == PROMISED


@pytest.mark.parametrize("name", sorted(PROMISED))
def test_profile_is_complete(name: str) -> None:
    target = find_target(name)
    assert target.sources, "the figures must name where they come from"
    assert target.platforms
    assert (files("edgesdk_targets") / "profiles" / f"{name}.yaml").is_file()
    boards = target.arch == "aarch64"
    assert (target.memory_bytes is not None and target.cpu.cores is not None) or not boards
    # An engine is built for a GPU, so its kind must be known; and TensorRT's parser limits the opset.
    if Runtime.TENSORRT in target.runtimes:
        assert target.gpu is not None
        assert target.gpu.compute_capability is not None
        assert target.max_onnx_opset is not None
        assert target.builds_on_device


def test_no_board_claims_to_be_measured() -> None:
    assert {name for name, target in load_targets().items() if target.status == Status.MEASURED} == {
        "generic-onnx",
        "x86-cpu",
    }


@pytest.mark.parametrize("name", ["jetson-nano", "jetson-xavier-nx"])
def test_old_jetsons_are_convert_only_and_say_why(name: str) -> None:
    target = find_target(name)
    assert not target.agent
    assert "3.10" in target.agent_note
    assert target.platform.python in target.agent_note


def test_a_jetson_of_compute_capability_5_3_gets_no_int8() -> None:
    assert Precision.INT8 not in find_target("jetson-nano").precisions[Runtime.TENSORRT]


def test_raspberry_pi_5_does_not_decode_h264_in_hardware() -> None:
    assert find_target("rpi5").video_decoders == ("hevc",)
    assert "h264" in find_target("rpi4").video_decoders


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("jetson", "jetson-orin-nano"),
        ("orin-nano", "jetson-orin-nano"),
        ("ORIN_NANO", "jetson-orin-nano"),
        ("jetson_xavier", "jetson-xavier-nx"),
        ("rasp4b", "rpi4"),
        ("rpi", "rpi5"),
        ("cpu", "x86-cpu"),
        ("x86_64", "x86-cpu"),
        (" Rpi5 ", "rpi5"),
    ],
)
def test_other_names(name: str, canonical: str) -> None:
    assert find_target(name).name == canonical


def test_every_alias_finds_its_target() -> None:
    for target in load_targets().values():
        for alias in target.aliases:
            assert find_target(alias) == target


def test_qualifier_chooses_the_platform_and_keeps_the_others() -> None:
    trixie = find_target("rpi5@trixie")
    assert (trixie.platform.id, trixie.platform.python) == ("trixie", "3.13")
    assert set(trixie.platforms) == set(find_target("rpi5").platforms)
    with pytest.raises(UnknownTarget, match="no platform 'buster'") as caught:
        find_target("rpi5@buster")
    assert "rpi5@bookworm" in caught.value.hint


def test_unknown_name_suggests_the_closest_and_the_list() -> None:
    with pytest.raises(UnknownTarget) as caught:
        find_target("jetson-orin-nanno")
    assert "'jetson-orin-nano'" in caught.value.hint
    assert "edgesdk targets" in caught.value.hint


def test_a_name_like_nothing_suggests_nothing() -> None:
    with pytest.raises(UnknownTarget) as caught:
        find_target("zzzzzz")
    assert "Did you mean" not in caught.value.hint


def test_path_in_place_of_a_name(tmp_path: Path) -> None:
    target = find_target(str(write(tmp_path)))
    assert target.name == "my-board"
    assert target.memory_bytes == 2 * 2**30
    assert target.runtimes == (Runtime.ONNXRUNTIME, Runtime.LITERT)


def test_folder_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path)
    (tmp_path / "notes.txt").write_text("not a profile", encoding="utf-8")
    monkeypatch.setenv(catalogue.ENVIRONMENT, str(tmp_path))
    assert find_target("board").name == "my-board"
    assert set(load_targets()) == PROMISED | {"my-board"}


def test_extra_file_is_added(tmp_path: Path) -> None:
    assert "my-board" in load_targets(write(tmp_path))


def test_missing_folder_of_the_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(catalogue.ENVIRONMENT, "/nowhere/at/all")
    with pytest.raises(InputError, match="/nowhere/at/all"):
        load_targets()


@pytest.mark.parametrize("clash", ["name: rpi5", "name: rasp4b"])
def test_two_of_one_name_are_refused(clash: str, tmp_path: Path) -> None:
    path = write(tmp_path, OWN.replace("name: my-board", clash))
    with pytest.raises(InputError, match=r"Two targets are called .*shipped") as caught:
        load_targets(path)
    assert str(path) in caught.value.message


def test_alias_of_another_target_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Two targets are called 'cpu'"):
        load_targets(write(tmp_path, OWN.replace("[board]", "[cpu]")))


@pytest.mark.parametrize(
    ("line", "replacement", "expected"),
    [
        ("name: my-board", "name: My Board!", r"own\.yaml:1: field name"),
        ("arch: aarch64", "arch: sparc", r"own\.yaml:4: field arch"),
        ("runtimes: [onnxruntime, litert]", "runtimes: [onnx]", r"own\.yaml:5: field runtimes"),
        ("runtimes: [onnxruntime, litert]", "runtimes: [litert, litert]", r"own\.yaml:5: field runtimes.*twice"),
        ("default_precision: fp32", "default_precision: fp64", r"own\.yaml:9: field default_precision"),
        ("default_precision: fp32", "default_precision: int8", "not among those of onnxruntime"),
        ("  litert: [fp32, int8]\n", "", "precisions are given for onnxruntime"),
        ("memory_bytes: 2 GiB", "memory_bytes: lots", r"own\.yaml:10: field memory_bytes"),
        ("memory_bytes: 2 GiB", "memory: 2 GiB", r"own\.yaml:10: field memory.*memory_(bytes|note)"),
        ('python: "3.12"', "python: 3", r"own\.yaml:14: field platforms\[0\]\.python"),
        ("summary: A board of our own\n", "", r"own\.yaml:1: field summary: is required"),
        ("arch: aarch64", "arch: aarch64\nagent: false", "agent_note must say why"),
        ("arch: aarch64", "arch: [aarch64", r"own\.yaml:\d+: not valid YAML"),
        ("arch: aarch64", "arch: !!python/object/apply:os.system [true]", "not valid YAML"),
    ],
)
def test_wrong_profile_names_file_line_and_field(line: str, replacement: str, expected: str, tmp_path: Path) -> None:
    assert line in OWN
    with pytest.raises(InputError, match=expected):
        target_from_file(write(tmp_path, OWN.replace(line, replacement)))


def test_the_unchanged_profile_is_accepted(tmp_path: Path) -> None:
    assert target_from_file(write(tmp_path)).name == "my-board"


class Entry:
    """An entry point of an installed package, as `importlib.metadata` gives it."""

    def __init__(self, value: object) -> None:
        self.name, self.value, self._loaded = "boards", "pkg.module:boards", value

    def load(self) -> object:
        if isinstance(self._loaded, Exception):
            raise self._loaded
        return self._loaded


def declare(monkeypatch: pytest.MonkeyPatch, value: object) -> None:
    catalogue._of_packages.cache_clear()
    monkeypatch.setattr(metadata, "entry_points", lambda *, group: [Entry(value)] if group == "edgesdk.targets" else [])


def test_entry_point_may_be_target_path_folder_list_or_callable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path)
    target = target_from_file(path)
    for value in (target, path, str(path), tmp_path, [target], lambda: target, lambda: [path]):
        declare(monkeypatch, value)
        assert find_target("my-board") == target


@pytest.mark.parametrize("value", [ValueError("broken"), 3, lambda: 1 / 0])
def test_entry_point_that_fails_is_named(value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    declare(monkeypatch, value)
    with pytest.raises(InputError, match=r"entry point boards = pkg\.module:boards"):
        load_targets()


def test_entry_point_of_an_installed_package(tmp_path: Path) -> None:
    """The same through the real mechanism: a distribution's metadata on the path of a fresh process."""
    write(tmp_path)
    (tmp_path / "boards.py").write_text(
        "from pathlib import Path\nBOARD = Path(__file__).with_name('own.yaml')\n", encoding="utf-8"
    )
    info = tmp_path / "boards-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: boards\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[edgesdk.targets]\nboard = boards:BOARD\n", encoding="utf-8")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from edgesdk_targets.catalogue import find_target; "
        "print(find_target('board').name)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "my-board", done.stderr


def test_target_is_frozen_and_round_trips_through_json() -> None:
    target = find_target("jetson-orin-nano")
    with pytest.raises(ValueError, match="frozen"):
        target.name = "other"  # type: ignore[misc]
    assert Target.model_validate_json(target.model_dump_json()) == target


def test_a_shipped_target_is_found_by_its_files_name_alone() -> None:
    shipped = load_targets()
    assert {name: shipped_target(name) for name in shipped} == shipped
    assert shipped_target("somebody-elses-board") is None
