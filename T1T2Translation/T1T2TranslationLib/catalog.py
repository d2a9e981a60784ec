"""Which models are here: cards read from the bundles' JSON, without loading any weights."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeGuard

from .errors import UnsuitableModel

METADATA = "configs/metadata.json"
INFERENCE = "configs/inference.json"
WEIGHTS = "models/model.pt"

# A card is a few kilobytes and weights are a few megabytes; more than this is not one of ours.
_METADATA_LIMIT_BYTES = 1 << 20
_WEIGHTS_LIMIT_BYTES = 1 << 30
_ENDLESS = 1e12  # steps or minutes that nobody trains, an error that nobody makes

# The kinds of input that a bundle's "scores" tell apart, and the name of what a model has to beat there.
STRIPPED_BRAIN, WHOLE_HEAD_BRAIN, TUMOUR = "skull-stripped brain", "whole-head brain", "tumour"
TABLE_MAE = "table MAE"  # mean absolute error of a look-up table from the input to the mean target


@dataclass(frozen=True)
class ModelCard:
    """What is known about a model before it is loaded.

    source, target: the sequences it reads and makes, "T1" or "T2".
    sha256: of the weights file, lower-case hexadecimal; checked when the model is loaded.
    error_factor: what the network's scale is multiplied by to give the predicted error; `t1t2 evaluate --calibrate` sets it
    without touching the weights.
    scores: name -> value, as the bundle states them.
    start: name and version of the model whose training it went on with; empty for none.
    steps, minutes: how long it was trained, from there; 0 where the bundle does not say.
    problem: why the bundle cannot be used; empty where it can.
    """

    name: str
    folder: Path
    title: str = ""
    source: str = ""
    target: str = ""
    version: str = ""
    description: str = ""
    licence: str = ""
    sha256: str = ""
    error_factor: float = 1.0
    scores: Mapping[str, Any] = field(default_factory=dict)
    start: str = ""
    steps: int = 0
    minutes: float = 0.0
    problem: str = ""

    @property
    def usable(self) -> bool:
        """Whether the bundle is complete; its weights are only checked when it is loaded."""
        return not self.problem

    @property
    def trained(self) -> str:
        """How long it was trained, in words: a model of a few steps looks like any other."""
        start = f"from {self.start} " if self.start else ""
        return f"trained {start}for {self.minutes:.3g} minutes, {self.steps} steps" if self.steps else "training not stated"

    @property
    def judged(self) -> str:
        """Its first mean absolute error, and where it does not beat a look-up table, in words."""
        for region, values in self.scores.items():
            if isinstance(values, Mapping) and _is_plausible(values.get("MAE")):
                weak = f"; no better than a look-up table: {', '.join(self.weak_at)}" if self.weak_at else ""
                return f"MAE {values['MAE']:.3f} ({region}){weak}"
        return "evaluated" if self.scores else "not evaluated"

    @property
    def weak_at(self) -> tuple[str, ...]:
        """The kinds of input at which a mere look-up table did no worse, as the bundle's scores say."""
        return weak_kinds(self.scores)

    @property
    def weights(self) -> Path:
        """The file with the weights."""
        return self.folder / WEIGHTS


def weak_kinds(scores: Mapping[str, Any]) -> tuple[str, ...]:
    """The kinds of input at which a model's mean absolute error is not below the look-up table's; where both are stated."""
    return tuple(kind for kind, values in scores.items() if isinstance(values, Mapping) and _is_beaten(values))


def _is_beaten(values: Mapping[str, Any]) -> bool:
    own, tables = values.get("MAE"), values.get(TABLE_MAE)
    return _is_plausible(own) and _is_plausible(tables) and own >= tables


def _is_plausible(error: object) -> TypeGuard[float]:
    """JSON, as Python reads it, knows Infinity and numbers of a thousand digits."""
    return isinstance(error, (int, float)) and 0 <= error < _ENDLESS


def bundled_models_folder() -> Path:
    """Where the models that come with this package lie: beside it where it was installed, else in the source tree."""
    package = Path(__file__).resolve().parent
    installed = package / "bundled"
    return installed if installed.is_dir() else package.parents[1] / "models"


def user_models_folder() -> Path | None:
    """Where the user's own models lie: $T1T2_MODELS, else ~/.t1t2/models; None for a user without a home."""
    named = os.environ.get("T1T2_MODELS")
    if named:
        return Path(named)
    try:
        return Path.home() / ".t1t2" / "models"
    except RuntimeError:  # a container's user may have no home
        return None


def list_models(*folders: Path) -> list[ModelCard]:
    """The cards of all bundles in `folders` (default: bundled, then the user's), by folder and name.

    A broken bundle is listed with its `problem`; so is a second one of the same name.
    """
    taken: dict[str, Path] = {}
    cards = []
    for folder in folders or _default_folders():
        for bundle in _bundles_in(folder):
            card = _card_or_problem(bundle)
            if card.usable and card.name in taken:
                problem = f"another model of the name '{card.name}' comes first, in '{taken[card.name].parent}'"
                card = replace(card, problem=problem)
            elif card.usable:
                taken[card.name] = bundle
            cards.append(card)
    return cards


def find_model(name_or_path: str | Path) -> ModelCard:
    """The card of a model named as `t1t2 models` lists it, or of the bundle in a folder.

    Raises UnsuitableModel where there is none, or it is broken.
    """
    cards = list_models()
    named = [card for card in cards if card.name == str(name_or_path)]
    for card in named:
        if card.usable:
            return card
    if named:
        raise _broken(named[0])
    if str(name_or_path).strip() and Path(name_or_path).is_dir():
        card = _card_or_problem(Path(name_or_path).resolve())
        if card.usable:
            return card
        raise _broken(card)
    known = ", ".join(card.name for card in cards if card.usable) or "none"
    raise UnsuitableModel(
        f"There is no model '{name_or_path}'; available: {known}.",
        "Choose one of these, or give the folder of a model bundle.",
    )


def read_metadata(folder: Path) -> dict[str, Any]:
    """The whole `configs/metadata.json` of a bundle; raises UnsuitableModel."""
    path = bundle_file(folder, METADATA, _METADATA_LIMIT_BYTES)
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _unsuitable(folder, f"its {METADATA} is not readable JSON ({error})") from error
    if not isinstance(metadata, dict):
        raise _unsuitable(folder, f"its {METADATA} is not a JSON object")
    return metadata


def bundle_file(folder: Path, relative: str, limit_bytes: int = _WEIGHTS_LIMIT_BYTES) -> Path:
    """The real path of a bundle's file, which must lie in the bundle's own folder; raises UnsuitableModel."""
    root = Path(folder).resolve()
    try:
        path = (root / relative).resolve(strict=True)
        size = path.stat().st_size
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise _unsuitable(root, f"its {relative} is missing") from error
    if not path.is_relative_to(root):
        raise _unsuitable(root, f"its {relative} is a link to somewhere else")
    if not path.is_file():
        raise _unsuitable(root, f"its {relative} is not a file")
    if not 0 < size <= limit_bytes:
        raise _unsuitable(root, f"its {relative} has {size} bytes; 1 to {limit_bytes} are expected")
    return path


def _default_folders() -> list[Path]:
    user = user_models_folder()
    return [bundled_models_folder()] + ([] if user is None else [user])


def _bundles_in(folder: Path) -> list[Path]:
    try:
        entries = sorted(Path(folder).iterdir())
        return [entry for entry in entries if (entry / "configs").is_dir() or (entry / "models").is_dir()]
    except OSError:  # absent, or not ours to read
        return []


def _card_or_problem(bundle: Path) -> ModelCard:
    try:
        return _read_card(bundle)
    except UnsuitableModel as error:
        return ModelCard(bundle.name, bundle, problem=error.message)


def _read_card(bundle: Path) -> ModelCard:
    metadata = read_metadata(bundle)
    ours = metadata.get("t1t2")
    if not isinstance(ours, dict):
        raise _unsuitable(bundle, f'its {METADATA} has no block "t1t2": it is not a model of this program')
    scores = ours.get("scores", {})
    if not isinstance(scores, dict):
        raise _unsuitable(bundle, f'"scores" in its {METADATA} is not an object')
    sha256 = _text(bundle, ours, "weights_sha256").lower()
    if len(sha256) != 64 or set(sha256) - set("0123456789abcdef"):
        raise _unsuitable(bundle, f'"weights_sha256" in its {METADATA} is not a SHA-256')
    bundle_file(bundle, INFERENCE, _METADATA_LIMIT_BYTES)
    bundle_file(bundle, WEIGHTS)
    return ModelCard(
        name=bundle.name,
        folder=bundle,
        title=_text(bundle, metadata, "name", default=bundle.name),
        source=_text(bundle, ours, "source_sequence"),
        target=_text(bundle, ours, "target_sequence"),
        version=_text(bundle, metadata, "version", default=""),
        description=_text(bundle, metadata, "description", default=""),
        licence=_text(bundle, ours, "licence", default=""),
        sha256=sha256,
        error_factor=_error_factor(ours),
        scores=scores,
        start=_start(ours),
        steps=int(_number(ours, "steps")),
        minutes=_number(ours, "minutes"),
    )


def _text(bundle: Path, block: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = block.get(key, default)
    if not isinstance(value, str):
        raise _unsuitable(bundle, f'its {METADATA} does not say "{key}"')
    return value


def _error_factor(block: Mapping[str, Any]) -> float:
    """1 where there is none, and where it is no number, which only matters to whoever loads the model: that refuses it."""
    try:
        return float(block.get("error_factor", 1.0))
    except (OverflowError, TypeError, ValueError):
        return 1.0


def _start(block: Mapping[str, Any]) -> str:
    """What the bundle says of the model that its training started from; empty for none."""
    training = block.get("training")
    start = training.get("started_from") if isinstance(training, dict) else None
    return f"{start.get('name', '')} {start.get('version', '')}".strip() if isinstance(start, dict) else ""


def _number(block: Mapping[str, Any], key: str) -> float:
    """What the bundle says of its training; 0 where that is no positive number."""
    training = block.get("training")
    value = training.get(key) if isinstance(training, dict) else None
    return value if isinstance(value, (int, float)) and 0 < value < _ENDLESS else 0


def _unsuitable(bundle: Path, reason: str) -> UnsuitableModel:
    return UnsuitableModel(f"The model '{Path(bundle).name}' cannot be used: {reason}.", "Install the model again.")


def _broken(card: ModelCard) -> UnsuitableModel:
    return UnsuitableModel(card.problem, f"Install it again in '{card.folder}', or choose another model.")
