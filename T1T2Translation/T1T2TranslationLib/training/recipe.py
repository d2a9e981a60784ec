"""A recipe: everything that a training run needs to know, with its reasons, read from TOML."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import UnsuitableTrainingData
from ..network import NetworkConfig

# Names of the BraTS 2023 files -> what people call the sequences.
SEQUENCES = {"t1n": "T1", "t1c": "T1 with contrast agent", "t2w": "T2", "t2f": "FLAIR"}


@dataclass(frozen=True)
class LossWeights:
    """How the losses are combined in proportion; zero leaves one out."""

    mae: float = 1.0
    mse: float = 0.0
    ssim: float = 0.25  # structure; a fifth to a third of MAE is the usual proportion
    gradient: float = 0.1  # edges
    laplace: float = 0.1  # teaches the error output only: the value's residual is detached


@dataclass(frozen=True)
class Augmentation:
    """Ranges of what is varied; unseen scanners, not training time, are the bottleneck."""

    flip: float = 0.5  # share of samples mirrored left to right
    shift: float = 0.1  # of the plane's half width and height
    rotation_degrees: float = 20.0
    zoom: float = 0.2  # voxels of 0.7 to 1.3 mm enter the network as they are
    deformation: float = 0.04  # of the plane's half width, smooth
    gamma: float = 0.35
    gain: float = 0.12
    bias_field: float = 0.3
    noise: float = 0.05  # white matter = 1
    blur_sigma: float = 1.0  # voxels
    lesions: float = 0.3  # share of samples that get a painted lesion, dark in T1 and bright in T2
    thick_slices: float = 0.4  # share of samples whose neighbouring planes tell less than their own


@dataclass(frozen=True)
class Recipe:
    """One training run.

    source, target: names of the images in the data list, as BraTS 2023 calls them.
    minutes: wall clock; learning rate and time end together.
    """

    name: str = "t1_to_t2"
    source: str = "t1n"
    target: str = "t2w"
    licence: str = "not stated"  # of the weights, which the owner of the data has to choose
    network: NetworkConfig = field(default_factory=NetworkConfig)
    losses: LossWeights = field(default_factory=LossWeights)
    augmentation: Augmentation = field(default_factory=Augmentation)
    minutes: float = 30.0
    batch_size: int = 16
    patch: int = 192  # voxels; holds a whole brain in plane
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.01
    average_decay: float = 0.999  # of the weights' exponential moving average, which is what is kept
    painted_share: float = 0.0  # of the first samples, painted from label maps; on one held-out fold 0.5 gave no gain
    painting_ends: float = 0.6  # ... falling to none at this share of the run: real scans have the last word
    tumour_weight: float = 3.0
    background_weight: float = 0.2  # of what lies outside the brain in a whole head, and of air
    checkpoint_minutes: float = 2.0
    seed: int = 2020


def read_recipe(path: Path) -> Recipe:
    """The recipe in a TOML file: a diff against the defaults. Raises UnsuitableTrainingData for unknown names or values."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        recipe = _build(Recipe, table)
    except (OSError, tomllib.TOMLDecodeError, TypeError, ValueError) as error:
        raise UnsuitableTrainingData(f"The recipe '{path.name}' cannot be used: {error}.", "See docs/method.md.") from error
    for sequence in (recipe.source, recipe.target):
        if sequence not in SEQUENCES:
            raise UnsuitableTrainingData(
                f"The recipe '{path.name}' names the sequence '{sequence}'; one of {', '.join(SEQUENCES)} is needed."
            )
    return recipe


_PARTS = {"network": NetworkConfig, "losses": LossWeights, "augmentation": Augmentation}


def _build(cls: type, table: dict[str, Any]) -> Any:
    known = {entry.name for entry in dataclasses.fields(cls)}
    unknown = sorted(set(table) - known)
    if unknown:
        raise ValueError(f"unknown {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    return cls(**{key: _build(_PARTS[key], value) if key in _PARTS else value for key, value in table.items()})
