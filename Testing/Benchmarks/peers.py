"""What a user would otherwise write: published networks, as published, with random weights, which are as fast as trained ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Pix2PixUNet(nn.Module):
    """The generator "unet_256" of Isola et al. 2017 (pix2pix): eight times down and up, skips, batch normalisation."""

    stride = 256

    def __init__(self, width: int = 64):
        super().__init__()
        widths = [width, 2 * width, 4 * width] + [8 * width] * 5
        self.down = nn.ModuleList()
        for index, (before, after) in enumerate(zip([1, *widths], widths, strict=False)):
            is_normal = 0 < index < len(widths) - 1
            self.down.append(
                nn.Sequential(
                    nn.LeakyReLU(0.2) if index else nn.Identity(),
                    nn.Conv2d(before, after, 4, 2, 1, bias=not is_normal),
                    nn.BatchNorm2d(after) if is_normal else nn.Identity(),
                )
            )
        self.up = nn.ModuleList()
        for index in reversed(range(len(widths))):
            before = widths[index] * (1 if index == len(widths) - 1 else 2)
            after = widths[index - 1] if index else 1
            tail = nn.BatchNorm2d(after) if index else nn.Tanh()
            self.up.append(nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(before, after, 4, 2, 1), tail))

    def forward(self, image: Tensor) -> Tensor:
        """(n, 1, h, w) -> (n, 1, h, w); h and w are multiples of 256."""
        kept = []
        for down in self.down:
            image = down(image)
            kept.append(image)
        image = self.up[0](kept.pop())
        for up in self.up[1:]:
            image = up(torch.cat([kept.pop(), image], dim=1))
        return image


class ResNetGenerator(nn.Module):
    """The generator of pGAN (Dar et al. 2019), after Johnson et al. 2016: nine residual blocks at a quarter of the resolution."""

    stride = 4

    def __init__(self, width: int = 64, blocks: int = 9):
        super().__init__()

        def step(layer: nn.Module, channels: int) -> list[nn.Module]:
            return [layer, nn.BatchNorm2d(channels), nn.ReLU()]

        layers = [nn.ReflectionPad2d(3), *step(nn.Conv2d(1, width, 7), width)]
        for factor in (1, 2):
            layers += step(nn.Conv2d(width * factor, width * factor * 2, 3, 2, 1), width * factor * 2)
        layers += [_Residual(4 * width) for _ in range(blocks)]
        for factor in (4, 2):
            after = width * factor // 2
            layers += step(nn.ConvTranspose2d(width * factor, after, 3, 2, 1, output_padding=1), after)
        self.layers = nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, 1, 7), nn.Tanh())

    def forward(self, image: Tensor) -> Tensor:
        """(n, 1, h, w) -> (n, 1, h, w); h and w are multiples of 4."""
        return self.layers(image)


class _Residual(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        half = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.BatchNorm2d(width)]
        again = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.BatchNorm2d(width)]
        self.layers = nn.Sequential(*half, nn.ReLU(), *again)

    def forward(self, image: Tensor) -> Tensor:
        return image + self.layers(image)


class FCN8s(nn.Module):
    """The network of Long, Shelhamer and Darrell 2015 on VGG16, with one output channel, as the study of 2020 adapted it."""

    stride = 32

    def __init__(self):
        super().__init__()
        stages, before = [], 1
        for width, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
            layers: list[nn.Module] = []
            for _ in range(count):
                layers += [nn.Conv2d(before, width, 3, 1, 1), nn.ReLU()]
                before = width
            stages.append(nn.Sequential(*layers, nn.MaxPool2d(2)))
        self.stages = nn.ModuleList(stages)
        self.dense = nn.Sequential(nn.Conv2d(512, 4096, 7, 1, 3), nn.ReLU(), nn.Conv2d(4096, 4096, 1), nn.ReLU())
        self.scores = nn.ModuleList(nn.Conv2d(width, 1, 1) for width in (256, 512, 4096))

    def forward(self, image: Tensor) -> Tensor:
        """(n, 1, h, w) -> (n, 1, h, w); h and w are multiples of 32."""
        pools = []
        for stage in self.stages:
            image = stage(image)
            pools.append(image)
        score = self.scores[2](self.dense(image))
        for pool, head in ((pools[3], self.scores[1]), (pools[2], self.scores[0])):
            score = functional.interpolate(score, scale_factor=2, mode="bilinear") + head(pool)
        return functional.interpolate(score, scale_factor=8, mode="bilinear")
