"""The showcase: the few slices on which a training run shows what its network has learnt."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from ..metrics import mean_absolute_error, mean_squared_error, structural_similarity_map
from .dataset import Pair

MOST_SIGHTS = 3


@dataclass(frozen=True, eq=False)
class Sight:
    """One axial slice of one subject as it is looked at, and what the network makes of it at one moment of a run.

    source: white matter 1, air 0. prediction, truth: 1 = brain p99.5. region: bool, where errors are measured.
    All (rows from anterior, columns from the patient's right). aspect: a row's height over a column's width.
    step, seconds: of training until then.
    """

    name: str
    source: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray
    region: np.ndarray
    aspect: float
    step: int
    seconds: float

    @property
    def error(self) -> np.ndarray:
        """|prediction - truth| where errors are measured, 0 elsewhere."""
        return np.where(self.region, np.abs(self.prediction - self.truth), 0)

    def scores(self) -> dict[str, float]:
        """MAE, MSE and SSIM over the region; SSIM in the slice alone, with the window of T2P-1."""
        prediction, truth, region = (image[None] for image in (self.prediction, self.truth, self.region))
        return {
            "MAE": mean_absolute_error(prediction, truth, region),
            "MSE": mean_squared_error(prediction, truth, region),
            "SSIM": float(structural_similarity_map(prediction, truth)[region].mean(dtype=np.float64)),
        }

    def packed(self) -> bytes:
        """As the bytes of a small .npz file."""
        buffer = io.BytesIO()
        fields = asdict(self)
        np.savez_compressed(buffer, **fields | {name: fields[name].astype(np.float16) for name in _IMAGES})
        return buffer.getvalue()

    @classmethod
    def unpacked(cls, content: bytes) -> Sight:
        """The sight that `packed` gave."""
        with np.load(io.BytesIO(content), allow_pickle=False) as fields:
            images = {name: fields[name].astype(np.float32) for name in _IMAGES}
            numbers = {name: fields[name].item() for name in ("name", "aspect", "step", "seconds")}
            return cls(**images, **numbers, region=fields["region"])


_IMAGES = ("source", "truth", "prediction")


class Showcase:
    """Up to three subjects, spread over the pairs: of each the slice with the largest lesion, or else with most brain."""

    def __init__(self, pairs: Sequence[Pair]):
        chosen = np.unique(np.linspace(0, len(pairs) - 1, MOST_SIGHTS).round().astype(int))
        self._views = [_view_of(pairs[index]) for index in chosen]

    @torch.no_grad()
    def look(self, network: nn.Module, step: int, seconds: float) -> list[Sight]:
        """Every view through `network` as it is now, in float32, on the device where it lies."""
        was_training = network.training
        parameter = next(network.parameters())
        network.eval()
        sights = []
        for view in self._views:
            value = network(view.planes.to(parameter.device, parameter.dtype))[0, 0].float().cpu().numpy()
            prediction = np.where(view.outside, 0, np.maximum(value, 0)).astype(np.float32)
            sights.append(replace(view.blank, prediction=_as_seen(prediction), step=step, seconds=seconds))
        network.train(was_training)
        return sights


@dataclass(frozen=True, eq=False)
class _View:
    """planes: (1, context, A, R), what the network reads. outside: (A, R) bool, air. blank: the sight before the prediction."""

    planes: Tensor
    outside: np.ndarray
    blank: Sight


def _view_of(pair: Pair) -> _View:
    index = _plane_of(pair)
    middle = replace(pair.planes, values=pair.planes.values[index : index + 1])
    across, along, _ = pair.planes.grid.step_mm
    source, truth = middle.values[0], pair.target[index].astype(np.float32)
    region = pair.weight[index] >= 1
    blank = Sight(
        name=pair.id,
        source=_as_seen(source),
        truth=_as_seen(np.clip(truth, 0, 1)),
        prediction=np.zeros_like(_as_seen(truth)),
        region=_as_seen(region),
        aspect=along / across,
        step=0,
        seconds=0.0,
    )
    return _View(pair.planes.context(index, index + 1), middle.outside()[0], blank)


def _plane_of(pair: Pair) -> int:
    """The plane with the largest lesion; where none is known, that with most brain."""
    if pair.lesion is not None and pair.lesion.any():
        return int(np.argmax(pair.lesion.sum(axis=(1, 2), dtype=np.float64)))
    return int(np.argmax((pair.weight >= 1).sum(axis=(1, 2))))


def _as_seen(plane: np.ndarray) -> np.ndarray:
    """(A, R) -> anterior up, the patient's right on the left."""
    return np.ascontiguousarray(plane[::-1, ::-1])
