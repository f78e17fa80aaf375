from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import DTYPES, TensorSpec, check_feeds

SPEC = TensorSpec(name="image", shape=(1, 3, 4, 5), layout="NCHW")


def test_size_and_memory_follow_shape_and_dtype() -> None:
    for dtype in DTYPES:
        spec = TensorSpec(name="x", shape=(2, 3), dtype=dtype)
        array = spec.empty()
        assert (array.shape, array.dtype.name, array.flags.c_contiguous) == ((2, 3), dtype, True)
        assert spec.size_bytes == array.nbytes


def test_a_scalar_is_possible() -> None:
    assert TensorSpec(name="x", shape=()).size_bytes == 4


@pytest.mark.parametrize(
    "values",
    [
        {"shape": (0,)},
        {"shape": (1, -2)},
        {"shape": (1 << 16, 1 << 16)},
        {"shape": (1,), "dtype": "float64"},
        {"shape": (1,), "dtype": ">f4"},
        {"shape": (1,), "name": ""},
        {"shape": (1,), "layout": "HWC"},
        {"shape": (1,), "extra": 1},
    ],
)
def test_what_no_tensor_is_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TensorSpec.model_validate({"name": "x", **values})


def test_an_open_dimension_is_told_apart() -> None:
    assert TensorSpec(name="x", shape=(1, -1, 4)).dynamic
    assert not SPEC.dynamic


class TestCheck:
    def test_takes_what_fits(self) -> None:
        check_feeds((SPEC,), {"image": SPEC.empty()})
        check_feeds((), {})

    @pytest.mark.parametrize(
        "feeds",
        [
            {},
            {"picture": SPEC.empty()},
            {"image": SPEC.empty(), "more": SPEC.empty()},
            {"image": np.zeros((1, 3, 4, 6), np.float32)},
            {"image": np.zeros((3, 4, 5), np.float32)},
            {"image": np.zeros((1, 3, 4, 5), np.float64)},
            {"image": [[1.0]]},
            {"image": None},
        ],
    )
    def test_names_what_does_not(self, feeds: dict[str, object]) -> None:
        with pytest.raises(InputError, match="image") as raised:
            check_feeds((SPEC,), feeds)  # type: ignore[arg-type]
        assert raised.value.hint
