"""Turn raw outputs into probabilities, in float32."""

from __future__ import annotations

import math

import numpy as np

from edgesdk_targets.decode.postprocess import Activation
from edgesdk_targets.tensor import Array


def softmax(values: Array, axis: int = -1) -> Array:
    """Return exp(x) / sum(exp(x)) along `axis`; of log-probabilities it gives the probabilities back."""
    shifted: Array = values - values.max(axis=axis, keepdims=True)
    np.exp(shifted, out=shifted)
    shifted /= shifted.sum(axis=axis, keepdims=True)
    return shifted


def sigmoid(values: Array) -> Array:
    """Return 1 / (1 + exp(-x)) without overflow."""
    result: Array = 0.5 * (1.0 + np.tanh(0.5 * values))
    return result


def activate(values: Array, activation: Activation, axis: int = -1) -> Array:
    """Apply `activation`; the result is new memory unless it is `none`."""
    if activation == "softmax":
        return softmax(values, axis)
    return sigmoid(values) if activation == "sigmoid" else values


def logit(probability: float) -> float:
    """Return the raw output whose sigmoid is `probability`."""
    if probability <= 0.0:
        return -math.inf
    return math.inf if probability >= 1.0 else math.log(probability / (1.0 - probability))


def activation_of(name: str, given: Activation | None) -> Activation:
    """Return what makes probabilities of an output: the card's word, else what its name says, else softmax."""
    if given is not None:
        return given
    words = name.lower()
    # "log_probs" needs the softmax: it gives the probabilities back.
    return "none" if ("prob" in words and "log" not in words) or "softmax" in words else "softmax"
