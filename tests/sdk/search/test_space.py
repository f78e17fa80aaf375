"""A space as YAML: what it may say, and what is told before the first trial."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgesdk.search.space import Range, Space, is_lower_better, read_space
from edgesdk_targets.errors import InputError

GOOD = """
model: card.yaml
target: x86-cpu
data: judged
objectives: [top1, ms]
limits: {ms: 2.0, bytes: 1MB, least: {top1: 0.9}}
parameters:
  factory_args.width: {low: 4, high: 32, step: 4}
  deploy.threads: {choice: [1, 2]}
  deploy.precision: {choice: [fp32, fp16]}
baseline: {factory_args.width: 16, deploy.threads: 1, deploy.precision: fp32}
sampler: grid
"""


def _read(folder: Path, text: str) -> Space:
    path = folder / "space.yaml"
    path.write_text(text)
    return read_space(path)


def test_a_space_is_read(tmp_path: Path) -> None:
    space = _read(tmp_path, GOOD)
    assert space.size == 8 * 2 * 2
    assert space.lower_is_better == (False, True)
    assert space.limits.bytes == 1_000_000
    assert space.parameters["factory_args.width"].values == (4, 8, 12, 16, 20, 24, 28, 32)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("factory_args.width: {low: 4", "factory_args.width: {low: 40"),
        ("deploy.threads", "deploy.thraeds"),
        ("deploy.threads: {choice: [1, 2]}", "threads: {choice: [1, 2]}"),
        ("deploy.precision: {choice: [fp32, fp16]}", "deploy.precision: {choice: [fp33]}"),
        ("{low: 4, high: 32, step: 4}", "{low: 4, high: 32.0}"),
        ("factory_args.width: 16,", "factory_args.width: 99,"),
        ("factory_args.width: 16,", ""),
        ("sampler: grid", "sampler: best"),
        ("deploy.threads: {choice", "train.epochs: {choice"),
        ("data: judged", "data: judged\ntrain: {epochs: 3}"),
        ("objectives: [top1, ms]", "objectives: [ms, ms]"),
    ],
    ids=["ends", "field", "area", "value", "grid", "baseline", "lacks", "sampler", "no-plan", "no-data", "twice"],
)
def test_what_is_wrong_is_named(tmp_path: Path, wrong: str, said: str) -> None:
    assert wrong in GOOD
    with pytest.raises(InputError, match=r"space\.yaml"):
        _read(tmp_path, GOOD.replace(wrong, said))


def test_a_search_goes_on_with_more_trials_and_nothing_else(tmp_path: Path) -> None:
    space = _read(tmp_path, GOOD)
    assert _read(tmp_path, GOOD + "trials: 99\n").identity() == space.identity()
    assert _read(tmp_path, GOOD.replace("2.0", "3.0")).identity() != space.identity()


def test_which_way_is_better() -> None:
    assert [is_lower_better(name) for name in ("ms", "fps", "top1", "cer", "relative_error")] == [
        True,
        False,
        False,
        True,
        True,
    ]


def test_a_range_that_is_logarithmic_has_no_list_of_values() -> None:
    assert Range(low=1, high=64, log=True).values == ()
    assert Range(low=0.0, high=1.0, step=0.25).values == (0.0, 0.25, 0.5, 0.75, 1.0)
