"""What the tests of judging start from: three patients made of numbers, and translations as if a model had made them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from phantom import a_head_volume
from T1T2TranslationLib.evaluation import evaluate as evaluation
from T1T2TranslationLib.io import write_volume
from T1T2TranslationLib.subjects import Case
from T1T2TranslationLib.translation import Translation


def save_cohort(folder: Path) -> Path:
    """A data list of three stripped patients of different brightness, one fold each; the second has a tumour."""
    entries = []
    for fold, gain in enumerate((1.0, 1.3, 0.8)):
        t1, t2 = (a_head_volume(contrast=name, stripped=True) for name in ("T1", "T2"))
        t2 = t2.with_array((np.minimum(t2.array, 600 * gain)).astype(np.int16))
        labels = np.zeros(t1.shape, dtype=np.uint8)
        labels[28:33, 28:34, 20:27] = 1
        files = {"t1n": t1, "t2w": t2} | ({"seg": t1.with_array(labels)} if fold == 1 else {})
        for name, volume in files.items():
            write_volume(volume, folder / f"p{fold}-{name}.nii.gz")
        images = {name: f"p{fold}-{name}.nii.gz" for name in files}
        entries.append({"id": f"p{fold}", "fold": fold, "pathology": "none", "images": images})
    path = folder / "datalist.json"
    path.write_text(json.dumps({"paired": entries, "labels": [{"id": "no images", "path": "x"}]}))
    return path


def translation_of(case: Case, synthetic: np.ndarray, predicted_error: float = 0.1) -> Translation:
    """As if the model had said this (in the unit)."""
    images = [np.rint(1000 * np.broadcast_to(image, case.truth.shape)).astype(np.int16) for image in (synthetic, predicted_error)]
    return Translation(*(case.volume.with_array(image) for image in images), checks=(), warnings=(), provenance={})


def set_block(folder: Path, **entries: object) -> None:
    """Change entries of a bundle's own block of metadata."""
    path = folder / "configs" / "metadata.json"
    metadata = json.loads(path.read_text())
    metadata["t1t2"] |= entries
    path.write_text(json.dumps(metadata))


def judge(datalist: Path, out: Path, model: Path | str, *extra: str) -> int:
    """`t1t2 evaluate`, in this process."""
    return evaluation.main([str(model), str(datalist), "-o", str(out), "--device", "cpu", *extra])
