"""Conv-cut: truncated ConvNeXt, detail extraction, self-attention over space (after arXiv 2504.09077).

In the released code, attention sees [batch, 32]: each picture attends to the other pictures, and with a batch
of one it does nothing. Here it runs over the 4 x 4 spatial positions of one picture, as in the paper's
formula and attention maps. Written from the paper's description alone.
"""

import math

from torch import Tensor, nn
from torch.nn import functional as F

from fer_edge import kernels
from training.data.split import LABELS
from training.models.convnext import ConvNeXt

TOKENS = 4  # a side, after the first separable convolution
# side of the input -> (kernel, stride, padding) of that convolution: 14 -> 4 as published, 7 -> 4 for 56 px
DETAIL = {56: (3, 2, 1), 112: (4, 4, 1), 224: (4, 4, 1)}
HIDDEN = 32  # of the head
HEAD_WIDTH = 32  # channels of one attention head


def separable(c_in: int, c_out: int, kernel: int, stride: int, padding: int) -> nn.Sequential:
    """Depthwise and pointwise convolution with ReLU."""
    return nn.Sequential(
        nn.Conv2d(c_in, c_in, kernel, stride, padding, groups=c_in),
        nn.Conv2d(c_in, c_out, 1),
        nn.ReLU(inplace=True),
    )


class TokenAttention(nn.Module):
    """Multi-head softmax(Q K^T / sqrt(d)) V over the spatial positions of one map, residual, LayerNorm.

    float32 [N, C, H, W] -> [N, C, H, W]. Source: Vaswani et al., "Attention Is All You Need", 2017.
    """

    kernels = "reference"  # what computes the block, see fer_edge.kernels

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = channels // HEAD_WIDTH
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        if self.kernels != "reference":
            layers = (self.qkv, self.out, self.norm)
            weights = kernels.TokenAttentionWeights(*(part for m in layers for part in (m.weight, m.bias)))
            return kernels.token_attention(x, weights, self.heads, self.norm.eps, kernels=self.kernels)
        n, channels, height, width = x.shape
        tokens = x.flatten(2).transpose(1, 2)  # [N, T, C]
        weights, values = self.weights_and_values(tokens)
        mixed = (weights @ values).transpose(1, 2).reshape(n, height * width, channels)
        tokens = self.norm(tokens + self.out(mixed))
        return tokens.transpose(1, 2).reshape(n, channels, height, width)

    def weights_and_values(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Attention weights [N, heads, T, T], rows sum to 1, and values [N, heads, T, d]."""
        n, count, channels = tokens.shape
        parts = self.qkv(tokens).reshape(n, count, 3, self.heads, channels // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        return F.softmax(query @ key.transpose(2, 3) / math.sqrt(query.shape[-1]), dim=-1), value


class ConvCut(nn.Module):
    """float32 [N, channels, size, size], (luma - mean) * scale of the model's spec -> logits float32 [N,
    classes].

    ``det`` and ``attention`` are the ablations of the paper's tables; without detail extraction the map is
    averaged to 4 x 4 positions and projected, so that the attention keeps its tokens.
    """

    def __init__(
        self,
        variant: str = "base",
        size: int = 224,
        channels: int = 1,
        tokens_width: int = 256,
        det: bool = True,
        attention: bool = True,
        drop: float = 0.0,
        layer_scale: float = 1e-6,
        dropout: float = 0.2,
        classes: int = len(LABELS),
    ) -> None:
        super().__init__()
        if tokens_width % HEAD_WIDTH:
            raise ValueError(f"tokens_width must be a multiple of {HEAD_WIDTH}, got {tokens_width}")
        self.size = size
        self.trunk = ConvNeXt(variant, size, channels, drop, layer_scale)
        wide = self.trunk.out_channels
        if det:
            self.detail: nn.Module = separable(wide, tokens_width, *DETAIL[size])
            self.condense: nn.Module = separable(tokens_width, tokens_width, 2, 2, 0)
        else:
            self.detail = nn.Sequential(nn.AdaptiveAvgPool2d(TOKENS), nn.Conv2d(wide, tokens_width, 1))
            self.condense = nn.Identity()
        self.attend: nn.Module = TokenAttention(tokens_width) if attention else nn.Identity()
        self.head = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(tokens_width, HIDDEN),
            nn.ReLU(inplace=True),
            nn.BatchNorm1d(HIDDEN),
            nn.Dropout(dropout / 2),
            nn.Linear(HIDDEN, classes),
        )

    def features(self, x: Tensor) -> Tensor:
        """The mean over space of the attended map, float32 [N, tokens_width]: the input of the head."""
        pooled: Tensor = self.condense(self.attend(self.detail(self.trunk(x)))).mean((2, 3))
        return pooled

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits

    def attention(self, x: Tensor) -> dict[str, Tensor]:
        """Maps of where the blocks look: trunk [N, H, W], mean square over the channels; tokens [N, 4, 4],
        the attention that each position receives, mean over heads and queries.
        """
        textured = self.trunk(x)
        maps = {"trunk": textured.square().mean(1)}
        if isinstance(self.attend, TokenAttention):
            tokens = self.detail(textured).flatten(2).transpose(1, 2)
            weights, _ = self.attend.weights_and_values(tokens)
            maps["tokens"] = weights.mean((1, 2)).reshape(-1, TOKENS, TOKENS)
        return maps
