"""A `.pt2` that would run code when it is loaded is refused before torch reads it; weights may be any bytes."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgesdk_converters.exported_safety import check_exported, tensors_only
from edgesdk_targets.errors import InputError

Change = Callable[[str, bytes], bytes]


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return (os.mkdir, (str(self.path),))


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = torch.nn.Linear(4, 3)
        self.scale = torch.ones(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x) * self.scale


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with an open batch, parameters, a constant and a note beside it."""
    path = tmp_path_factory.mktemp("exported") / "good.pt2"
    dynamic = {"x": {0: torch.export.Dim("batch", min=2, max=8)}}
    exported = torch.export.export(Net(), (torch.zeros(2, 4),), dynamic_shapes=dynamic)
    torch.export.save(exported, path, extra_files={"note.txt": "ours"})
    return path


@pytest.fixture
def sprung(tmp_path: Path) -> Path:
    return tmp_path / "sprung"


def _rewritten(path: Path, folder: Path, change: Change, added: dict[str, bytes] | None = None) -> Path:
    """Copy the archive with each member changed, and with more of them."""
    out = folder / "changed.pt2"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(out, "w") as target:
        root = source.namelist()[0].partition("/")[0]
        for info in source.infolist():
            target.writestr(info.filename, change(info.filename.partition("/")[2], source.read(info)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a name twice is what one test is about
            for name, data in (added or {}).items():
                target.writestr(f"{root}/{name}", data)
    return out


def _unchanged(name: str, data: bytes) -> bytes:
    return data


def _only(member: str, content: bytes) -> Change:
    return lambda name, data: content if name == member else data


def _saved(value: object, **options: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def _in_zip(pickled: bytes) -> bytes:
    """What torch.save writes, around a pickle made by hand."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/version", "3\n")
    return buffer.getvalue()


def _by_memo(path: Path) -> bytes:
    """Protocol 4: `os.mkdir` from the memo, behind two decoys."""
    text = str(path).encode()
    decoys = b"\x8c\x0bcollections\x8c\x0bOrderedDict00"
    return (
        b"\x80\x04\x8c\x02os\x94\x8c\x05mkdir\x9400"
        + decoys
        + b"h\x00h\x01\x93\x8c"
        + bytes([len(text)])
        + text
        + b"\x85R."
    )


def _by_torch(path: Path) -> bytes:
    """Protocol 4: a name with a dot leads from an allowed module to `os`."""
    text = str(path).encode()
    return (
        b"\x80\x04\x8c\x13torch.serialization\x8c\x08os.mkdir\x93\x8c" + bytes([len(text)]) + text + b"\x85R."
    )  # fmt: skip


PICKLES: dict[str, Callable[[Path], bytes]] = {
    "protocol 0": lambda path: _in_zip(f"cos\nmkdir\n(S'{path}'\ntR.".encode()),
    "instruction INST": lambda path: _in_zip(f"(S'{path}'\nios\nmkdir\n.".encode()),
    "names from the memo": lambda path: _in_zip(_by_memo(path)),
    "a dotted name of torch": lambda path: _in_zip(_by_torch(path)),
    "a trap in torch.save's zip": lambda path: _saved(Trap(path)),
    "torch.save before zip": lambda path: _saved(Trap(path), _use_new_zipfile_serialization=False),
}
INPUTS = "data/sample_inputs/model.pt"


def _load(path: Path) -> None:
    """Load as torch would without our check, whatever comes of it."""
    with contextlib.suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.load(str(path))


def _use_pickle(config: bytes) -> bytes:
    document = json.loads(config)
    for entry in document["config"].values():
        entry["use_pickle"] = True
    return json.dumps(document).encode()


def test_what_torch_writes_is_accepted(good: Path) -> None:
    check_exported(good)


@pytest.mark.parametrize("start", [b"PK", b"PK\x03\x04", b"\x80\x02", b"\x80\x02cos\nsystem\n."])
def test_weights_that_look_like_archives_or_pickles_are_accepted_and_loaded(
    good: Path, tmp_path: Path, start: bytes
) -> None:
    weight = start.ljust(4 * 3 * 4, b"\0")
    path = _rewritten(good, tmp_path, _only("data/weights/weight_0", weight), {})
    check_exported(path)
    with tensors_only():
        loaded = torch.export.load(str(path))
    assert loaded.state_dict["fc.weight"].detach().numpy().tobytes() == weight


@given(st.one_of(st.binary(), st.binary().map(lambda rest: b"PK" + rest), st.binary().map(lambda rest: b"\x80" + rest)))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_weights_may_be_any_bytes(good: Path, tmp_path: Path, weight: bytes) -> None:
    check_exported(_rewritten(good, tmp_path, _only("data/weights/weight_0", weight)))


@pytest.mark.parametrize("pickled", PICKLES.values(), ids=PICKLES)
def test_each_pickle_springs_when_torch_loads_it_and_is_refused(
    good: Path, tmp_path: Path, sprung: Path, pickled: Callable[[Path], bytes]
) -> None:
    path = _rewritten(good, tmp_path, _only(INPUTS, pickled(sprung)))
    with pytest.raises(InputError, match="pickle"):
        check_exported(path)
    with tensors_only():
        _load(path)
    assert not sprung.exists(), "the second lock holds by itself"
    _load(path)
    assert sprung.exists(), "negative control: without both, the trap springs"


@pytest.mark.parametrize(
    ("config", "payload"),
    [
        ("weights/model_weights_config.json", "weights/weight_0"),
        ("constants/model_constants_config.json", "constants/tensor_0"),
    ],
)
def test_a_payload_that_the_list_calls_a_pickle_is_read_as_one(
    good: Path, tmp_path: Path, sprung: Path, config: str, payload: str
) -> None:
    trap = _in_zip(f"cos\nmkdir\n(S'{sprung}'\ntR.".encode())

    def change(name: str, data: bytes) -> bytes:
        return (
            _use_pickle(data) if name == f"data/{config}" else trap if name.startswith(f"data/{payload[:-1]}") else data
        )

    path = _rewritten(good, tmp_path, change)
    with pytest.raises(InputError, match="pickle"):
        check_exported(path)
    _load(path)
    assert sprung.exists(), "negative control"


@pytest.mark.parametrize("member", ["data/weights/model.pt", "data/constants/model.pt"])
def test_the_legacy_pickles_are_read(good: Path, tmp_path: Path, sprung: Path, member: str) -> None:
    path = _rewritten(good, tmp_path, _unchanged, {member: _saved(Trap(sprung))})
    with pytest.raises(InputError, match="pickle"):
        check_exported(path)
    _load(path)
    assert sprung.exists(), "negative control"


@pytest.mark.parametrize("kind", ["opaque_obj_0", "custom_obj_0"])
def test_an_object_of_its_own_class_is_refused(good: Path, tmp_path: Path, sprung: Path, kind: str) -> None:
    def change(name: str, data: bytes) -> bytes:
        return data.replace(b'"tensor_0"', f'"{kind}"'.encode()) if name.endswith("constants_config.json") else data

    listed = _rewritten(good, tmp_path, change)
    with pytest.raises(InputError, match="class of its own"):
        check_exported(listed)
    held = _rewritten(good, tmp_path, _unchanged, {f"data/constants/{kind}": pickle.dumps(Trap(sprung))})
    with pytest.raises(InputError, match="class of its own"):
        check_exported(held)
    assert not sprung.exists()


@pytest.mark.parametrize(
    ("member", "says"),
    [
        ("data/aotinductor/model/wrapper.so", "compiled code"),
        ("data/weights/helper.so", "compiled code"),
        ("data/whatever", "no exported model needs"),
        ("DATA/sample_inputs/model.pt", "twice"),  # torch finds members whatever their case
        (INPUTS, "twice"),
    ],
)
def test_a_member_that_is_code_or_unknown_or_twice_is_refused(
    good: Path, tmp_path: Path, member: str, says: str
) -> None:
    path = _rewritten(good, tmp_path, _unchanged, {member: b""})
    with pytest.raises(InputError, match=says):
        check_exported(path)


def test_a_list_that_leads_elsewhere_is_refused(good: Path, tmp_path: Path) -> None:
    def change(name: str, data: bytes) -> bytes:
        return data.replace(b'"weight_0"', b'"../../extra/note.txt"') if name.endswith("weights_config.json") else data

    with pytest.raises(InputError, match=r"extra/note\.txt"):
        check_exported(_rewritten(good, tmp_path, change))


def test_an_archive_that_two_readers_read_differently_is_refused(good: Path, tmp_path: Path) -> None:
    """`zipfile` takes the list that stands before the end of the file, torch the one that the end points to."""
    shown = good.read_bytes()
    hidden = shown.replace(b"note.txt", b"okay.txt")
    path = tmp_path / "two.pt2"
    path.write_bytes(hidden + shown)
    with pytest.raises(InputError, match="two ways"):
        check_exported(path)


@pytest.mark.parametrize("cut", [0, 10, 400, 2000])
def test_a_damaged_archive_is_refused(good: Path, tmp_path: Path, cut: int) -> None:
    path = tmp_path / "cut.pt2"
    path.write_bytes(good.read_bytes()[:cut])
    with pytest.raises(InputError, match="damaged"):
        check_exported(path)


@pytest.mark.parametrize("content", [b"\xff\xfe{}", b"[" * 100_000, b"no"])
def test_a_description_that_is_no_json_is_refused(good: Path, tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InputError, match="JSON"):
        check_exported(_rewritten(good, tmp_path, _only("models/model.json", content)))


@pytest.mark.parametrize("text", ["__import__('os').system('true')", "exec(chr(105))", "s0.__class__", "open(s0)"])
def test_a_size_expression_that_is_no_arithmetic_is_refused(good: Path, tmp_path: Path, text: str) -> None:
    found = []

    def change(name: str, data: bytes) -> bytes:
        if not name.endswith(".json") or b"expr_str" not in data:
            return data
        found.append(name)

        def walk(value: object) -> object:
            if isinstance(value, dict):
                return {k: text if k == "expr_str" else walk(v) for k, v in value.items()}
            return [walk(v) for v in value] if isinstance(value, list) else value

        return json.dumps(walk(json.loads(data))).encode()

    evil = _rewritten(good, tmp_path, change)
    assert found, "the example has an open size, so torch writes an expression"
    with pytest.raises(InputError, match="no arithmetic"):
        check_exported(evil)


def test_the_second_lock_leaves_the_environment_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    monkeypatch.delenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", raising=False)
    before = dict(os.environ)
    with tensors_only():
        assert os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] == "1"
    assert dict(os.environ) == before
