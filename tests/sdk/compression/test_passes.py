"""Each pass makes a model smaller as it says, and what it made is built again from data, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgesdk.compression.changes import Factorised
from edgesdk.compression.channel_groups import find_groups
from edgesdk.compression.cluster_weights import cluster_weights
from edgesdk.compression.course import _check_sharing
from edgesdk.compression.factorise import _set, factorise
from edgesdk.compression.factors import factorised
from edgesdk.compression.fold_norms import fold_norms
from edgesdk.compression.layers import sharing_layers
from edgesdk.compression.model_size import macs_by_layer, model_size
from edgesdk.compression.prune_weights import prune_weights
from edgesdk.compression.rebuilt import replay
from edgesdk.compression.spectrum import decompose
from edgesdk.compression.subject import Subject
from edgesdk.compression.tie_layers import tie_layers
from edgesdk_converters.preflight.macs import count_macs
from edgesdk_converters.preflight.read_graph import read_graph
from edgesdk_converters.steps.onnx_from_torch import onnx_from_torch
from edgesdk_converters.steps.openvino_from_onnx import openvino_from_onnx
from edgesdk_targets.errors import InputError
from edgesdk_testkit.nets_to_compress import subject

CONVS = ["one.conv1", "one.conv2", "two.conv1", "two.conv2"]
Done = tuple[Subject, dict[str, Any]]
PASSES: dict[str, Callable[[Subject], Done]] = {
    "fold": fold_norms,
    "factorise": lambda given: factorise(given, CONVS, energy=0.8),
    "tie": lambda given: tie_layers(given, [["one.conv1", "one.conv2"]]),
    "cluster": lambda given: cluster_weights(given, CONVS, 8),
    "sparsify": lambda given: prune_weights(given, CONVS, amount=0.5),
}


def rebuilt(made: Subject, start: Subject) -> nn.Module:
    """What a device's converter would build: the author's model, the changes, the weights, nothing else."""
    module = start.copy()
    replay(module, made.changes[len(start.changes) :])
    module.load_state_dict(made.module.state_dict())
    return module


def alike(one: nn.Module, other: Subject) -> bool:
    with torch.no_grad():
        return torch.equal(one(*other.example), other.run()[0])


@pytest.mark.parametrize("name", PASSES)
def test_what_a_pass_made_is_built_again_bit_for_bit(name: str) -> None:
    start = subject("residual")
    untouched = {key: value.clone() for key, value in start.module.state_dict().items()}
    made, _ = PASSES[name](start)
    assert made.changes
    assert alike(rebuilt(made, start), made)
    assert all(torch.equal(value, untouched[key]) for key, value in start.module.state_dict().items())


def test_folding_keeps_the_answers_and_leaves_no_normalisation() -> None:
    start = subject("residual")
    made, record = fold_norms(start)
    assert record["folded"] == 5
    assert not [part for part in made.module.modules() if isinstance(part, nn.BatchNorm2d)]
    torch.testing.assert_close(made.run()[0], start.run()[0], rtol=1e-4, atol=1e-5)


def test_what_is_folded_learns_as_what_is_built_again_from_its_record_does() -> None:
    """A training after it goes on after a kill only where both are one model; a bias that does not learn would be another."""
    start = subject("residual")
    made, _ = fold_norms(start)
    again = start.copy()
    replay(again, made.changes)
    learns = {name: value.requires_grad for name, value in made.module.named_parameters()}
    assert learns == {name: value.requires_grad for name, value in again.named_parameters()}
    assert all(learns.values())


@pytest.mark.parametrize(("stands_still", "learns"), [("bias", (True, False)), ("weight", (False, True))])
def test_what_stood_still_stands_still_when_folded(stands_still: str, learns: tuple[bool, bool]) -> None:
    own, none = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1, bias=False)
    start = Subject(nn.Sequential(own, nn.BatchNorm2d(4), none, nn.BatchNorm2d(4)).eval(), (torch.ones(1, 3, 4, 4),))
    for layer in (own, none):
        if (still := getattr(layer, stands_still)) is not None:
            still.requires_grad_(False)
    made, _ = fold_norms(start)
    again = start.copy()
    replay(again, made.changes)
    for module in (made.module, again):
        found: Any = module
        assert (found[0].weight.requires_grad, found[0].bias.requires_grad) == learns
        # One that was made learns as the weights do.
        assert found[2].bias.requires_grad == found[2].weight.requires_grad == learns[0]


def test_a_layer_that_something_else_reads_is_not_folded() -> None:
    class ReadTwice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)
            self.bn = nn.BatchNorm2d(4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.conv(x)
            return torch.cat([self.bn(y), y], 1)

    net = ReadTwice()
    nn.init.uniform_(net.bn.weight, 2, 3)
    start = Subject(net.eval(), (torch.ones(1, 3, 4, 4),))
    made, record = fold_norms(start)
    assert record == {"folded": 0, "left": ["bn"], "used_elsewhere": ["bn"]}
    assert alike(made.module, start)


@pytest.mark.parametrize(
    ("model", "layer", "form"),
    [
        ("residual", "one.conv1", "channel"),
        ("residual", "two.conv1", "spatial"),
        ("residual", "head", "channel"),
        ("reader", "rnn", "input"),
        ("gru", "rnn", "input"),
    ],
)
def test_factors_of_full_rank_give_the_same_answers(model: str, layer: str, form: str) -> None:
    start = subject("reader", kind="GRU") if model == "gru" else subject(model)
    module = start.copy()
    old = module.get_submodule(layer)
    (spectrum,) = [one for one in decompose(old) if one.form == form]
    rank = len(spectrum.singular)
    new = factorised(old, Factorised(layer=layer, rank=rank, form=form))  # type: ignore[arg-type]  # one of the words
    _set(old, new, spectrum, rank)
    module.set_submodule(layer, new)
    torch.testing.assert_close(start.retrained(module).run()[0], start.run()[0], rtol=1e-4, atol=1e-5)


def test_the_rank_is_the_least_that_keeps_the_energy() -> None:
    start = subject("residual")
    for spectrum in decompose(start.module.get_submodule("two.conv2")):
        rank = spectrum.rank_for(0.9)
        squares = spectrum.singular.square()
        assert squares[:rank].sum() >= 0.9 * squares.sum() > squares[: rank - 1].sum()


@pytest.mark.parametrize("figure", ["macs", "parameters"])
def test_a_budget_of_ranks_is_kept_and_nearly_used(figure: Any) -> None:
    start = subject("residual")
    made, _ = factorise(start, CONVS, budget=(figure, 0.7))
    part = getattr(model_size(made), figure) / getattr(model_size(start), figure)
    assert 0.6 < part <= 0.7


def test_a_budget_of_ranks_that_cannot_be_met_says_how_close_it_came() -> None:
    with pytest.raises(
        InputError, match=r"cannot be met: .*5\.0% .* is the least: layers that this pass does not know"
    ):
        factorise(subject("residual"), ["head"], budget=("parameters", 0.05))


def test_clusters_are_few_and_deflate_shrinks_them() -> None:
    start = subject("reader")
    made, record = cluster_weights(start, ["rnn", "head"], 16)
    for name, value in made.module.named_parameters():
        if name.startswith(("rnn.weight", "head.weight")):
            assert len(torch.unique(value)) <= 16
    before, after = model_size(start), model_size(made)
    assert after.bytes == before.bytes
    assert after.deflated_bytes < 0.5 * before.deflated_bytes
    assert record["codebook_bytes"] < 0.2 * before.bytes


def test_zeros_are_a_cluster_of_their_own() -> None:
    sparse, _ = prune_weights(subject("reader"), ["rnn"], amount=0.6)
    made, _ = cluster_weights(sparse, ["rnn"], 8)
    before, after = sparse.module.get_parameter("rnn.weight_hh_l0"), made.module.get_parameter("rnn.weight_hh_l0")
    assert torch.equal(before == 0, after == 0)
    assert len(torch.unique(after)) <= 8


def test_few_zeros_that_are_meant_stay_and_others_are_numbers_like_any() -> None:
    sparse, _ = prune_weights(subject("residual"), ["one.conv1"], amount=0.1)
    unmarked = replace(sparse, changes=())
    zeros = sparse.module.get_parameter("one.conv1.weight") == 0
    made, plain = (cluster_weights(one, ["one.conv1"], 4)[0] for one in (sparse, unmarked))
    assert torch.equal(made.module.get_parameter("one.conv1.weight") == 0, zeros)
    assert not torch.equal(plain.module.get_parameter("one.conv1.weight") == 0, zeros)


def test_the_smallest_weights_become_zero() -> None:
    start = subject("residual")
    made, _ = prune_weights(start, CONVS, amount=0.5)
    pairs = [(start.module.get_parameter(f"{n}.weight"), made.module.get_parameter(f"{n}.weight")) for n in CONVS]
    gone = torch.cat([old[new == 0].abs() for old, new in pairs])
    stay = torch.cat([old[new != 0].abs() for old, new in pairs])
    assert len(gone) / (len(gone) + len(stay)) == pytest.approx(0.5, abs=0.01)
    assert gone.max() <= stay.min()


def test_tied_layers_are_counted_once_and_need_one_shape() -> None:
    start = subject("residual")
    made, _ = tie_layers(start, [["one.conv1", "one.conv2"]])
    plain, _ = fold_norms(start, ["one.conv1", "one.conv2"])
    assert model_size(plain).parameters - model_size(made).parameters == 8 * 8 * 9
    with pytest.raises(InputError, match="different shapes"):
        tie_layers(start, [["one.conv1", "two.conv2"]])


def test_an_artifact_has_one_weight_for_tied_layers_with_normalisations_behind_them() -> None:
    start = subject("residual")
    made, record = tie_layers(start, [["one.conv1", "one.conv2"]])
    assert record["folded"] == 2
    # As tying alone would leave it: one weight, and two normalisations that make two of it again.
    control = start.copy()
    control.get_submodule("one.conv2").weight = control.get_submodule("one.conv1").weight
    whole, tied, parted = (
        len(openvino_from_onnx(_onnx(module, start.example), precision="fp32")[1])
        for module in (start.module, made.module, control)
    )
    assert whole - tied == 8 * 8 * 9 * 4
    assert parted == whole


def _onnx(module: nn.Module, example: tuple[torch.Tensor, ...]) -> bytes:
    return onnx_from_torch(module, example, input_names=["image"], output_names=["logits"])


def test_tied_layers_stay_tied_whatever_follows() -> None:
    made, _ = tie_layers(subject("residual"), [["one.conv1", "one.conv2"]])
    groups = find_groups(made)
    assert "one.conv1" not in {name for group in groups.groups for name in group.layers}
    assert "uses one weight with another layer" in groups.left["one.conv1"]
    thin, record = factorise(made, CONVS, energy=0.5)
    assert record["left"][:2] == ["one.conv1", "one.conv2"]
    assert record["layers"].keys() == {"two.conv1", "two.conv2"}
    pruned = groups.pruned({"two.conv1": 4})
    for after in (thin, pruned):
        assert sharing_layers(after.module) == {"one.conv1", "one.conv2"}
        _check_sharing(made, after, "it")
    with pytest.raises(InputError, match="does not share its weight any more"):
        _check_sharing(made, subject("residual"), "it")


def test_results_of_all_passes_convert_and_give_the_modules_answers() -> None:
    """One after the other: tied, factorised, sparse, folded, clustered; and the count of MACs is that of the graph."""
    import onnxruntime
    import openvino

    made = subject("residual")
    for name in ("tie", "factorise", "sparsify", "fold"):
        if name == "factorise":
            made, _ = factorise(made, ["two.conv1", "two.conv2", "head"], energy=0.8)
        elif name == "sparsify":
            made, _ = prune_weights(made, ["one.conv1"], amount=0.5)
        else:
            made, _ = PASSES[name](made)
    made, _ = cluster_weights(made, ["two.conv1.0", "two.conv1.1"], 8)
    content = _onnx(made.module, made.example)
    expected = made.run()[0].numpy()
    feeds = {"image": made.example[0].numpy()}
    (answer,) = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]).run(None, feeds)
    np.testing.assert_allclose(answer, expected, rtol=1e-3, atol=1e-4)
    xml, weights = openvino_from_onnx(content, precision="fp32")
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(xml, weights), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    np.testing.assert_allclose(next(iter(compiled(feeds).values())), expected, rtol=1e-3, atol=1e-4)
    assert count_macs(read_graph(content)).total == sum(macs_by_layer(made).values())
