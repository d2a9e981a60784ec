"""What the tests of training start from: two subjects made of numbers, and a recipe that takes seconds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from phantom import a_head_volume
from T1T2TranslationLib.io import write_volume
from T1T2TranslationLib.network import NetworkConfig
from T1T2TranslationLib.training.recipe import Recipe
from T1T2TranslationLib.training.train import main

SMALL = Recipe(
    network=NetworkConfig(widths=(8, 8, 8, 8)),
    steps=20,
    batch_size=4,
    patch=48,
    learning_rate=5e-3,
    checkpoint_minutes=0.02,
    picture_minutes=0,
)
# The same as a file.
SMALL_TOML = """
steps = 20
batch_size = 4
patch = 48
learning_rate = 5e-3
picture_minutes = 0
[network]
widths = [8, 8, 8, 8]
"""


def save_data(folder: Path) -> Path:
    """A data list of two small subjects: "one", fold 0, a stripped brain with a tumour; "two", fold 1, a thick-sliced head
    whose T2 and brain lie on other grids.
    """
    for contrast, name in (("T1", "t1n"), ("T2", "t2w")):
        write_volume(a_head_volume(contrast=contrast, stripped=True), folder / f"one-{name}.nii.gz")
    thick = {"shape": (53, 57, 19), "spacing_mm": (0.9, 0.9, 3.0), "degrees": 10}
    head = a_head_volume(**thick)
    faint = np.random.default_rng(1).integers(0, 12, head.shape, dtype=np.int16)  # a scanner's noise: not a stripped brain
    write_volume(head.with_array(head.array + faint), folder / "two-t1n.nii.gz")
    write_volume(a_head_volume((55, 61, 21), (0.9, 0.9, 2.7), 4, contrast="T2"), folder / "two-t2w.nii.gz")
    brain = a_head_volume(stripped=True)
    write_volume(brain.with_array((brain.array > 0).astype(np.uint8)), folder / "two-brain.nii.gz")
    tumour = np.zeros(brain.shape, np.uint8)
    tumour[27:31, 29:33, 22:26] = 1
    write_volume(brain.with_array(tumour), folder / "one-seg.nii.gz")
    one = {name: f"one-{name}.nii.gz" for name in ("t1n", "t2w", "seg")}
    two = {name: f"two-{name}.nii.gz" for name in ("t1n", "t2w", "brain")}
    table = {
        "note": "not a list",
        "paired": [{"id": "one", "fold": 0, "images": one}],
        "head": [{"id": "two", "fold": 1, "images": two}],
    }
    (folder / "list.json").write_text(json.dumps(table))
    return folder / "list.json"


def save_aligned_data(folder: Path) -> Path:
    """A data list of two small stripped brains, "one" in fold 0 with its origin stated and "two" in fold 1.

    Nothing has to be registered, so that it is read at once.
    """
    for name, degrees in (("one", 0.0), ("two", 8.0)):
        for contrast, sequence in (("T1", "t1n"), ("T2", "t2w")):
            write_volume(a_head_volume(degrees=degrees, contrast=contrast, stripped=True), folder / f"{name}-{sequence}.nii.gz")
    subjects = [
        {"id": name, "fold": fold, "images": {sequence: f"{name}-{sequence}.nii.gz" for sequence in ("t1n", "t2w")}}
        for fold, name in enumerate(("one", "two"))
    ]
    subjects[0] |= {"source": "The phantoms", "licence": "CC0", "cite": "Nobody 2026", "pathology": "ellipsoids"}
    (folder / "list.json").write_text(json.dumps({"paired": subjects}))
    return folder / "list.json"


def train_in_a_process(arguments: list[str]) -> None:
    """`t1t2 train` as a process of its own may run it: sums in one order, whatever else the machine does."""
    torch.set_num_threads(1)
    main(arguments)
