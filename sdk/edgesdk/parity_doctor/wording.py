"""What the bundle asks for at the place of each mistake, in words."""

from __future__ import annotations

from collections.abc import Iterable

from edgesdk.parity_doctor.diagnosis import Named
from edgesdk.parity_doctor.mistakes import name_of, texts
from edgesdk.parity_doctor.reading import Contract
from edgesdk_targets.preprocess.spec import Preprocess


def name_all(mistakes: Iterable[str], spec: Preprocess, contract: Contract) -> tuple[Named, ...]:
    """Return mistakes of the input with their texts."""
    return tuple(named(mistake, wanted(mistake, spec, contract)) for mistake in mistakes)


def named(mistake: str, wanted_text: str) -> Named:
    """Return one mistake with its texts."""
    says, change = texts(mistake, wanted_text)
    return Named(name_of(mistake), mistake.partition(":")[2], says, change)


def wanted(mistake: str, spec: Preprocess, contract: Contract) -> str:
    """Return what the bundle asks for where this mistake is made."""
    name = name_of(mistake)
    simple = {
        "interpolation": spec.interpolation,
        "pad": str(spec.pad),
        "pad_after_normalising": str(spec.pad),
        "crop_fraction": f"{spec.crop_fraction:g}",
        "layout": contract.layout,
        "dtype": contract.dtype,
        "size_other": f"{spec.size[0]} x {spec.size[1]}",
        "size_swapped": f"{spec.size[0]} x {spec.size[1]}",
        "channels_swapped": spec.color.upper(),
        "channels_other": spec.color.upper(),
        "gray_fed": f"colour ({spec.color.upper()})",
        "mean_missing": _numbers(spec.mean),
        "std_missing": _numbers(spec.std),
    }
    if name in simple:
        return simple[name]
    if name in {"not_normalised", "normalisation", "normalisation_other"}:
        return f"mean {_numbers(spec.mean)} and std {_numbers(spec.std)}"
    return _geometry(spec)


def _geometry(spec: Preprocess) -> str:
    height, width = spec.size
    if spec.resize == "letterbox":
        return f"a letterbox of {height} x {width}, picture in the middle, padded with {spec.pad}"
    if spec.resize == "center_crop":
        return f"a centre crop of {spec.crop_fraction:g} of the short side, resized to {height} x {width}"
    return f"a plain resize to {height} x {width} (height x width)"


def _numbers(values: tuple[float, ...]) -> str:
    return "[" + ", ".join(f"{v:.6g}" for v in values) + "]"
