"""From a folder as it was downloaded to a trained and judged model, whatever the data set is called."""

from __future__ import annotations

import csv
import json
import logging
from pathlib import Path

import pytest
from phantom import a_head_volume
from T1T2TranslationLib.cli import main
from T1T2TranslationLib.io import write_volume
from training_givens import SMALL_TOML

SPELLINGS = {
    "BraTS 2018": ("HGG/{0}/{0}_t1.nii.gz", "HGG/{0}/{0}_t2.nii.gz"),
    "BraTS 2020": ("{0}/{0}_t1.nii", "{0}/{0}_t2.nii"),
    "BraTS 2023": ("{0}-000/{0}-000-t1n.nii.gz", "{0}-000/{0}-000-t2w.nii.gz"),
    "BraTS 2023, flat": ("{0}-000-t1n.nii.gz", "{0}-000-t2w.nii.gz"),
    "IXI": ("IXI-T1/{0}-HH-1-T1.nii.gz", "IXI-T2/{0}-HH-1-T2.nii.gz"),
    "BIDS": ("sub-{0}/anat/sub-{0}_T1w.nii.gz", "sub-{0}/anat/sub-{0}_T2w.nii.gz"),
}


def a_data_set(root: Path, spelling: str) -> Path:
    """Two stripped heads in each's own place, and a third subject whose T2 is missing."""
    for name, degrees in (("BraTS-GLI-00001", 0.0), ("BraTS-GLI-00002", 11.0), ("BraTS-GLI-00003", 0.0)):
        for contrast, pattern in zip(("T1", "T2"), SPELLINGS[spelling], strict=True):
            if (name, contrast) != ("BraTS-GLI-00003", "T2"):
                path = root / pattern.format(name)
                path.parent.mkdir(parents=True, exist_ok=True)
                write_volume(a_head_volume(degrees=degrees, contrast=contrast, stripped=True), path)
    return root


@pytest.mark.slow
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_downloaded_folder_is_trained_on_and_judged(tmp_path, spelling, caplog):
    caplog.set_level(logging.INFO)
    data = a_data_set(tmp_path / "data", spelling)
    recipe, model, pages = tmp_path / "recipe.toml", tmp_path / "model", tmp_path / "pages"
    recipe.write_text(SMALL_TOML.replace("steps = 20", "steps = 2"))
    assert main(["train", str(recipe), str(data), "-o", str(model), "--device", "cpu"]) == 0
    assert "3 subjects: 2 used, of 2 patients" in caplog.text
    assert "(no t2w)" in caplog.text
    training = json.loads((model / "configs" / "metadata.json").read_text())["t1t2"]["training"]
    assert len(training["subjects"]) == 2
    main(["evaluate", str(model), str(data), "-o", str(pages), "--device", "cpu"])
    with (pages / "subjects.csv").open(newline="") as file:
        judged = {row["subject"] for row in csv.DictReader(file)}
    assert len(judged) == 2
    assert all("BraTS-GLI-0000" in name for name in judged)
