"""Which device and precision really work here: decided by running the network, not by asking for flags."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass

import torch

from .errors import DeviceFailure
from .network import TranslationNetwork

# bf16 on a CPU must win by this factor in a timed batch; where it is emulated it loses by more.
_CPU_BF16_GAIN = 1.25
_PROBE_SIZE = (2, 128, 128)  # planes, height, width
_TIMED_BATCHES = 5


@dataclass(frozen=True)
class Device:
    """Where and how the network runs. `reason` says in words why not elsewhere, empty if as asked."""

    torch_device: torch.device
    dtype: torch.dtype
    batch_size: int
    reason: str = ""

    @property
    def label(self) -> str:
        """For people: "cpu" or the graphics card's name."""
        if self.torch_device.type == "cuda":
            return torch.cuda.get_device_name(self.torch_device)
        return str(self.torch_device)

    @property
    def precision(self) -> str:
        return str(self.dtype).removeprefix("torch.")

    def place(self, network: TranslationNetwork) -> TranslationNetwork:
        """`network` moved here, in this precision and the memory order in which its convolutions are quickest."""
        network.to(self.torch_device, self.dtype)
        return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # absent from torch's stubs


def choose_device(requested: str, network: TranslationNetwork) -> Device:
    """The `Device` for "auto", "cpu", "cuda", "cuda:n" or "mps", on which a small batch really ran through `network`.

    "auto" falls back to the CPU and says why. Raises DeviceFailure if a device asked for by name does not work.
    """
    if requested == "cpu":
        return _cpu(network)
    candidates = _accelerators() if requested == "auto" else [requested]
    reasons = []
    for name in candidates:
        try:
            return _accelerator(name, network)
        except (RuntimeError, AssertionError, ValueError) as error:  # torch's words for "no such device"
            reasons.append(f"'{name}' does not work ({_first_line(error)}).")
    if requested != "auto":
        raise DeviceFailure(" ".join(reasons), "Choose 'auto' or 'cpu'.")
    return _cpu(network, " ".join(reasons))


def _accelerators() -> list[str]:
    found = ["cuda"] if torch.cuda.is_available() else []
    return found + (["mps"] if torch.backends.mps.is_available() else [])


def _accelerator(name: str, network: TranslationNetwork) -> Device:
    if name.partition(":")[0] not in ("cuda", "mps"):
        raise ValueError("the devices are auto, cpu, cuda, cuda:n and mps")
    torch_device = torch.device(name)
    is_bf16 = torch_device.type == "cuda" and torch.cuda.get_device_capability(torch_device) >= (8, 0)
    device = Device(torch_device, torch.bfloat16 if is_bf16 else torch.float32, batch_size=32)
    if not torch.isfinite(_Trial(network, device).run()).all():
        raise RuntimeError("a test batch gave values that are not finite")
    return device


def _cpu(network: TranslationNetwork, reason: str = "") -> Device:
    full = Device(torch.device("cpu"), torch.float32, batch_size=8, reason=reason)
    has_bf16 = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    if not has_bf16:
        return full
    half = Device(torch.device("cpu"), torch.bfloat16, batch_size=8, reason=reason)
    seconds_full, seconds_half = _best_seconds(_Trial(network, full), _Trial(network, half))
    return half if seconds_full > _CPU_BF16_GAIN * seconds_half else full


class _Trial:
    """A small batch and a copy of the network on a device."""

    def __init__(self, network: TranslationNetwork, device: Device):
        count, height, width = _PROBE_SIZE
        planes = torch.rand(count, network.config.context_planes, height, width)
        self.planes = planes.to(device.torch_device, device.dtype)
        self.network = device.place(copy.deepcopy(network))

    @torch.inference_mode()
    def run(self) -> torch.Tensor:
        """The output, on the CPU: bringing it there waits for the device."""
        return self.network(self.planes).cpu()


def _best_seconds(*trials: _Trial) -> list[float]:
    """Best of five timed batches of each, after one to warm up; taken in turn, so that a busy moment hits all alike."""
    times: list[list[float]] = [[] for _ in trials]
    for _ in range(1 + _TIMED_BATCHES):
        for trial, taken in zip(trials, times, strict=True):
            start = time.perf_counter()
            trial.run()
            taken.append(time.perf_counter() - start)
    return [min(taken[1:]) for taken in times]


def is_out_of_memory(error: BaseException) -> bool:
    """Python and CUDA have a class for it; torch on the CPU and MPS have only words."""
    words = str(error)
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "allocate memory" in words or "out of memory" in words


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0]
