"""The one path from a T1 to a synthetic T2 and its predicted error; panel, worker, shell, training and judging all call it."""

from __future__ import annotations

import datetime
import functools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from . import __version__
from .checks import check_input, check_reference, refuse_if_red, refuse_unfit_mask
from .device import Device, choose_device, is_out_of_memory
from .errors import DeviceFailure
from .head import find_head
from .model import Model, load_model
from .preprocessing import Planes
from .reference import compare
from .resampling import resample_mask
from .translation import DISCLAIMER, MARK, UNIT, Progress, Translation, ignore_progress
from .volume import Volume

# How far the progress has come when the planes are prepared, and when the network is through.
_PREPARED, _PREDICTED = 0.05, 0.95
_LARGEST_INT16 = np.iinfo(np.int16).max


def translate(
    volume: Volume,
    model: Model | str | Path = "t1_to_t2",
    *,
    mask: Volume | None = None,
    reference: Volume | None = None,
    device: str = "auto",
    accept_any_input: bool = False,
    progress: Progress = ignore_progress,
) -> Translation:
    """Translate one scan into another contrast, voxel for voxel on its own grid.

    volume: the scan, skull-stripped or whole head, any orientation and spacing.
    model: a `Model`, the name of an installed one, or a bundle's folder.
    mask: non-zero inside the brain, on any grid; the result is 0 outside it.
    reference: a real image of the target contrast of the same patient; registered where its grid differs, and compared.
    device: "auto", "cpu", "cuda", "cuda:n" or "mps".
    accept_any_input: translate even what the input checks refuse.
    progress: called with (fraction, message); may raise `Cancelled`.

    Raises UnsuitableVolume, UnsuitableModel, DeviceFailure or Cancelled; nothing is written anywhere.
    """
    start = time.perf_counter()
    progress(0.0, "Loading the model")
    if not isinstance(model, Model):
        model = load_model(model)
    progress(0.01, "Looking at the scan")
    if mask is not None:
        refuse_unfit_mask(mask)
    inside = None if mask is None else resample_mask(mask, volume)
    warnings = () if reference is None else check_reference(reference, volume, model.card.target)
    head = find_head(volume, inside)
    checks = check_input(volume, head, model.card.source)
    if not accept_any_input:
        refuse_if_red(checks, volume.name)
    planes = model.preprocessing.prepare(volume, inside, head)
    prediction = predict(model, planes, device, _part(progress, _PREPARED, _PREDICTED))
    outside = planes.outside()
    prediction.value[outside] = prediction.scale[outside] = 0
    progress(_PREDICTED, "Putting the result in place")
    target = model.card.target
    synthetic = volume.with_array(_restore(planes, prediction.value, inside), f"{volume.name} {MARK} {target}")
    error = volume.with_array(_restore(planes, prediction.scale, inside), f"{volume.name} {MARK} {target} predicted error")
    comparison = None
    if reference is not None:
        comparison = compare(synthetic, reference, volume, mask, _part(progress, _PREDICTED, 1.0))
        warnings += comparison.warnings
    seconds = time.perf_counter() - start
    progress(1.0, "Done")
    return Translation(
        synthetic=synthetic,
        predicted_error=error,
        checks=checks,
        warnings=prediction.warnings + warnings,
        provenance=_provenance(model, prediction, seconds) | {"mask_given": mask is not None},
        comparison=comparison,
    )


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the network says of every plane: value and expected absolute error, (S, A, R) float32, 1 = brain p99.5."""

    value: np.ndarray
    scale: np.ndarray
    device: Device
    warnings: tuple[str, ...]


def predict(model: Model, planes: Planes, device: str = "auto", progress: Progress = ignore_progress) -> Prediction:
    """Run the network over all planes; where memory or precision fails, more carefully, saying so."""
    warnings: list[str] = []
    chosen = _chosen_device(device, model)
    if chosen.reason:
        warnings.append(chosen.reason)
    while True:
        try:
            value, scale = _run(model, planes, chosen, progress)
        except RuntimeError as error:
            if is_out_of_memory(error):
                full, chosen = chosen, _with_less_memory(chosen)
                warnings.append(f"The memory of {full.label} was full; went on with {_manner(chosen)}.")
                continue
            if chosen.torch_device.type == "cpu":
                raise DeviceFailure(f"The network failed on the CPU ({_first_line(error)}).", "Send the log.") from error
            chosen = Device(torch.device("cpu"), torch.float32, batch_size=8)
            warnings.append(f"The graphics card failed ({_first_line(error)}); went on with {_manner(chosen)}.")
            continue
        if np.isfinite(value).all() and np.isfinite(scale).all():
            return Prediction(value, scale * np.float32(model.error_factor), chosen, tuple(warnings))
        if chosen.dtype == torch.float32:
            raise DeviceFailure(
                f"The network gave values that are not finite on {chosen.label}.", "Choose the device 'cpu', or another model."
            )
        chosen = Device(chosen.torch_device, torch.float32, chosen.batch_size)
        warnings.append(f"Values were not finite in half precision; went on with {_manner(chosen)}.")


@functools.lru_cache(maxsize=8)
def _chosen_device(device: str, model: Model) -> Device:
    """The trial that chooses a device is made once per model and process."""
    return choose_device(device, model.network)


@torch.inference_mode()
def _run(model: Model, planes: Planes, device: Device, progress: Progress) -> tuple[np.ndarray, np.ndarray]:
    network = _placed(model, device)
    value, scale = np.empty_like(planes.values), np.empty_like(planes.values)
    start = time.perf_counter()
    for first in range(0, len(planes), device.batch_size):
        last = min(first + device.batch_size, len(planes))
        batch = planes.context(first, last).to(device.torch_device, device.dtype, memory_format=torch.channels_last)
        output = network(batch).cpu()
        value[first:last] = output[:, 0].numpy()
        scale[first:last] = output[:, 1].exp().numpy()
        done = last / len(planes)
        left_s = (time.perf_counter() - start) * (1 - done) / done
        progress(done, f"Translating, about {math.ceil(left_s)} s left")
    return value, scale


@functools.lru_cache(maxsize=4)
def _placed(model: Model, device: Device) -> torch.nn.Module:
    """A copy of the network on `device`; the model itself stays on the CPU in float32."""
    copy = type(model.network)(**model.network.config.as_arguments())
    copy.load_state_dict(model.network.state_dict())
    return device.place(copy).eval()


def _with_less_memory(device: Device) -> Device:
    """Half the batch; with one plane left, the CPU; raises DeviceFailure where that is too much."""
    if device.batch_size > 1:
        return Device(device.torch_device, device.dtype, device.batch_size // 2)
    if device.torch_device.type == "cpu":
        raise DeviceFailure("The network needs more memory than there is, even for one plane.", "Close other programs.")
    return Device(torch.device("cpu"), torch.float32, batch_size=8)


def _manner(device: Device) -> str:
    return f"{device.batch_size} planes at a time on {device.label} in {device.precision}"


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0]


def _restore(planes: Planes, values: np.ndarray, inside: np.ndarray | None) -> np.ndarray:
    """(S, A, R), 1 = brain p99.5 -> (i, j, k) int16 in `UNIT`, 0 outside `inside`."""
    array = planes.grid.backward(np.clip(values * np.float32(UNIT), 0, _LARGEST_INT16), np.int16)
    return array if inside is None else np.where(inside, array, np.int16(0))


def _part(progress: Progress, start: float, end: float) -> Callable[[float, str], None]:
    """A progress that fills only from `start` to `end` of another."""
    return lambda fraction, message: progress(start + (end - start) * fraction, message)


def _provenance(model: Model, prediction: Prediction, seconds: float) -> dict[str, Any]:
    return {
        "mark": MARK,
        "disclaimer": DISCLAIMER,
        "unit": f"{UNIT} = 99.5th percentile of {model.card.target} over the brain",
        "model": model.card.name,
        "model_version": model.card.version,
        "weights_sha256": model.card.sha256,
        "source_sequence": model.card.source,
        "target_sequence": model.card.target,
        "device": prediction.device.label,
        "precision": prediction.device.precision,
        "seconds": round(seconds, 3),
        "software": f"T1T2Translation {__version__}",
        "torch": torch.__version__,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
