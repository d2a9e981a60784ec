"""What a training computes on: a device that really works, the precision of its products, and the end of its memory."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator

import torch

from ..device import Device, choose_device, is_out_of_memory
from ..errors import DeviceFailure
from ..network import TranslationNetwork
from .recipe import Recipe


def choose_hardware(requested: str, network: TranslationNetwork) -> Device:
    """The device for "auto", "cpu", "cuda", "cuda:n" or "mps"; its dtype is that of the products, weights stay float32.

    Which precision a CPU computes in follows from its instructions alone: a timed trial could choose otherwise another time,
    and the same seed would not give the same weights. Raises DeviceFailure if a device asked for by name does not work.
    """
    device = choose_device(requested, network)
    if device.torch_device.type != "cpu":
        return device
    return dataclasses.replace(device, dtype=torch.bfloat16 if has_bf16_instructions() else torch.float32)


def has_bf16_instructions() -> bool:
    """Whether this CPU multiplies bfloat16 itself; where it is emulated it is slower than float32."""
    asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name)() for name in asked if hasattr(torch.cpu, name))


def autocast(device: Device) -> contextlib.AbstractContextManager[object]:
    """Products in the device's precision, where that is not float32 anyway."""
    if device.dtype == torch.float32:
        return contextlib.nullcontext()
    return torch.autocast(device.torch_device.type, dtype=device.dtype)


@contextlib.contextmanager
def plain_memory_errors(recipe: Recipe, device: Device) -> Iterator[None]:
    """Memory that runs out, of the machine or of its graphics card, as one sentence: DeviceFailure."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise DeviceFailure(
            f"The memory of {device.label} is full; a step takes {recipe.batch_size} patches of {recipe.patch} voxels.",
            "Lower batch_size or patch in the recipe and go on with --resume, or use a larger machine.",
        ) from error
