"""Ops that litert-torch gets wrong are said in others: right after it, where they were not before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgesdk_converters.steps import litert_rewrites
from edgesdk_converters.steps.litert_from_torch import litert_from_torch
from edgesdk_converters.steps.litert_graph import LiteRtGraph
from edgesdk_converters.steps.litert_rewrites import avoid_traps
from edgesdk_testkit import torch_models as models

_random = torch.Generator().manual_seed(4)
KERNEL = torch.randn(4, 4, 3, 3, generator=_random) * 0.3
UP = torch.randn(4, 2, 3, 3, generator=_random)
MIX = torch.randn(4, 4, generator=_random)

# By name; each is given a map (1, 4, 6, 6) that a convolution made, and its result goes into another.
TRAPS: dict[str, Callable[[Tensor], Tensor]] = {
    "square in five dimensions": lambda x: (x.reshape(1, 2, 2, 6, 6) * 2).square().reshape(1, 4, 6, 6),
    "power in five dimensions": lambda x: (x.abs().reshape(1, 2, 2, 6, 6) ** 1.5).reshape(1, 4, 6, 6),
    "cube": lambda x: x**3,
    "broken power": lambda x: x.abs() ** 0.4 + functional.relu(x) ** 2.5,
    "roots": lambda x: x.abs() ** 0.5 + (x.abs() + 1) ** -0.5,
    "nearest to an odd size": lambda x: functional.interpolate(x, size=(7, 9)),
    "nearest by a factor": lambda x: functional.interpolate(x, scale_factor=1.6),
    "bilinear by a factor": lambda x: functional.interpolate(x, scale_factor=1.7, mode="bilinear"),
    "transposed convolution": lambda x: torch.cat([functional.conv_transpose2d(x, UP, MIX[0, :2], 2, 1, 1)] * 2, 1),
    "transposed in groups": lambda x: functional.conv_transpose2d(x, UP[:, :1], None, 2, 1, 1, groups=4),
    "every second channel": lambda x: torch.cat([x[:, 1::2], x[:, 0::2]], 1),
    "repeat": lambda x: x.repeat(1, 1, 2, 1),
    "tile": lambda x: torch.tile(x, (2, 1)),
    "einsum": lambda x: torch.einsum("bchw,cd->bdhw", x, MIX),
    "largest values": lambda x: x.topk(4, 1)[0],
    "smallest values": lambda x: x.topk(4, 2, largest=False)[0].repeat(1, 1, 1, 1),
    "sort": lambda x: x.sort(1)[0],
    "order": lambda x: x.argsort(3, descending=True).float(),
}


class Trapped(nn.Module):
    def __init__(self, *names: str) -> None:
        super().__init__()
        self.names = names

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = functional.conv2d(x, KERNEL, padding=1)
        return tuple(functional.conv2d(TRAPS[name](x), KERNEL, padding=1) for name in self.names)


GIVEN = torch.rand(1, 4, 6, 6, generator=_random)


def _program(module: nn.Module) -> Any:
    return torch.export.export(module, (GIVEN,), strict=False)


@pytest.mark.parametrize("name", TRAPS)
def test_what_is_said_is_the_same(name: str) -> None:
    module = Trapped(name)
    program = _program(module)
    rewritten = avoid_traps(program)
    assert rewritten is not program
    assert (
        models.worst_db(models.answers(module, [GIVEN.numpy()]), models.answers(rewritten.module(), [GIVEN.numpy()]))
        >= 110
    )


def test_litert_gets_them_right_then() -> None:
    module = Trapped(*TRAPS)
    content = litert_from_torch(module, [GIVEN], precision="fp32")
    wanted, got = (
        run(source, [GIVEN.numpy()]) for run, source in ((models.answers, module), (models.run_litert, content))
    )
    figures = {name: models.sqnr_db(a, b) for name, a, b in zip(TRAPS, wanted, got, strict=True)}
    assert {name: figure for name, figure in figures.items() if figure < 100} == {}


@pytest.mark.parametrize("name", ["nearest to an odd size", "bilinear by a factor"])
def test_without_it_litert_is_wrong_in_silence(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control; when it fails, the converter has been mended and a rewrite can go."""
    monkeypatch.setattr(litert_rewrites, "_REWRITES", {})
    content = litert_from_torch(Trapped(name), [GIVEN], precision="fp32")
    assert (
        models.worst_db(models.answers(Trapped(name), [GIVEN.numpy()]), models.run_litert(content, [GIVEN.numpy()]))
        < 40
    )


def test_a_broken_power_is_none_of_litert() -> None:
    content = litert_from_torch(Trapped("broken power"), [GIVEN], precision="fp32")
    kinds = {op.kind for op in LiteRtGraph(content).operations}
    assert {"LOG", "EXP"} <= kinds
    assert "POW" not in kinds


@pytest.mark.parametrize(("exponent", "op"), [(0.5, "sqrt"), (-0.5, "rsqrt")])
def test_a_root_is_a_root_and_exact(exponent: float, op: str) -> None:
    class Root(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x**exponent

    mended = avoid_traps(_program(Root()))
    assert [str(node.target) for node in mended.graph.nodes if node.op == "call_function"] == [f"aten.{op}.default"]
    # Of nought too, of which there is no logarithm.
    given = torch.cat([GIVEN.reshape(-1), torch.zeros(1)])
    assert torch.equal(litert_rewrites._power(given, exponent), given**exponent)


def test_a_model_without_traps_is_not_touched() -> None:
    program = _program(nn.Conv2d(4, 4, 3))
    assert avoid_traps(program) is program


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("ij,jk->ik", [(2, 3), (3, 4)]),
        ("bij,bkj->bki", [(2, 3, 4), (2, 5, 4)]),
        ("abc,cd->abd", [(2, 3, 4), (4, 5)]),
        ("nchw,nkc->nkhw", [(2, 3, 4, 5), (2, 6, 3)]),
        ("i,j->ij", [(3,), (4,)]),
        ("ij,ij->i", [(3, 4), (3, 4)]),
        ("ij,jk->i", [(2, 3), (3, 4)]),  # a sum over a name of one operand: left to torch
        ("ii,ij->j", [(3, 3), (3, 4)]),
        ("ij,jk", [(2, 3), (3, 4)]),
        ("...ij,jk->...ik", [(2, 2, 3), (3, 4)]),
        ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 2)]),
    ],
)
def test_sums_by_equation(equation: str, shapes: list[tuple[int, ...]]) -> None:
    operands = [torch.randn(shape, generator=_random) for shape in shapes]
    said = litert_rewrites._einsum(equation, operands)
    assert torch.allclose(said, torch.einsum(equation, *operands), atol=1e-5)
