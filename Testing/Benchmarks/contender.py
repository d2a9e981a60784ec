"""One contender translates one scan from file to file in a process of its own, and says where the time and the memory went.

`python contender.py NAME SCAN [--device cpu] [--slices N]` prints one JSON object. Peers that work slice by slice may be given
only some slices of a large volume; their network stage is then multiplied, which their loops' equal steps allow.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import machine
import numpy as np

Stages = dict[str, float]
PEERS = ("MONAI BasicUNet", "pix2pix U-Net-256", "pGAN ResNet-9", "FCN-8s VGG16")
OURS = ("ours, float32", "ours")


class Clock:
    """Seconds of named stages."""

    def __init__(self):
        self.stages: Stages = {}

    def time(self, stage: str, action: Callable[[], Any]) -> Any:
        """What `action` gives; how long it took is kept."""
        start = time.perf_counter()
        result = action()
        self.stages[stage] = time.perf_counter() - start
        return result


def run_ours(name: str, scan: Path, device: str) -> dict[str, Any]:
    clock = Clock()
    clock.time("import", lambda: __import__("T1T2TranslationLib.inference"))
    from T1T2TranslationLib import device as devices
    from T1T2TranslationLib import inference, io
    from T1T2TranslationLib.model import load_model

    if name == "ours, float32":
        devices._CPU_BF16_GAIN = float("inf")
    model = clock.time("load model", lambda: load_model("t1_to_t2"))
    volume = clock.time("read", lambda: io.read_volume(scan))
    clock.time("first translate", lambda: inference.translate(volume, model, device=device, accept_any_input=True))
    _reset_gpu()
    made = clock.time("translate", lambda: inference.translate(volume, model, device=device, accept_any_input=True))
    planes = clock.time("preprocess", lambda: model.preprocessing.prepare(volume))
    prediction = clock.time("network", lambda: inference.predict(model, planes, device))
    clock.time("restore", lambda: [inference._restore(planes, one, None) for one in (prediction.value, prediction.scale)])
    outside = clock.time("find air", planes.outside)
    clock.stages["restore"] += clock.stages.pop("find air")
    assert outside.shape == planes.values.shape
    clock.time("write", lambda: io.write_volume(made.synthetic, scan.with_name("ours.nii.gz")))
    return {
        "stages": clock.stages,
        "precision": made.provenance["precision"],
        "gflop": _gflop_of_ours(model, planes),
        "planes": list(planes.values.shape),
    }


def _gflop_of_ours(model: Any, planes: Any) -> float:
    """Of all planes of the volume."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        model.network(planes.context(0, 1))
    return counter.get_total_flops() * len(planes) / 1e9


def run_peer(name: str, scan: Path, device: str, slices: int) -> dict[str, Any]:
    clock = Clock()
    torch = clock.time("import", lambda: __import__("torch"))
    network, infer = clock.time("load model", lambda: _peer(name))
    network = network.eval().to(device)
    import SimpleITK as sitk

    image = clock.time("read", lambda: sitk.ReadImage(str(scan)))
    stack = clock.time("preprocess", lambda: _as_slices(sitk.GetArrayFromImage(image), network.stride))
    part = stack[:: max(1, len(stack) // slices)][:slices] if slices else stack
    with torch.inference_mode():
        infer(network, part[:1].to(device))
        _reset_gpu()
        made = clock.time("network", lambda: infer(network, part.to(device)).cpu())
    share = len(part) / len(stack)
    clock.stages["network"] /= share
    result = torch.zeros_like(stack)
    result[: len(part)] = made
    restored = clock.time("restore", lambda: _as_image(result.numpy(), image))
    clock.time("write", lambda: sitk.WriteImage(restored, str(scan.with_name("peer.nii.gz")), useCompression=True))
    clock.stages["translate"] = sum(clock.stages[stage] for stage in ("preprocess", "network", "restore"))
    return {"stages": clock.stages, "precision": "float32", "share of slices": share}


def _peer(name: str) -> tuple[Any, Callable[[Any, Any], Any]]:
    """The network, and how its authors run it over a stack (n, 1, h, w)."""
    import torch

    if name == "MONAI BasicUNet":
        from monai.inferers import SlidingWindowInferer
        from monai.networks.nets import BasicUNet

        network = BasicUNet(spatial_dims=2, in_channels=1, out_channels=1)
        network.stride = 16

        def windows(net: Any, stack: Any) -> Any:
            """Windows of a whole slice, the fewest there can be: the most favourable that the tutorials' inferer does."""
            return SlidingWindowInferer(roi_size=stack.shape[2:], sw_batch_size=8, overlap=0.25)(stack, net)

        return network, windows
    from peers import FCN8s, Pix2PixUNet, ResNetGenerator

    kind = {"pix2pix U-Net-256": Pix2PixUNet, "pGAN ResNet-9": ResNetGenerator, "FCN-8s VGG16": FCN8s}[name]
    return kind(), lambda net, stack: torch.cat([net(stack[index : index + 1]) for index in range(len(stack))])


def _as_slices(array: np.ndarray, stride: int) -> Any:
    """(k, j, i) -> (k, 1, h, w) float32 in 0..1, each side padded to a multiple of `stride`."""
    import torch

    scaled = array.astype(np.float32) / np.float32(np.percentile(array, 99.5))
    pads = [(0, -size % stride) for size in array.shape[1:]]
    return torch.from_numpy(np.pad(scaled, [(0, 0), *pads])[:, None])


def _as_image(stack: np.ndarray, like: Any) -> Any:
    import SimpleITK as sitk

    width, height, depth = like.GetSize()
    image = sitk.GetImageFromArray(np.clip(stack[:depth, 0, :height, :width] * 1000, 0, 32767).astype(np.int16))
    image.CopyInformation(like)
    return image


def _reset_gpu() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=[*PEERS, *OURS])
    parser.add_argument("scan", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--slices", type=int, default=0, help="give a peer so many slices only; 0: all")
    options = parser.parse_args()
    if options.name in OURS:
        result = run_ours(options.name, options.scan, options.device)
    else:
        result = run_peer(options.name, options.scan, options.device, options.slices)
    result["peak memory, GiB"] = machine.own_peak_gib()
    torch = sys.modules["torch"]
    if options.device != "cpu":
        result["peak GPU memory, GiB"] = torch.cuda.max_memory_allocated() / 2**30
    result["threads"] = torch.get_num_threads()
    print(json.dumps(result), flush=True)
    os._exit(0)  # nothing is left to do, and libraries' ends take their time


if __name__ == "__main__":
    main()
