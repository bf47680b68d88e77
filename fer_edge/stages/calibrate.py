"""From logits to calibrated probabilities.

Temperature scaling (Guo et al. 2017, On Calibration of Modern Neural Networks) divides the logits by one
number. It is fitted on held-out data and stored in the model's spec. It never changes which expression is the
most probable. A model has two temperatures. Where people disagree, the share of people who name an expression
differs from the probability that the majority names it, and one temperature cannot fit both.
"""

import numpy as np

from fer_edge.arrays import F32


def softmax(logits: F32, temperature: float) -> F32:
    """Returns probabilities float32 [N, C] from logits float32 [N, C]; rows sum to 1, N may be 0."""
    # The largest logit is subtracted first, because exp() overflows float32 from 89 on.
    # Differences that overflow have probability 0, like all large ones.
    with np.errstate(over="ignore"):
        shifted = (logits - logits.max(axis=1, keepdims=True)) / np.float32(temperature)
    powers: F32 = np.exp(shifted, dtype=np.float32)
    powers /= powers.sum(axis=1, keepdims=True)
    return powers
