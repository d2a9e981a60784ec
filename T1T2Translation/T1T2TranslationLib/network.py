"""The fully convolutional network: a few neighbouring planes of one sequence in, one plane of another and its error out.

Two presets of one family (Long, Shelhamer and Darrell, "Fully convolutional networks for semantic segmentation", CVPR 2015):
`unet` is the one to use, `fcn8s` stands for the network of the 2020 study that this project continues.

```
planes (N, C, H, W)                                                value, log_scale (N, 2, H, W)
   | unshuffle 2                                                        ^ shuffle 2
  [w0] ------------------------------ fuse ------------------------- [w0]     H/2
   | down                                                            up ^
  [w1] ---------------------- fuse --------------------------------- [w1]     H/4
   | down                                                            up ^
  [w2] -------------- fuse ----------------------------------------- [w2]     H/8
   | down                                                            up ^
  [w3] -------------------------------------------------------------- +       H/16
```
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

# The second output is log(scale); this range keeps its exponent harmless in bf16 and never binds in a trained network.
_LOG_SCALE_RANGE = (-7.0, 1.0)
# A description of a wider network is damaged, and would fill the memory before its weights are looked at.
_WIDEST = 1024


@dataclass(frozen=True)
class NetworkConfig:
    """Everything that gives a state dictionary its meaning.

    preset: "unet" or "fcn8s".
    context_planes: how many neighbouring planes (odd) enter as channels; the middle one is translated.
    widths: channels at H/2, H/4, H/8, H/16 (`unet`), or of the five stages of `fcn8s`.

    Raises ValueError for a combination that is none.
    """

    preset: Preset = "unet"
    context_planes: int = 5
    widths: tuple[int, ...] = (32, 64, 128, 192)

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(int(width) for width in self.widths))
        if self.context_planes < 1 or self.context_planes % 2 == 0:
            raise ValueError(f"context_planes is {self.context_planes}; an odd number is needed")
        if self.preset not in PRESETS:
            raise ValueError(f"preset is {self.preset!r}; one of {', '.join(PRESETS)} is needed")
        levels = PRESETS[self.preset].levels
        if len(self.widths) != levels or not all(1 <= width <= _WIDEST for width in self.widths):
            raise ValueError(f"widths are {self.widths}; {levels} numbers from 1 to {_WIDEST} are needed")

    def as_arguments(self) -> dict:
        """Keyword arguments of `TranslationNetwork`, as plain JSON values."""
        return asdict(self) | {"widths": list(self.widths)}


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al. 2016), without normalisation: absolute intensity carries meaning here.

    The second convolution starts at zero, so that a deep stack starts as the identity (Zhang et al., "Fixup", 2019).
    """

    def __init__(self, width: int):
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) -> (N, width, H, W)."""
        return x + self.second(functional.relu(self.first(functional.relu(x))))


class Fuse(nn.Module):
    """Doubles a deep map's size and adds it to a shallow one; bilinear, since transposed convolution leaves a checkerboard."""

    def __init__(self, deep: int, shallow: int):
        super().__init__()
        self.project = nn.Conv2d(deep, shallow, 1)

    def forward(self, deep: Tensor, shallow: Tensor) -> Tensor:
        """(N, deep, H, W), (N, shallow, 2H, 2W) -> (N, shallow, 2H, 2W)."""
        return shallow + functional.interpolate(self.project(deep), scale_factor=2, mode="bilinear")


class UNet(nn.Module):
    """U-shaped encoder and decoder (Ronneberger et al. 2015) behind a pixel-unshuffle stem (Shi et al. 2016)."""

    levels = 4
    stride = 16

    def __init__(self, context_planes: int, widths: tuple[int, ...]):
        super().__init__()
        self.stem = nn.Conv2d(4 * context_planes, widths[0], 3, padding=1)
        self.encoders = nn.ModuleList(ResidualBlock(width) for width in widths)
        self.downs = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in itertools.pairwise(widths))
        self.fuses = nn.ModuleList(Fuse(b, a) for a, b in itertools.pairwise(widths))
        self.decoders = nn.ModuleList(ResidualBlock(width) for width in widths[:-1])
        self.head = nn.Conv2d(widths[0], 4 * 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, context_planes, H, W) with H, W multiples of 16 -> (N, 2, H, W)."""
        x = self.encoders[0](self.stem(functional.pixel_unshuffle(x, 2)))  # (N, w0, H/2, W/2)
        skips = []
        for down, encoder in zip(self.downs, self.encoders[1:], strict=True):
            skips.append(x)
            x = encoder(down(x))
        for fuse, decoder in zip(reversed(self.fuses), reversed(self.decoders), strict=True):
            x = decoder(fuse(x, skips.pop()))
        return functional.pixel_shuffle(self.head(functional.relu(x)), 2)


class FCN8s(nn.Module):
    """Long et al.'s FCN-8s with slim VGG-like stages: scores at H/8, H/16 and H/32 summed and enlarged."""

    levels = 5
    stride = 32

    def __init__(self, context_planes: int, widths: tuple[int, ...]):
        super().__init__()
        inputs = (context_planes, *widths)
        self.stages = nn.ModuleList(_vgg_stage(a, b) for a, b in zip(inputs, widths, strict=False))
        self.scores = nn.ModuleList(nn.Conv2d(width, 2, 1) for width in widths[-3:])

    def forward(self, x: Tensor) -> Tensor:
        """(N, context_planes, H, W) with H, W multiples of 32 -> (N, 2, H, W)."""
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        shallow, middle, deep = (score(m) for score, m in zip(self.scores, maps[-3:], strict=True))
        middle = middle + functional.interpolate(deep, scale_factor=2, mode="bilinear")
        shallow = shallow + functional.interpolate(middle, scale_factor=2, mode="bilinear")
        return functional.interpolate(shallow, scale_factor=8, mode="bilinear")


def _vgg_stage(inputs: int, outputs: int) -> nn.Sequential:
    """Two 3x3 convolutions and a 2x2 maximum (Simonyan and Zisserman 2015)."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )


Preset = Literal["unet", "fcn8s"]
PRESETS: dict[str, type[UNet] | type[FCN8s]] = {"unet": UNet, "fcn8s": FCN8s}


class TranslationNetwork(nn.Module):
    """The one network of this project: a preset behind a padding that accepts any in-plane size.

    Arguments as in `NetworkConfig`; raises ValueError for a combination that is none.
    """

    def __init__(self, preset: Preset = "unet", context_planes: int = 5, widths: Sequence[int] = (32, 64, 128, 192)):
        super().__init__()
        self.config = NetworkConfig(preset, context_planes, tuple(widths))
        self.body = PRESETS[preset](context_planes, self.config.widths)

    def forward(self, planes: Tensor) -> Tensor:
        """(N, context_planes, H, W) -> (N, 2, H, W) float32: value, and log(scale) of its Laplace-distributed error."""
        height, width = planes.shape[-2:]
        stride = PRESETS[self.config.preset].stride
        below, right = -height % stride, -width % stride
        output = self.body(functional.pad(planes, (0, right, 0, below)))[..., :height, :width].float()
        value, log_scale = output.split(1, dim=1)
        return torch.cat([value, torch.clamp(log_scale, *_LOG_SCALE_RANGE)], dim=1)
