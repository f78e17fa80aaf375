from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgesdk_targets import whole_file
from edgesdk_targets.bundle.archive import Limits, pack
from edgesdk_targets.bundle.bundle import Bundle, open_bundle, write_bundle
from edgesdk_targets.bundle.manifest import Manifest
from edgesdk_targets.errors import BadBundle, BadHash, BundleError, InputError, NoSpace, TooLarge, UnknownSchema
from edgesdk_targets.target import Runtime
from edgesdk_targets.whole_file import write_whole
from edgesdk_testkit.tiny_bundles import USUAL, tiny_manifest, tiny_variant, write_tiny_bundle
from edgesdk_testkit.tiny_models import CNN

ONNX_ONLY = (("generic-onnx", Runtime.ONNXRUNTIME),)
MODEL = "models/generic-onnx-onnxruntime-fp32/model.onnx"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_tiny_bundle(tmp_path / "cnn-1.0.0.edgebundle", variants=ONNX_ONLY)


@pytest.fixture
def folder(path: Path, tmp_path: Path) -> Path:
    with open_bundle(path) as bundle:
        bundle.unpack(tmp_path / "unpacked")
    return tmp_path / "unpacked"


def contents(bundle: Bundle) -> dict[str, bytes]:
    return {name: bundle.read(name) for name in bundle.manifest.files}


class TestWriting:
    def test_made_twice_it_is_the_same_bytes(self, tmp_path: Path) -> None:
        pytest.importorskip("openvino")
        first = write_tiny_bundle(tmp_path / "a", variants=USUAL)
        second = write_tiny_bundle(tmp_path / "b", variants=USUAL)
        assert first.read_bytes() == second.read_bytes()

    def test_made_by_another_process_it_is_the_same_bytes(self, path: Path, tmp_path: Path) -> None:
        """With other hash seeds, another umask and another time zone."""
        other = tmp_path / "other"
        script = (
            "import sys, pathlib\n"
            "from edgesdk_targets.target import Runtime\n"
            "from edgesdk_testkit.tiny_bundles import write_tiny_bundle\n"
            "write_tiny_bundle(pathlib.Path(sys.argv[1]), variants=(('generic-onnx', Runtime.ONNXRUNTIME),))\n"
        )
        environment = {
            **os.environ,
            "PYTHONHASHSEED": "77",
            "TZ": "Asia/Tokyo",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        subprocess.run([sys.executable, "-c", script, other], check=True, env=environment, umask=0o077)
        assert other.read_bytes() == path.read_bytes()

    def test_the_digest_names_the_content(self, tmp_path: Path) -> None:
        variant, files = tiny_variant(CNN, *ONNX_ONLY[0])
        manifest = tiny_manifest(CNN, [variant])
        digest = write_bundle(tmp_path / "a", manifest, files)
        with open_bundle(tmp_path / "a") as bundle:
            assert bundle.digest == digest
            assert digest == f"sha256:{hashlib.sha256(bundle.manifest.to_bytes()).hexdigest()}"
        changed = {name: data + b"\0" for name, data in files.items()}
        assert write_bundle(tmp_path / "b", manifest, changed) != digest

    def test_the_table_of_files_is_of_what_is_written(self, path: Path) -> None:
        with open_bundle(path) as bundle:
            for name, data in contents(bundle).items():
                entry = bundle.manifest.files[name]
                assert (entry.size, entry.sha256) == (len(data), hashlib.sha256(data).hexdigest())

    def test_variants_may_share_a_file(self, tmp_path: Path) -> None:
        variant, files = tiny_variant(CNN, *ONNX_ONLY[0])
        second = variant.model_copy(update={"id": "jetson", "target": "jetson-orin-nano", "runtime": Runtime.TENSORRT})
        alone = write_tiny_bundle(tmp_path / "alone", variants=ONNX_ONLY).stat().st_size
        write_bundle(tmp_path / "a", tiny_manifest(CNN, [variant, second]), files)
        assert (tmp_path / "a").stat().st_size < alone + 400
        with open_bundle(tmp_path / "a") as bundle:
            first, other = (bundle.variant_files(v) for v in bundle.manifest.variants)
            assert first == other == {"model": files[MODEL]}

    def test_a_variant_without_its_file_is_not_written(self, tmp_path: Path) -> None:
        variant, _ = tiny_variant(CNN, *ONNX_ONLY[0])
        with pytest.raises(ValueError, match="not listed"):
            write_bundle(tmp_path / "a", tiny_manifest(CNN, [variant]), {"other": b""})
        assert list(tmp_path.iterdir()) == []

    def test_anyone_may_read_it(self, path: Path) -> None:
        assert path.stat().st_mode & 0o777 == 0o644


class TestDamage:
    def test_every_changed_byte_is_refused(self, path: Path) -> None:
        good = path.read_bytes()
        assert len(good) < 4096
        for position in range(len(good)):
            data = bytearray(good)
            data[position] ^= 0xFF
            path.write_bytes(data)
            with pytest.raises(BundleError):
                open_bundle(path)

    def test_every_changed_byte_of_every_file_is_refused_without_the_seal(self, folder: Path) -> None:
        """In a folder only the manifest's hashes protect: a change anywhere else is BadHash."""
        for name in open_bundle(folder).manifest.files:
            good = (folder / name).read_bytes()
            for position in range(0, len(good), 7):
                data = bytearray(good)
                data[position] ^= 1 << position % 8
                (folder / name).write_bytes(data)
                with pytest.raises(BadHash):
                    open_bundle(folder)
            (folder / name).write_bytes(good)
        open_bundle(folder)

    @pytest.mark.parametrize("change", [b"", b"\0"])
    def test_another_length_is_refused(self, folder: Path, change: bytes) -> None:
        data = (folder / MODEL).read_bytes()
        (folder / MODEL).write_bytes(data + change if change else data[:-1])
        with pytest.raises(BadHash, match="size"):
            open_bundle(folder)

    def test_an_extra_file_is_refused(self, folder: Path, path: Path) -> None:
        with open_bundle(path) as bundle:
            files = {"manifest.json": bundle.manifest.to_bytes(), **contents(bundle), "extra.py": b"import os"}
        path.write_bytes(pack(files))
        (folder / "extra.py").write_bytes(b"import os")
        for place in (path, folder):
            with pytest.raises(BadBundle, match=r"extra\.py"):
                open_bundle(place)

    def test_a_missing_file_is_refused(self, folder: Path, path: Path) -> None:
        path.write_bytes(pack({"manifest.json": (folder / "manifest.json").read_bytes()}))
        (folder / MODEL).unlink()
        for place in (path, folder):
            with pytest.raises(BadBundle, match="lacks"):
                open_bundle(place)

    def test_a_missing_manifest_is_refused(self, folder: Path, path: Path) -> None:
        path.write_bytes(pack({"a": b""}))
        (folder / "manifest.json").unlink()
        for place in (path, folder):
            with pytest.raises(BadBundle, match=r"manifest\.json"):
                open_bundle(place)

    def test_an_unknown_schema_is_refused(self, folder: Path) -> None:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        (folder / "manifest.json").write_text(json.dumps({**manifest, "schema": "edgebundle/9"}))
        with pytest.raises(UnknownSchema, match="edgebundle/9"):
            open_bundle(folder)

    def test_a_huge_manifest_is_refused(self, folder: Path) -> None:
        with (folder / "manifest.json").open("ab") as file:
            file.write(b" " * (4 << 20))
        with pytest.raises(TooLarge, match=r"manifest\.json"):
            open_bundle(folder)

    def test_a_devices_limit_holds(self, path: Path) -> None:
        with pytest.raises(TooLarge):
            open_bundle(path, Limits(total_bytes=1000))

    def test_a_file_changed_after_opening_is_seen(self, folder: Path) -> None:
        bundle = open_bundle(folder)
        data = bytearray((folder / MODEL).read_bytes())
        data[100] ^= 1
        (folder / MODEL).write_bytes(data)
        with pytest.raises(BadHash):
            bundle.variant_files(bundle.manifest.variants[0])

    def test_a_refused_file_is_not_kept_open(self, path: Path) -> None:
        """A file left open would warn, and warnings are errors."""
        path.write_bytes(pack({"manifest.json": b"{}"}))
        for _ in range(3):
            with pytest.raises(UnknownSchema):
                open_bundle(path)
        held = {os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()}
        assert str(path) not in held


class TestUnpacking:
    def test_the_folder_is_the_same_bundle(self, path: Path, folder: Path) -> None:
        with open_bundle(path) as packed, open_bundle(folder) as unpacked:
            assert packed.digest == unpacked.digest
            assert packed.manifest == unpacked.manifest
            assert contents(packed) == contents(unpacked)

    def test_a_signature_goes_along(self, path: Path, tmp_path: Path) -> None:
        with open_bundle(path) as bundle:
            files = {"manifest.json": bundle.manifest.to_bytes(), **contents(bundle), "signature.json": b"{}"}
        path.write_bytes(pack(files))
        with open_bundle(path) as bundle:
            bundle.unpack(tmp_path / "u")
        assert (tmp_path / "u" / "signature.json").read_bytes() == b"{}"
        assert open_bundle(tmp_path / "u").digest == bundle.digest

    def test_into_an_empty_folder(self, path: Path, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        with open_bundle(path) as bundle:
            bundle.unpack(tmp_path / "empty")
        assert (tmp_path / "empty" / "manifest.json").is_file()

    def test_not_over_something(self, path: Path, folder: Path) -> None:
        before = sorted(folder.rglob("*"))
        with open_bundle(path) as bundle:
            with pytest.raises(InputError, match="not empty"):
                bundle.unpack(folder)
            with pytest.raises(InputError):
                bundle.unpack(folder / "manifest.json")
        assert sorted(folder.rglob("*")) == before


class TestDiskTrouble:
    def test_a_full_disk_leaves_nothing(self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        good = path.read_bytes()

        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(whole_file.os, "fsync", full)
        with pytest.raises(NoSpace, match="was not written"):
            write_whole(path, b"new")
        assert path.read_bytes() == good
        assert [p.name for p in tmp_path.iterdir()] == [path.name]

    def test_a_write_that_stops_halfway_leaves_nothing(self, path: Path, tmp_path: Path) -> None:
        """In a child that may write no file beyond 1 kB: the system itself stops the write."""
        good = path.read_bytes()
        script = (
            "import resource, sys, pathlib\n"
            "from edgesdk_targets.bundle.bundle import open_bundle\n"
            "from edgesdk_targets.whole_file import write_whole\n"
            "from edgesdk_targets.errors import EdgeError\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))\n"
            "path = pathlib.Path(sys.argv[1])\n"
            "for act in (lambda: write_whole(path, bytes(100_000)),\n"
            "            lambda: open_bundle(path).unpack(path.parent / 'unpacked')):\n"
            "    try:\n"
            "        act()\n"
            "    except EdgeError as error:\n"
            "        print(type(error).__name__, error.message)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, path],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        assert done.stdout.count("File too large") == 2, done.stdout + done.stderr
        assert path.read_bytes() == good
        assert [p.name for p in tmp_path.iterdir()] == [path.name]

    def test_a_folder_that_is_a_file_is_named(self, path: Path) -> None:
        with pytest.raises(InputError, match="cannot be written"):
            write_whole(path / "below" / "a", b"1")

    def test_folders_on_the_way_are_made(self, tmp_path: Path) -> None:
        write_whole(tmp_path / "a" / "b" / "c", b"1")
        assert (tmp_path / "a" / "b" / "c").read_bytes() == b"1"


def test_a_bundle_without_preprocess_is_possible(tmp_path: Path) -> None:
    path = write_tiny_bundle(tmp_path / "a", variants=ONNX_ONLY, preprocess=None)
    with open_bundle(path) as bundle:
        assert bundle.manifest.preprocess is None
        assert isinstance(dataclasses.replace(bundle).manifest, Manifest)
