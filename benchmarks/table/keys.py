"""What the figures depend on, as hashes: a change of it makes what was measured before stale.

Of the ground (`targets/`) only the folders count that say what a model is, how it is fed and what its answers mean. How
pipelines, cameras and messages work changes no artifact, and an artifact itself is named by the digest of its bundle.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("torch", "onnx", "onnxruntime", "openvino", "nncf", "ai-edge-litert", "litert-torch", "ai-edge-quantizer")
_SUFFIXES = {".py", ".yaml", ".json", ".safetensors", ".lock"}
_GROUND = "targets/edgesdk_targets"
_MEANING = tuple(f"{_GROUND}/{name}" for name in ("card.py", "preprocess", "decode", "results.py", "tensor.py"))
_TARGETS = tuple(f"{_GROUND}/{name}" for name in ("target.py", "catalogue.py", "profiles"))
_MODELS = ("tests/real/models", "examples/digits")
_PICTURES = tuple(f"benchmarks/table/{name}" for name in ("cases.py", "asset_pictures.py", "sample_pictures.py"))
_EXAM = (*_PICTURES, "benchmarks/table/pictures.json", "benchmarks/table/figures.py")
_EMULATED = ("benchmarks/table/emulate.py", "benchmarks/table/altered.py")
_FLOAT = tuple(
    f"converters/edgesdk_converters/{name}"
    for name in ("source.py", "torch_source.py", "author_code.py", "reference.py", "proving/predictor.py")
)


def float_key(assets: Path | None, every: int) -> str:
    """Name what the float models' answers depend on."""
    code = _digest((*_MEANING, *_MODELS, *_EXAM, *_FLOAT))
    return _joined("float", code, _assets_digest(assets), every, versions()["torch"])


def build_key(assets: Path | None, every: int) -> str:
    """Name what the bundles depend on."""
    code = _digest(
        (
            "converters",
            "sdk/edgesdk/evaluate",
            *_MEANING,
            *_TARGETS,
            *_MODELS,
            *_EXAM,
            "benchmarks/table/build.py",
        )
    )
    return _joined("build", code, _assets_digest(assets), every, versions())


def judge_key(bundles: Iterable[str], assets: Path | None, every: int) -> str:
    """Name what the figures of some bundles depend on; bundles by their digest."""
    code = _digest((*_MEANING, *_EXAM, "sdk/edgesdk/evaluate", "benchmarks/table/judge.py"))
    return _joined("judge", sorted(bundles), float_key(assets, every), code, versions())


def emulate_key(bundles: Iterable[str], assets: Path | None) -> str:
    """Name what the answers of some bundles on an emulated board depend on."""
    code = _digest((*_MEANING, *_EXAM, f"{_GROUND}/golden", "sdk/edgesdk/emulate", *_EMULATED))
    return _joined("emulate", sorted(bundles), float_key(assets, 1), code)


def by_hand_key(assets: Path | None) -> str:
    """Name what the scripts' artifacts and their figures depend on."""
    code = _digest((*_MEANING, *_EXAM, "benchmarks/table/scripts.py", "benchmarks/table/by_hand.py"))
    return _joined("by hand", float_key(assets, 1), code, versions())


def parse_key(bundles: Iterable[str]) -> str:
    """Name what a parser's verdict on some bundles depends on, but for the parser's own version."""
    return _joined("parse", sorted(bundles), _digest(("benchmarks/table/parse.py",)))


def time_key(bundles: Iterable[str], cpu: str) -> str:
    """Name what the times of some bundles depend on, but for the state of the machine."""
    return _joined("time", sorted(bundles), versions(), cpu)


@cache
def versions() -> dict[str, str]:
    """Return the versions of the packages that convert and run."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _joined(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@cache
def _digest(places: tuple[str, ...]) -> str:
    """Hash the sources below some places of the repository."""
    digest = hashlib.sha256()
    for place in places:
        path = ROOT / place
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.suffix in _SUFFIXES)
        for file in files:
            digest.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


@cache
def _assets_digest(assets: Path | None) -> str:
    """Hash the list of the assets' own hashes."""
    return hashlib.sha256((assets / "SHA256SUMS").read_bytes()).hexdigest() if assets else "none"
