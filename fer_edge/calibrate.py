"""Logits to probabilities that mean what they say.

Temperature scaling (Guo et al. 2017, On Calibration of Modern Neural Networks): one number, fitted on
held-out data and carried in the model's spec, divides the logits. It never changes which expression is the
most probable. A model has two: where people disagree, the share of them who would name an expression and the
chance that the majority names it are different numbers, and one temperature cannot fit both.
"""

import numpy as np

from fer_edge.arrays import F32


def softmax(logits: F32, temperature: float) -> F32:
    """Returns probabilities float32 [N, C] from logits float32 [N, C]; rows sum to 1, N may be 0."""
    # The largest logit is taken off first: exp() of it would overflow float32 from 89 on.
    shifted = logits - logits.max(axis=1, keepdims=True)
    powers: F32 = np.exp(shifted / np.float32(temperature), dtype=np.float32)
    powers /= powers.sum(axis=1, keepdims=True)
    return powers
