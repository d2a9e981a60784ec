"""The one path from a T1 to a synthetic T2 and its predicted error; panel, worker, shell, training and judging all call it."""

from __future__ import annotations

import datetime
import functools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from . import __version__
from .checks import check_input, check_model, check_reference, refuse_if_red, refuse_unfit_mask
from .device import Device, choose_device, is_out_of_memory
from .errors import DeviceFailure, UnsuitableVolume
from .head import Head, find_head
from .model import Model, load_model
from .preprocessing import Planes
from .reference import compare
from .resampling import resample_mask
from .translation import DISCLAIMER, MARK, UNIT, Check, Progress, Translation, ignore_progress
from .volume import Volume

# How far the progress has come when the planes are prepared, and when the network is through.
_PREPARED, _PREDICTED = 0.05, 0.95
_LARGEST_INT16 = np.iinfo(np.int16).max
_PARTIAL = "Only a region of interest was translated: elsewhere the image is 0, which says nothing about the head."


def translate(
    volume: Volume,
    model: Model | str | Path = "t1_to_t2",
    *,
    mask: Volume | None = None,
    region: Volume | None = None,
    reference: Volume | None = None,
    device: str = "auto",
    accept_any_input: bool = False,
    progress: Progress = ignore_progress,
) -> Translation:
    """Translate one scan into another contrast, voxel for voxel on its own grid.

    volume: the scan, skull-stripped or whole head, any orientation and spacing.
    model: a `Model`, the name of an installed one, or a bundle's folder.
    mask: non-zero inside the brain, on any grid; the result is 0 outside it.
    region: non-zero where a result is wanted, on any grid: there it is the same as without a region; elsewhere it is 0.
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
    doubts = () if reference is None else check_reference(reference, volume, model.card.target)
    scan = _look_at(volume, mask, region, model, accept_any_input)
    planes = model.preprocessing.prepare(volume, scan.inside, scan.head)
    prediction = _predict_wanted(model, planes, scan, device, _part(progress, _PREPARED, _PREDICTED))
    progress(_PREDICTED, "Putting the result in place")
    synthetic, error = _images(planes, prediction, scan, model.card.target)
    comparison = None
    if reference is not None:
        sequences = model.card.source, model.card.target
        comparison = compare(synthetic, reference, volume, mask, _part(progress, _PREDICTED, 1.0), region, sequences, doubts)
    given = {"mask_given": mask is not None, "region_given": region is not None}
    provenance = _provenance(model, prediction, time.perf_counter() - start) | given
    progress(1.0, "Done")
    warnings = (*(() if region is None else (_PARTIAL,)), *prediction.warnings, *(comparison.warnings if comparison else ()))
    return Translation(synthetic, error, scan.checks, warnings, provenance, comparison)


class _Scan(NamedTuple):
    """What is known of an input before the network runs; inside, wanted: (i, j, k) bool, None for everywhere."""

    volume: Volume
    inside: np.ndarray | None
    wanted: np.ndarray | None
    head: Head
    checks: tuple[Check, ...]


def _look_at(volume: Volume, mask: Volume | None, region: Volume | None, model: Model, accept_any_input: bool) -> _Scan:
    inside, wanted = _place(mask, volume, "mask"), _place(region, volume, "region of interest")
    head = find_head(volume, inside)
    checks = check_input(volume, head, model.card.source) + check_model(model.card, head)
    if not accept_any_input:
        refuse_if_red(checks, volume.name, None if mask is None else mask.name)
    return _Scan(volume, inside, wanted, head, checks)


def _place(mask: Volume | None, volume: Volume, what: str) -> np.ndarray | None:
    """Where a mask or region is not 0, (i, j, k) bool on the grid of `volume`; None without one."""
    if mask is None:
        return None
    refuse_unfit_mask(mask, what)
    return resample_mask(mask, volume)


def _predict_wanted(model: Model, planes: Planes, scan: _Scan, device: str, progress: Progress) -> Prediction:
    """The prediction of those planes that are wanted, 0 in the air around the head."""
    outside = planes.outside()
    touched = None if scan.wanted is None else _touched(planes, scan.wanted, outside, scan.volume.name)
    prediction = predict(model, planes, device, progress, touched)
    prediction.value[outside] = prediction.scale[outside] = 0
    return prediction


def _touched(planes: Planes, wanted: np.ndarray, outside: np.ndarray, name: str) -> np.ndarray:
    """(S,) bool: the planes from which the wanted voxels (i, j, k) are put together; raises UnsuitableVolume for none."""
    seen = (planes.grid.forward(wanted) > 0) & ~outside
    if not seen.any():
        raise UnsuitableVolume(
            f"The region of interest misses the head in '{name}': it holds none of its tissue.",
            "Move it over the head, or choose none.",
        )
    touched: np.ndarray = seen.any(axis=(1, 2))
    return touched


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the network says of every plane: value and expected absolute error, (S, A, R) float32, 1 = brain p99.5."""

    value: np.ndarray
    scale: np.ndarray
    device: Device
    warnings: tuple[str, ...]


def predict(
    model: Model,
    planes: Planes,
    device: str = "auto",
    progress: Progress = ignore_progress,
    touched: np.ndarray | None = None,
) -> Prediction:
    """Run the network over all planes; where memory or precision fails, more carefully, saying so.

    touched: (S,) bool, the planes that are wanted, by default all; others may be left 0.
    """
    warnings: list[str] = []
    chosen = _chosen_device(device, model)
    if chosen.reason:
        warnings.append(chosen.reason)
    while True:
        try:
            value, scale = _run(model, planes, chosen, progress, touched)
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
def _run(
    model: Model, planes: Planes, device: Device, progress: Progress, touched: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    network = _placed(model, device)
    value, scale = np.zeros_like(planes.values), np.zeros_like(planes.values)
    batches = _batches(len(planes), device.batch_size, touched)
    start = time.perf_counter()
    for number, (first, last) in enumerate(batches, 1):
        batch = planes.context(first, last).to(device.torch_device, device.dtype, memory_format=torch.channels_last)
        output = network(batch).cpu()
        value[first:last] = output[:, 0].numpy()
        scale[first:last] = output[:, 1].exp().numpy()
        done = number / len(batches)
        left_s = (time.perf_counter() - start) * (1 - done) / done
        progress(done, f"Translating, about {math.ceil(left_s)} s left")
    return value, scale


def _batches(count: int, size: int, touched: np.ndarray | None) -> list[tuple[int, int]]:
    """First plane and the one after the last of each batch that holds a touched plane.

    They are the batches of all planes: a plane's last digits depend on how many planes are computed beside it.
    """
    batches = [(first, min(first + size, count)) for first in range(0, count, size)]
    return [(first, last) for first, last in batches if touched is None or touched[first:last].any()]


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


def _images(planes: Planes, prediction: Prediction, scan: _Scan, target: str) -> tuple[Volume, Volume]:
    """The synthetic image and its predicted error on the grid of the scan, 0 where they are not wanted."""
    name = f"{scan.volume.name} {MARK} {target}"
    places = [place for place in (scan.inside, scan.wanted) if place is not None]
    kept = np.logical_and.reduce(places) if places else None
    synthetic, error = (_restore(planes, values, kept) for values in (prediction.value, prediction.scale))
    return scan.volume.with_array(synthetic, name), scan.volume.with_array(error, f"{name} predicted error")


def _restore(planes: Planes, values: np.ndarray, kept: np.ndarray | None) -> np.ndarray:
    """(S, A, R), 1 = brain p99.5 -> (i, j, k) int16 in `UNIT`, 0 outside `kept`."""
    array = planes.grid.backward(np.clip(values * np.float32(UNIT), 0, _LARGEST_INT16), np.int16)
    return array if kept is None else np.where(kept, array, np.int16(0))


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
        "error_factor": model.error_factor,
        "source_sequence": model.card.source,
        "target_sequence": model.card.target,
        "device": prediction.device.label,
        "precision": prediction.device.precision,
        "seconds": round(seconds, 3),
        "software": f"T1T2Translation {__version__}",
        "torch": torch.__version__,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
