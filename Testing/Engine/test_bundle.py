"""Every shipped model is a valid MONAI bundle, small, unaltered, and does through MONAI what it does through `translate`."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from phantom import a_head_volume
from T1T2TranslationLib.catalog import METADATA, WEIGHTS, bundled_models_folder
from T1T2TranslationLib.inference import translate
from T1T2TranslationLib.io import read_volume, write_volume
from T1T2TranslationLib.model import INFERENCE, inference_config, load_model
from T1T2TranslationLib.training.card import metadata_of
from T1T2TranslationLib.training.recipe import Recipe

monai_bundle = pytest.importorskip("monai.bundle")

SCHEMA = Path(__file__).parent / "data" / "bundle_metadata_schema.json"
BUNDLES = sorted(folder for folder in bundled_models_folder().iterdir() if (folder / "configs").is_dir())


@pytest.fixture(params=BUNDLES, ids=lambda folder: folder.name)
def a_bundle(request) -> Path:
    return request.param


@pytest.fixture
def the_schema(tmp_path) -> str:
    """A copy of our transcript of the specification: MONAI takes a file that is there for one that it downloaded."""
    return str(shutil.copy(SCHEMA, tmp_path / "schema.json"))


def metadata(bundle: Path) -> dict:
    return json.loads((bundle / METADATA).read_text())


def test_a_model_is_shipped():
    assert "t1_to_t2" in [folder.name for folder in BUNDLES]


def test_the_metadata_passes_monais_check(a_bundle, the_schema):
    monai_bundle.verify_metadata(meta_file=str(a_bundle / METADATA), filepath=the_schema)


def test_the_metadata_that_training_writes_passes_too_and_the_check_can_fail(tmp_path, the_schema):
    written = metadata_of(Recipe(), {"subjects": ["one"], "steps": 3, "minutes": 1.0})
    (tmp_path / "metadata.json").write_text(json.dumps(written))
    monai_bundle.verify_metadata(meta_file=str(tmp_path / "metadata.json"), filepath=the_schema)
    del written["network_data_format"]["outputs"]["pred"]["value_range"]
    (tmp_path / "metadata.json").write_text(json.dumps(written))
    with pytest.raises(ValueError, match="value_range"):
        monai_bundle.verify_metadata(meta_file=str(tmp_path / "metadata.json"), filepath=the_schema)


def test_the_metadata_describes_the_channels_of_the_network(a_bundle):
    config = load_model(a_bundle).network.config
    formats = metadata(a_bundle)["network_data_format"]
    assert formats["inputs"]["image"]["num_channels"] == config.context_planes
    assert formats["inputs"]["image"]["value_range"] == [0, load_model(a_bundle).preprocessing.ceiling]
    assert formats["outputs"]["pred"]["num_channels"] == 2


def test_the_network_takes_and_gives_what_the_metadata_says(a_bundle):
    files = {"meta_file": str(a_bundle / METADATA), "config_file": str(a_bundle / INFERENCE)}
    monai_bundle.verify_net_in_out(net_id="network_def", device="cpu", any=37, **files)
    three = {"_meta_::network_data_format::outputs::pred::num_channels": 3}
    with pytest.raises(ValueError, match="output channel number"):
        monai_bundle.verify_net_in_out(net_id="network_def", device="cpu", any=37, **files, **three)


def test_monai_runs_the_bundle_to_the_same_voxels_as_translate(a_bundle, in_float32, tmp_path):
    reads_t1 = metadata(a_bundle)["t1t2"]["source_sequence"] == "T1"
    head = a_head_volume((53, 57, 19), (0.9, 0.9, 3.0), 10, contrast="T1" if reads_t1 else "T2")
    write_volume(head, tmp_path / "head.nii.gz")
    monai_bundle.run(
        config_file=str(a_bundle / INFERENCE),
        meta_file=str(a_bundle / METADATA),
        bundle_root=str(a_bundle),
        input=str(tmp_path / "head.nii.gz"),
        output=str(tmp_path / "synthetic.nii.gz"),
        device="cpu",
    )
    expected = translate(read_volume(tmp_path / "head.nii.gz"), a_bundle, device="cpu").synthetic
    written = read_volume(tmp_path / "synthetic.nii.gz")
    np.testing.assert_array_equal(written.array, expected.array)
    np.testing.assert_allclose(written.affine, expected.affine, atol=1e-5)


def test_the_inference_file_is_the_one_that_this_version_writes(a_bundle):
    assert json.loads((a_bundle / INFERENCE).read_text()) == inference_config(load_model(a_bundle).network)


def test_the_weights_are_at_most_four_megabytes_and_have_the_published_hash(a_bundle):
    weights = (a_bundle / WEIGHTS).read_bytes()
    assert len(weights) <= 4_000_000
    assert hashlib.sha256(weights).hexdigest() == metadata(a_bundle)["t1t2"]["weights_sha256"]


def test_a_bundle_holds_nothing_of_the_machine_it_was_made_on(a_bundle):
    for file in a_bundle.rglob("*.json"):
        assert not re.search(r"/(home|root|Users)/|[A-Z]:\\", file.read_text())
