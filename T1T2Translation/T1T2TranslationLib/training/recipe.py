"""A recipe: everything that a training run needs to know, with its reasons, read from TOML."""

from __future__ import annotations

import dataclasses
import math
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import UnsuitableTrainingData
from ..network import NetworkConfig
from ..subjects import SEQUENCES

_SHIPPED = Path(__file__).parent / "recipes"
_SMALLEST_PATCH = 16  # voxels; the networks halve it four times and more


def _check(part: Any, positive: tuple[str, ...] = (), shares: tuple[str, ...] = ()) -> None:
    """Raise ValueError for a value of another type than its default, below zero, or out of the range of its kind.

    positive: names of numbers that cannot be zero. shares: of those that are at most one.
    """
    for entry in dataclasses.fields(part):
        value = getattr(part, entry.name)
        wanted = type(entry.default)
        if wanted in (int, float):
            _check_number(entry.name, value, wanted, entry.name in positive, 1.0 if entry.name in shares else math.inf)
        elif wanted in (str, bool) and not isinstance(value, wanted):
            raise ValueError(f"{entry.name} is {value!r}; {'true or false' if wanted is bool else 'a text'} is needed")


def _check_number(name: str, value: object, wanted: type, is_positive: bool, highest: float) -> None:
    numbers = (int, float) if wanted is float else (int,)
    if isinstance(value, bool) or not isinstance(value, numbers):
        raise ValueError(f"{name} is {value!r}; {'a number' if wanted is float else 'a whole number'} is needed")
    if not 0 <= value <= highest or (is_positive and value == 0) or math.isinf(value):
        wanted_range = "from 0 to 1" if highest == 1 else "of at least 0"
        raise ValueError(f"{name} is {value}; a number {wanted_range}{', but not 0,' if is_positive else ''} is needed")


@dataclass(frozen=True)
class LossWeights:
    """How the losses are combined in proportion; zero leaves one out."""

    def __post_init__(self) -> None:
        _check(self)

    mae: float = 1.0
    mse: float = 0.0
    ssim: float = 0.25  # structure; a fifth to a third of MAE is the usual proportion
    gradient: float = 0.1  # edges
    lesion: float = 0.1  # the mean over a lesion, so that an unsure one does not fade
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
    bend: float = 0.06  # of the curve between air and white matter, white matter = 1
    gain: float = 0.12
    bias_field: float = 0.3
    noise: float = 0.05  # white matter = 1
    blur_sigma: float = 1.0  # voxels
    painted_lesions: float = 0.15  # share of samples that get a painted lesion, dark in T1 and bright in T2
    painted_oedema: float = 0.0  # share of samples with water in their white matter, dark in T1 and bright in T2
    transplants: float = 0.5  # share of those without a painted lesion that get another patient's lesion
    faintest_transplant: float = 1.0  # how much of its input is seen at least, beside its target
    thick_slices: float = 0.4  # share of samples whose neighbouring planes tell less than their own

    def __post_init__(self) -> None:
        _check(self, shares=("flip", "painted_lesions", "painted_oedema", "transplants", "faintest_transplant", "thick_slices"))


@dataclass(frozen=True)
class Sweep:
    """Several models that differ in one number; the best by patients held out is kept (`t1t2 train --sweep`)."""

    learning_rates: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "learning_rates", tuple(float(rate) for rate in self.learning_rates))
        if not all(rate > 0 for rate in self.learning_rates):
            raise ValueError(f"learning_rates are {self.learning_rates}; positive numbers are needed")


@dataclass(frozen=True)
class Recipe:
    """One training run.

    source, target: names of the images in the data list, as BraTS 2023 calls them.
    minutes: wall clock; learning rate and time end together. With `steps` or `epochs` they end after so many steps instead.
    """

    name: str = "t1_to_t2"
    source: str = "t1n"
    target: str = "t2w"
    licence: str = "not stated"  # of the weights, which the owner of the data has to choose
    authors: str = "not stated"  # who trained it, as the model's card names them
    continues: bool = False  # whether it is made for the weights of a trained model (--from), and for none else
    network: NetworkConfig = field(default_factory=NetworkConfig)
    losses: LossWeights = field(default_factory=LossWeights)
    augmentation: Augmentation = field(default_factory=Augmentation)
    minutes: float = 30.0
    batch_size: int = 16
    companion: str = ""  # another sequence on the source's grid, with which some inputs are mixed
    companion_share: float = 0.35  # of the samples
    median_factor: float = 1.0  # of the matched median of stripped brains, where unseen ones come out brighter than taught
    match_medians: bool = True  # whether every subject's target is brought to the same median by a power, see docs/method.md
    patch: int = 160  # voxels; holds most of a brain in plane
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.01
    average_decay: float = 0.999  # of the weights' exponential moving average, which is what is kept
    start_share: float = 0.0  # of the weights begun from (--from) in those that are kept, see docs/method.md
    painted_share: float = 0.0  # of the first samples, painted from label maps; on one held-out fold 0.5 gave no gain
    painting_ends: float = 0.6  # ... falling to none at this share of the run: real scans have the last word
    tumour_weight: float = 6.0
    background_weight: float = 0.2  # of what lies outside the brain in a whole head, and of air
    checkpoint_minutes: float = 2.0
    seed: int = 2020
    steps: int = 0  # instead of minutes: a run of so many steps can be repeated exactly
    epochs: int = 0  # ... or so many epochs of `images_per_epoch` samples, as the 2020 study counts
    images_per_epoch: int = 1000
    validation_minutes: float = 5.0  # between scores on patients held out, which take at most a twentieth of the time
    validation_subjects: int = 3  # of those held out; a sweep takes them all
    picture_minutes: float = 5.0  # between pictures of the training's progress; 0 for none
    sweep: Sweep = field(default_factory=Sweep)

    def __post_init__(self) -> None:
        _check(
            self,
            positive=("minutes", "batch_size", "learning_rate", "painting_ends", "images_per_epoch", "median_factor"),
            shares=("companion_share", "average_decay", "start_share", "painted_share", "painting_ends"),
        )
        if self.patch < _SMALLEST_PATCH:
            raise ValueError(f"patch is {self.patch}; at least {_SMALLEST_PATCH} voxels are needed")
        for sequence in (self.source, self.target, self.companion or self.source):
            if sequence not in SEQUENCES:
                raise ValueError(f"it names the sequence '{sequence}'; one of {', '.join(SEQUENCES)} is needed")

    @property
    def planned_steps(self) -> int:
        """How many steps the run has; 0 where the clock ends it."""
        return self.steps or math.ceil(self.epochs * self.images_per_epoch / self.batch_size)

    def by_the_clock(self, minutes: float) -> Recipe:
        """The same with a wall clock instead of a number of steps."""
        return dataclasses.replace(self, minutes=minutes, steps=0, epochs=0)


def shipped_recipes() -> list[str]:
    """Their names."""
    return sorted(path.stem for path in _SHIPPED.glob("*.toml"))


def read_recipe(path: Path) -> Recipe:
    """The recipe in a TOML file: a diff against the defaults. Raises UnsuitableTrainingData for unknown names or values.

    path: the file, or the name of one that is shipped, such as "t1_to_t2".
    """
    if not path.exists() and str(path) in shipped_recipes():
        path = _SHIPPED / f"{path}.toml"
    if not path.exists():
        known = ", ".join(shipped_recipes())
        raise UnsuitableTrainingData(f"There is no recipe '{path}'.", f"Give a TOML file, or one that is shipped: {known}.")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        recipe = _build(Recipe, table)
    except (OSError, tomllib.TOMLDecodeError, TypeError, ValueError) as error:
        raise UnsuitableTrainingData(f"The recipe '{path.name}' cannot be used: {error}.", "See docs/method.md.") from error
    return recipe


_PARTS = {"network": NetworkConfig, "losses": LossWeights, "augmentation": Augmentation, "sweep": Sweep}


def _build(cls: type, table: dict[str, Any]) -> Any:
    known = {entry.name for entry in dataclasses.fields(cls)}
    unknown = sorted(set(table) - known)
    if unknown:
        raise ValueError(f"unknown {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    return cls(**{key: _build(_PARTS[key], value) if key in _PARTS else value for key, value in table.items()})
