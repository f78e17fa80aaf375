"""The ways to scale pixels to values: (pixel - mean) / std with the right constants, and with the usual wrong ones.

Every wrong way is some other mean and std in pixel units, so that one fit of value against pixel judges all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

Constants = tuple[tuple[float, ...], tuple[float, ...]]

# In the order of the channels that the framework's own models take.
PRESETS: dict[str, Constants] = {
    "0..1 (pixel / 255)": ((0.0,) * 3, (255.0,) * 3),
    "-1..1 (127.5, 127.5)": ((127.5,) * 3, (127.5,) * 3),
    "imagenet": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "caffe (BGR means, no std)": ((103.939, 116.779, 123.68), (1.0,) * 3),
    "clip": ((122.7709383, 116.7460125, 104.09373615), (68.5005327, 66.6321579, 70.32316305)),
    "(pixel - 128) / 128": ((128.0,) * 3, (128.0,) * 3),
    "(pixel - 127) / 128": ((127.0,) * 3, (128.0,) * 3),
    "signed pixels (pixel - 128)": ((128.0,) * 3, (1.0,) * 3),
}


@dataclass(frozen=True, slots=True)
class Values:
    """One way to scale.

    Attributes:
        mean, std: of each channel of the tensor, in pixel units.
        mistakes: the fewest that lead there.
        also: other mistakes, as many, with the same effect.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    mistakes: tuple[str, ...]
    also: tuple[tuple[str, ...], ...] = ()


def ways(mean: tuple[float, ...], std: tuple[float, ...], most: int = 2) -> list[Values]:
    """Return the right way first, then all with up to `most` mistakes; of equal ones only that with the fewest."""
    found: dict[tuple[float, ...], Values] = {_key(mean, std): Values(mean, std, ())}
    level = list(found.values())
    for _ in range(most):
        made: list[Values] = []
        for base in level:
            for mistake, (m, s) in _changed(base.mean, base.std):
                if mistake not in base.mistakes:
                    _add(found, made, Values(m, s, (*base.mistakes, mistake)))
        level = [found[_key(v.mean, v.std)] for v in made]
    return list(found.values())


def _add(found: dict[tuple[float, ...], Values], made: list[Values], new: Values) -> None:
    key = _key(new.mean, new.std)
    known = found.get(key)
    if known is None:
        found[key] = new
        made.append(new)
        return
    effects = {frozenset(names) for names in (known.mistakes, *known.also)}
    if len(known.mistakes) == len(new.mistakes) and frozenset(new.mistakes) not in effects:
        found[key] = Values(known.mean, known.std, known.mistakes, (*known.also, new.mistakes))


def _key(mean: tuple[float, ...], std: tuple[float, ...]) -> tuple[float, ...]:
    # Equal to four digits is equal: nobody's constants are finer.
    return tuple(float(f"{v:.4g}") for pair in zip(mean, std, strict=True) for v in (pair[0] / pair[1], 1 / pair[1]))


def _changed(mean: tuple[float, ...], std: tuple[float, ...]) -> Iterator[tuple[str, Constants]]:
    """Yield each single mistake that can be made with these constants; the likeliest name of an effect comes first."""
    count = len(mean)
    zero, one, full = (0.0,) * count, (1.0,) * count, (255.0,) * count
    # Constants for 0..1 on pixels, and constants for pixels on 0..1.
    yield "scale_missing", (tuple(m / 255 for m in mean), tuple(s / 255 for s in std))
    yield "scaled_twice", (tuple(m * 255 for m in mean), tuple(s * 255 for s in std))
    yield "not_normalised", (zero, one)
    yield "mean_missing", (zero, std)
    yield "std_missing", (mean, one)
    yield "std_missing", (mean, full)
    if count > 1:
        yield "mean_std_order", (mean[::-1], std[::-1])
    for name, (m, s) in PRESETS.items():
        if count == 3 or len(set(m)) == len(set(s)) == 1:
            yield f"normalisation:{name}", (m[:count], s[:count])
    pairs = list(zip(mean, std, strict=True))
    # In 0..1 units, as most code does it, and in pixel units.
    yield "normalised_twice", (tuple(m + s * m / 255 for m, s in pairs), tuple(s * s / 255 for s in std))
    yield "normalised_twice", (tuple(m + s * m for m, s in pairs), tuple(s * s for s in std))
