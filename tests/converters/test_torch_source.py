from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from edgesdk_converters.author_code import build
from edgesdk_converters.sniff import Kind, sniff
from edgesdk_converters.source import resolve_source
from edgesdk_converters.torch_source import load_torch
from edgesdk_targets.errors import InputError

FACTORY = """
import torch

def tiny(width=3):
    return torch.nn.Linear(3, width)

def raises():
    raise RuntimeError("no such layer")

def text():
    return "a model"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tiny_models.py").write_text(FACTORY)
    return tmp_path


def _load(folder: Path, path: Path, **arguments: object) -> torch.nn.Module:
    return load_torch(path, sniff(path), factory="tiny_models:tiny", factory_args=arguments, folder=folder)


@pytest.mark.parametrize(
    "wrap", [lambda s: s, lambda s: {"state_dict": {f"module.{k}": v for k, v in s.items()}, "epoch": 3}]
)
def test_weights_are_loaded_plain_or_as_training_scripts_wrap_them(folder: Path, wrap: object) -> None:
    wanted = torch.nn.Linear(3, 5)
    path = folder / "w.pt"
    torch.save(wrap(wanted.state_dict()), path)
    model = _load(folder, path, width=5)
    assert torch.equal(model.weight, wanted.weight)
    assert not model.training


def test_safetensors(folder: Path) -> None:
    wanted = torch.nn.Linear(3, 3)
    save_file(wanted.state_dict(), folder / "w.safetensors")
    assert torch.equal(_load(folder, folder / "w.safetensors").bias, wanted.bias)


def test_weights_that_do_not_fit_are_told_by_kind_and_key(folder: Path) -> None:
    path = folder / "w.pt"
    torch.save({"weight": torch.zeros(7, 3), "gamma": torch.zeros(1)}, path)
    with pytest.raises(InputError) as refused:
        _load(folder, path)
    for part in ("1 missing, the first 'bias'", "1 unknown, the first 'gamma'", "1 of another shape"):
        assert part in refused.value.message


@pytest.mark.parametrize(
    ("factory", "says"),
    [
        ("tiny_models:raises", "RuntimeError: no such layer"),
        ("tiny_models:text", "returned str"),
        ("tiny_models:absent", "cannot be imported"),
        ("no_such_module:f", "cannot be imported"),
    ],
)
def test_a_factory_that_fails_is_the_callers_error(folder: Path, factory: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        build(factory, {}, folder)


def test_wrong_factory_args_are_told(folder: Path) -> None:
    with pytest.raises(InputError, match="unexpected keyword"):
        build("tiny_models:tiny", {"depth": 3}, folder)


def test_weights_without_a_factory_ask_for_one(folder: Path) -> None:
    with pytest.raises(InputError, match="code that builds"):
        load_torch(folder / "w.pt", Kind.STATE_DICT, factory=None, factory_args={}, folder=folder)


def test_a_namesake_from_another_folder_is_not_used(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    build("tiny_models:tiny", {}, folder)
    other = tmp_path_factory.mktemp("other")
    (other / "tiny_models.py").write_text("import torch\n\ndef tiny():\n    return torch.nn.Identity()\n")
    assert isinstance(build("tiny_models:tiny", {}, other), torch.nn.Identity)


def test_a_factory_beside_another_is_found_whatever_that_does_to_the_import_path(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "inner_one.py").write_text(FACTORY)
    (tmp_path / "outer_one.py").write_text(
        "import sys\n"
        "from edgesdk_converters.author_code import build_beside\n\n"
        "def outer(path):\n"
        "    sys.path[:] = [path, *sys.path[1:]]\n"
        "    return build_beside('inner_one:tiny', {'width': 7})\n"
    )
    before = list(sys.path)
    try:
        made = build("outer_one:outer", {"path": str(tmp_path / "elsewhere")}, tmp_path)
    finally:
        sys.path[:] = before
    assert made.weight.shape == (7, 3)


def test_a_cards_own_code_is_identified_without_a_look_through_all_packages(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgesdk_converters import source as source_module

    asked: list[str] = []

    def packages() -> dict[str, list[str]]:
        asked.append("asked")
        return {"torch": ["torch"]}

    monkeypatch.setattr(source_module, "packages_distributions", packages)
    card = '{{"name": "t", "task": "embed", "input": {{"name": "x", "shape": [1, 3]}}, "factory": "{}"}}'
    keys = []
    for factory in ("tiny_models:tiny", "torch.nn:Identity"):
        (folder / "card.yaml").write_text(card.format(factory))
        keys.append(source_module.resolve_source(folder / "card.yaml").cache_key())
    assert asked == ["asked"]
    # Of what is installed the version counts.
    assert "torch 2" not in str(keys[0])
    assert "torch 2" in str(keys[1])


def test_a_model_whose_factory_draws_its_numbers_is_known_again(folder: Path) -> None:
    """Else a search over a card without weights would not go on: it would take each new process for another model."""
    card = '{"name": "t", "task": "embed", "input": {"name": "x", "shape": [1, 3]}, "factory": "tiny_models:tiny"}'
    (folder / "card.yaml").write_text(card)
    before = torch.get_rng_state()
    keys = [resolve_source(folder / "card.yaml").cache_key() for _ in range(2)]
    assert keys[0] == keys[1]
    assert torch.equal(torch.get_rng_state(), before)


def test_the_callers_random_numbers_stay_as_they_were_on_an_accelerator_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Converted in the midst of a training, a model must not change what that draws next."""
    state = [7]
    module = SimpleNamespace(
        device_count=lambda: 1,
        get_rng_state=lambda _device: state[0],
        set_rng_state=lambda value, _device: state.__setitem__(0, value),
    )
    seed = torch.manual_seed

    def seeded(value: int) -> torch.Generator:
        state[0] = value
        return seed(value)

    monkeypatch.setattr(torch, "get_device_module", lambda *_: module)
    monkeypatch.setattr(torch, "manual_seed", seeded)
    load_torch(None, Kind.STATE_DICT, factory="tiny_models:tiny", factory_args={}, folder=folder)
    assert state == [7]
