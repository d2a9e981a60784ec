"""Bundles are found without torch; a broken one is named with its reason and hides nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from T1T2TranslationLib import catalog
from T1T2TranslationLib.errors import UnsuitableModel

OURS = {
    "source_sequence": "T1",
    "target_sequence": "T2",
    "weights_sha256": "0123456789abcdef" * 4,
    "licence": "CC BY 4.0",
    "scores": {"brain MAE": 42.0},
}


def a_bundle(folder: Path, name: str = "mine", **changes: object) -> Path:
    bundle = folder / name
    for part in ("configs", "models", "docs"):
        (bundle / part).mkdir(parents=True)
    metadata = {"name": "My model", "version": "1.2.0", "description": "Test.", "t1t2": {**OURS, **changes}}
    (bundle / catalog.METADATA).write_text(json.dumps(metadata))
    (bundle / catalog.INFERENCE).write_text("{}")
    (bundle / catalog.WEIGHTS).write_bytes(b"weights")
    return bundle


@pytest.fixture
def own_models(tmp_path, monkeypatch) -> Path:
    """The user's folder, with no bundled models beside it."""
    monkeypatch.setenv("T1T2_MODELS", str(tmp_path / "own"))
    monkeypatch.setattr(catalog, "bundled_models_folder", lambda: tmp_path / "bundled")
    (tmp_path / "own").mkdir()
    return tmp_path / "own"


def test_a_card_says_what_the_bundle_says(own_models):
    a_bundle(own_models)
    card = catalog.find_model("mine")
    assert (card.name, card.title, card.source, card.target) == ("mine", "My model", "T1", "T2")
    assert (card.version, card.licence, card.sha256) == ("1.2.0", "CC BY 4.0", OURS["weights_sha256"])
    assert card.scores == {"brain MAE": 42.0}
    assert card.usable
    assert card.weights.read_bytes() == b"weights"


@pytest.mark.parametrize(
    ("training", "trained"),
    [
        ({"steps": 6, "minutes": 0.1}, "trained for 0.1 minutes, 6 steps"),
        ({"steps": 1936, "minutes": 30.0}, "trained for 30 minutes, 1936 steps"),
        (
            {"steps": 9, "minutes": 2.0, "started_from": {"name": "base", "version": "0.1.0"}},
            "trained from base 0.1.0 for 2 minutes, 9 steps",
        ),
        ({"steps": 9, "minutes": 2.0, "started_from": "base"}, "trained for 2 minutes, 9 steps"),
        ({}, "training not stated"),
        ({"steps": -1, "minutes": "long"}, "training not stated"),
        (["six"], "training not stated"),
    ],
)
def test_a_card_says_how_long_the_model_was_trained(own_models, training, trained):
    a_bundle(own_models, training=training)
    assert catalog.find_model("mine").trained == trained


@pytest.mark.parametrize(
    ("scores", "judged"),
    [
        ({}, "not evaluated"),
        ({"protocol": "T2P-1", "brain": {"PSNR": 18.0, "MAE": 0.0881}}, "MAE 0.088 (brain)"),
        ({"brain MAE": 42.0}, "evaluated"),
        (
            {"brain": {"MAE": 0.1}, "tumour": {"MAE": 0.2, "table MAE": 0.1}},
            "MAE 0.100 (brain); no better than a look-up table: tumour",
        ),
    ],
)
def test_a_card_says_whether_the_model_was_judged(own_models, scores, judged):
    a_bundle(own_models, scores=scores)
    assert catalog.find_model("mine").judged == judged


def test_a_model_is_found_by_its_folder_too(tmp_path, own_models):
    bundle = a_bundle(tmp_path / "elsewhere")
    assert catalog.find_model(bundle).folder == bundle
    assert catalog.find_model(str(bundle)).folder == bundle


def test_a_relative_folder_is_a_model_too(tmp_path, own_models, monkeypatch):
    a_bundle(tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path / "elsewhere" / "mine")
    assert catalog.find_model(".").name == "mine"


@pytest.mark.parametrize("wanted", ["t1_to_t3", "", " ", "../own/other", "a\nb"])
def test_an_unknown_model_is_named_with_those_there_are(own_models, wanted):
    a_bundle(own_models, "first")
    a_bundle(own_models, "second")
    with pytest.raises(UnsuitableModel, match="no model") as caught:
        catalog.find_model(wanted)
    assert wanted in caught.value.message
    assert "available: first, second" in caught.value.message
    assert caught.value.remedy


def test_without_any_model_the_sentence_says_so(own_models):
    with pytest.raises(UnsuitableModel, match="available: none"):
        catalog.find_model("t1_to_t2")


BREAKAGES = {
    "no JSON": (lambda b: (b / catalog.METADATA).write_text("{"), "not readable JSON"),
    "deep JSON": (lambda b: (b / catalog.METADATA).write_text("[" * 100_000), "not readable JSON"),
    "not text": (lambda b: (b / catalog.METADATA).write_bytes(b"\xff\xfe\x00"), "not readable JSON"),
    "a list": (lambda b: (b / catalog.METADATA).write_text("[]"), "not a JSON object"),
    "somebody else's": (lambda b: (b / catalog.METADATA).write_text("{}"), "not a model of this program"),
    "huge": (lambda b: (b / catalog.METADATA).write_bytes(b" " * ((1 << 20) + 1)), "bytes"),
    "no metadata": (lambda b: (b / catalog.METADATA).unlink(), "configs/metadata.json is missing"),
    "no configuration": (lambda b: (b / catalog.INFERENCE).unlink(), "configs/inference.json is missing"),
    "no weights": (lambda b: (b / catalog.WEIGHTS).unlink(), "models/model.pt is missing"),
    "empty weights": (lambda b: (b / catalog.WEIGHTS).write_bytes(b""), "0 bytes"),
}


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_broken_bundle_is_listed_with_its_reason_and_hides_nothing(own_models, breakage):
    a_bundle(own_models, "good")
    broken = a_bundle(own_models, "bad")
    break_it, reason = BREAKAGES[breakage]
    break_it(broken)
    bad, good = catalog.list_models(own_models)
    assert good.usable
    assert not bad.usable
    assert reason in bad.problem
    with pytest.raises(UnsuitableModel, match="'bad' cannot be used"):
        catalog.find_model("bad")


@pytest.mark.parametrize(
    "change", [{"source_sequence": None}, {"target_sequence": 3}, {"weights_sha256": "abc"}, {"scores": []}, {"licence": {}}]
)
def test_a_card_with_a_wrong_field_is_refused(tmp_path, own_models, change):
    a_bundle(own_models, **change)
    with pytest.raises(UnsuitableModel, match=next(iter(change))):
        catalog.find_model("mine")


@pytest.mark.parametrize("part", [catalog.METADATA, catalog.WEIGHTS])
def test_a_link_out_of_the_bundle_is_not_followed(tmp_path, own_models, part):
    bundle = a_bundle(own_models)
    outside = tmp_path / "outside"
    (bundle / part).rename(outside)
    (bundle / part).symlink_to(outside)
    with pytest.raises(UnsuitableModel, match="link to somewhere else"):
        catalog.find_model("mine")


def test_a_link_in_a_circle_is_a_missing_file(own_models):
    bundle = a_bundle(own_models)
    (bundle / catalog.WEIGHTS).unlink()
    (bundle / catalog.WEIGHTS).symlink_to(bundle / catalog.WEIGHTS)
    with pytest.raises(UnsuitableModel, match="missing"):
        catalog.find_model("mine")


def test_of_two_models_with_one_name_the_bundled_one_counts_and_the_other_is_said_to_be_hidden(tmp_path, own_models):
    bundled = a_bundle(tmp_path / "bundled")
    a_bundle(own_models)
    first, second = catalog.list_models()
    assert first.usable
    assert first.folder == bundled
    assert "another model of the name 'mine'" in second.problem
    assert catalog.find_model("mine").folder == bundled
    assert catalog.find_model(own_models / "mine").folder == own_models / "mine"


def test_other_folders_and_files_beside_the_models_are_no_models(own_models):
    a_bundle(own_models)
    (own_models / "README.md").write_text("x")
    (own_models / "notes").mkdir()
    assert [card.name for card in catalog.list_models(own_models)] == ["mine"]


def test_a_user_without_a_home_still_has_the_bundled_models(tmp_path, monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("T1T2_MODELS", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.setattr(catalog, "bundled_models_folder", lambda: tmp_path)
    a_bundle(tmp_path)
    assert catalog.user_models_folder() is None
    assert [card.name for card in catalog.list_models()] == ["mine"]


def test_the_bundled_folder_is_beside_the_package_or_in_the_source_tree():
    package = Path(catalog.__file__).resolve().parent
    assert catalog.bundled_models_folder() in (package / "bundled", package.parents[1] / "models")


def test_listing_models_loads_neither_torch_nor_simpleitk():
    code = (
        "import sys; from T1T2TranslationLib.catalog import list_models; list_models();"
        "sys.exit(bool({'torch', 'SimpleITK', 'numpy'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(catalog.__file__).parents[1])}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0
