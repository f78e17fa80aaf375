"""What a pickle would fetch is told from its instructions; whatever could fetch more is never taken for tensors."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgesdk_converters.pickle_imports import OLD_FORM_PICKLES, TENSOR_NAMES, foreign_imports


def _saved(value: object, **options: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    if not zipfile.is_zipfile(buffer):
        return buffer.getvalue()
    with zipfile.ZipFile(buffer) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith("/data.pkl")))


TENSORS = {
    "state_dict": torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4)).state_dict(),
    "parameter": torch.nn.Parameter(torch.ones(2)),
    "dtypes": [
        torch.zeros(1, dtype=dtype) for dtype in (torch.float16, torch.bfloat16, torch.int8, torch.bool, torch.uint16)
    ],
    "sparse": torch.eye(3).to_sparse(),
    "meta": torch.ones(2, device="meta"),
    "training": {
        "epoch": 3,
        "best": 0.5,
        "size": torch.Size([1]),
        "on": torch.device("cpu"),
        "of": torch.float32,
        "tags": {1},
    },
    "bytes": {"name": b"x", "order": OrderedDict(a=1j)},
}


@pytest.mark.parametrize("value", TENSORS.values(), ids=TENSORS)
def test_what_torch_reads_as_weights_passes_in_both_its_forms(value: object) -> None:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    buffer.seek(0)
    torch.load(buffer, weights_only=True)
    assert foreign_imports(_saved(value)) == []
    assert foreign_imports(_saved(value, _use_new_zipfile_serialization=False), pickles=OLD_FORM_PICKLES) == []


def test_every_name_let_pass_is_one_that_torch_lets_pass() -> None:
    from torch._weights_only_unpickler import _get_allowed_globals

    ours = {name.replace("__builtin__", "builtins").replace(" ", ".") for name in TENSOR_NAMES}
    assert ours <= set(_get_allowed_globals())


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (b"cos\nsystem\n(S'true'\ntR.", "os.system"),  # protocol 0: no byte at its start says so
        (b"(S'true'\nios\nsystem\n.", "os.system"),  # INST
        (b"\x80\x02ctorch\nhub.load\n)R.", "torch.hub.load"),
        (b"\x80\x02ctorch.serialization\nos.system\nX\x04\0\0\0true\x85R.", "torch.serialization.os.system"),
        (b"\x80\x02ccollections OrderedDict\nx\n.", "collections.OrderedDict.x"),
        # "os" and "system" come from the memo; the decoys are the strings last read.
        (
            b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94h\x00h\x01\x8c\x05torch\x8c\x04Size00\x93\x8c\x04true\x85R.",
            "STACK_GLOBAL",
        ),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"\x80\x02(X\x02\0\0\0os\x81o.", "OBJ"),
        (pickle.dumps(torch.hub.load, protocol=4), "STACK_GLOBAL"),
    ],
)
def test_what_fetches_code_is_named(data: bytes, names: str) -> None:
    assert names in " ".join(foreign_imports(data))


def test_each_of_several_pickles_is_read_and_what_follows_is_not() -> None:
    plain, evil = pickle.dumps(1, protocol=2), b"cos\nsystem\n."
    assert foreign_imports(plain + evil, pickles=2) == ["os.system"]
    assert foreign_imports(plain + evil, pickles=1) == []
    assert foreign_imports(plain, pickles=5) == []


@given(st.binary(max_size=60))
def test_whatever_the_bytes_they_are_told_or_refused(data: bytes) -> None:
    try:
        foreign_imports(data)
    except ValueError:
        return
    assert data, "an empty file is no pickle"
