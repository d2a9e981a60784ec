"""A trained network with the configuration that gives it meaning: a MONAI bundle on disk, checked before it is used."""

from __future__ import annotations

import hashlib
import io
import json
import math
import pickle
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .catalog import METADATA, WEIGHTS, ModelCard, bundle_file, find_model, read_metadata
from .errors import UnsuitableModel
from .network import TranslationNetwork
from .preprocessing import Preprocessing

INFERENCE = "configs/inference.json"
_MOST_CONFIG_BYTES = 2**20
# No model of this family is larger; a file beyond is not read at all.
_MOST_WEIGHT_BYTES = 256 * 2**20
# What torch.load and load_state_dict raise on a file that is damaged, or no plain table of tensors, or one of another network.
UNREADABLE = (
    pickle.UnpicklingError,
    AssertionError,
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    MemoryError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)


@dataclass(frozen=True, eq=False)
class Model:
    """A network ready to run, its preprocessing and its card.

    error_factor: multiplies the network's scale so that the predicted error is the expected absolute error.
    """

    card: ModelCard
    network: TranslationNetwork
    preprocessing: Preprocessing
    error_factor: float = 1.0


def load_model(name_or_folder: str | Path) -> Model:
    """The model of this name or in this folder, on the CPU in float32.

    Raises UnsuitableModel if it is missing, damaged, altered since its hash was written, or of another architecture.
    No code from the files is executed: the weights are read as plain tensors.
    """
    card = find_model(name_or_folder)
    block = read_metadata(card.folder)["t1t2"]
    try:
        arguments = json.loads(bundle_file(card.folder, INFERENCE, _MOST_CONFIG_BYTES).read_text("utf-8"))["network_def"]
        network = TranslationNetwork(**{key: value for key, value in arguments.items() if key != "_target_"})
        preprocessing = Preprocessing(**block["preprocessing"])
        error_factor = float(block.get("error_factor", 1.0))
        _refuse_contradiction(network, preprocessing, error_factor)
    except (AttributeError, KeyError, OSError, OverflowError, RecursionError, TypeError, ValueError) as error:
        raise UnsuitableModel(
            f"The model '{card.name}' describes a network that this version does not know ({error}).",
            "Get a model made for this version, or update the extension.",
        ) from error
    state = _read_weights(card)
    try:
        network.load_state_dict(state)
    except UNREADABLE as error:
        raise UnsuitableModel(
            f"The weights of the model '{card.name}' do not fit the network that it describes.", "Install the model again."
        ) from error
    return Model(card, network.eval(), preprocessing, error_factor)


def save_model(folder: Path, network: TranslationNetwork, preprocessing: Preprocessing, metadata: Mapping[str, Any]) -> ModelCard:
    """Write a MONAI bundle; weights in half precision, which costs less than the bf16 they run in.

    metadata: the bundle's metadata with its block "t1t2"; the weights' hash and the preprocessing are filled in here.
    A card for people, docs/README.md, is left as it is.
    """
    state = {key: value.detach().cpu().half() for key, value in network.state_dict().items()}
    buffer = io.BytesIO()
    torch.save(state, buffer)
    weights = buffer.getvalue()
    block = dict(metadata["t1t2"]) | {
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "preprocessing": preprocessing.as_arguments(),
    }
    for part in (METADATA, WEIGHTS):
        (folder / part).parent.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS).write_bytes(weights)
    (folder / METADATA).write_text(json.dumps(dict(metadata) | {"t1t2": block}, indent=2) + "\n", encoding="utf-8")
    (folder / INFERENCE).write_text(json.dumps(inference_config(network), indent=2) + "\n", encoding="utf-8")
    return find_model(folder)


def inference_config(network: TranslationNetwork) -> dict[str, Any]:
    """configs/inference.json: what `python -m monai.bundle run --config_file ... --input ... --output ...` does."""
    lib = "T1T2TranslationLib"
    return {
        "imports": [
            f"$from {lib}.inference import translate",
            f"$from {lib}.io import read_volume",
            f"$from {lib}.io import write_volume",
            f"$from {lib}.model import load_model",
        ],
        "bundle_root": ".",
        "input": "t1.nii.gz",
        "output": "synthetic.nii.gz",
        "device": "auto",
        "network_def": {"_target_": f"{lib}.network.TranslationNetwork", **network.config.as_arguments()},
        "model": "$load_model(@bundle_root)",
        "translation": "$translate(read_volume(@input), @model, device=@device)",
        "run": ["$write_volume(@translation.synthetic, @output)"],
    }


def _refuse_contradiction(network: TranslationNetwork, preprocessing: Preprocessing, error_factor: float) -> None:
    """Raise ValueError where the parts of a description do not fit each other."""
    if network.config.context_planes != preprocessing.context_planes:
        raise ValueError(
            f"the network reads {network.config.context_planes} planes, its preprocessing gives {preprocessing.context_planes}"
        )
    if not 0 < error_factor < math.inf:
        raise ValueError(f"error_factor is {error_factor}; a positive number is needed")


def _refuse_bomb(content: bytes, name: str) -> None:
    """Raise UnsuitableModel for a zip that would inflate to more than weights may take; torch inflates whatever it is given."""
    try:
        inflated = sum(entry.file_size for entry in zipfile.ZipFile(io.BytesIO(content)).infolist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, OSError):
        return  # no zip that could inflate; torch says what it thinks of it
    if inflated > _MOST_WEIGHT_BYTES:
        raise UnsuitableModel(
            f"The weights of the model '{name}' would take {inflated >> 20} MB unpacked; at most {_MOST_WEIGHT_BYTES >> 20} MB "
            "can be true.",
            "Install the model again.",
        )


def _read_weights(card: ModelCard) -> Mapping[str, torch.Tensor]:
    try:
        content = bundle_file(card.folder, WEIGHTS, _MOST_WEIGHT_BYTES).read_bytes()
    except OSError as error:
        raise UnsuitableModel(
            f"The weights of the model '{card.name}' cannot be read ({error.strerror}).", "Install the model again."
        ) from error
    if hashlib.sha256(content).hexdigest() != card.sha256:
        raise UnsuitableModel(
            f"The weights of the model '{card.name}' are not the file that was published (their SHA-256 differs).",
            "Do not use it; install the model again from a source you trust.",
        )
    _refuse_bomb(content, card.name)
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise UnsuitableModel(
            f"The weights of the model '{card.name}' are not a plain table of numbers.", "Install the model again."
        ) from error
