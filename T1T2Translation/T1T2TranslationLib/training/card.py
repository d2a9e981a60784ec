"""What a trained model says of itself to programs: the metadata of its bundle."""

from __future__ import annotations

import dataclasses
import importlib.metadata
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ..card_page import NOT_STATED
from ..preprocessing import Preprocessing
from ..subjects import SEQUENCES
from ..translation import DISCLAIMER, UNIT
from .recipe import Recipe

_SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"


def metadata_of(recipe: Recipe, facts: Mapping[str, Any]) -> dict[str, Any]:
    """configs/metadata.json of a bundle, in MONAI's schema, with our block "t1t2"; `save_model` adds hash and preprocessing.

    facts: what is to be known of the training besides its recipe: "subjects", "steps", "minutes", "hardware", ...
    """
    source, target = SEQUENCES[recipe.source], SEQUENCES[recipe.target]
    return {
        "schema": _SCHEMA,
        "version": "0.1.0",
        "changelog": {"0.1.0": "first model"},
        "monai_version": importlib.metadata.version("monai"),
        "pytorch_version": torch.__version__.split("+")[0],
        "numpy_version": np.__version__,
        "required_packages_version": {"SimpleITK": "2.3"},
        "name": f"{source} to {target}",
        "task": f"Translate a {source}-weighted MRI of the head into a synthetic {target}",
        "description": f"A fully convolutional network that makes a synthetic {target} and its expected error from a {source}.",
        "authors": recipe.authors,
        "copyright": f"Copyright (c) {recipe.authors}" if recipe.authors != NOT_STATED else NOT_STATED,
        "data_type": "nibabel",
        "intended_use": DISCLAIMER,
        "network_data_format": {
            "inputs": {"image": _tensor([0, Preprocessing.ceiling], _planes(recipe.network.context_planes, source))},
            "outputs": {"pred": _tensor([-7, 32], [f"{target}, 1 = brain p99.5", "logarithm of its expected error"])},
        },
        "t1t2": {
            "source_sequence": source,
            "target_sequence": target,
            "unit": f"{UNIT} = 99.5th percentile of {target} over the brain",
            "licence": recipe.licence,
            "training": {"recipe": dataclasses.asdict(recipe), **facts},
            "scores": {},
        },
    }


def _planes(count: int, source: str) -> list[str]:
    """What each input channel holds."""
    return [f"{source}, plane {offset:+d}" for offset in range(-(count // 2), count // 2 + 1)]


def _tensor(value_range: list[float], channels: list[str]) -> dict[str, Any]:
    return {
        "type": "image",
        "format": "magnitude",
        "modality": "MR",
        "num_channels": len(channels),
        "spatial_shape": ["*", "*"],
        "dtype": "float32",
        "value_range": value_range,
        "is_patch_data": False,
        "channel_def": {str(channel): meaning for channel, meaning in enumerate(channels)},
    }
