"""The stated interval: what a model's metadata promise, in the reader's unit and words."""

from __future__ import annotations

import json

import numpy as np
import pytest
from T1T2TranslationLib import catalog
from T1T2TranslationLib.interval import Interval, interval_of

SHA256 = "ab" * 32


@pytest.fixture
def a_model(tmp_path, monkeypatch):
    """Writes the interval, and perhaps an error factor, into the metadata of the only model."""

    def write(interval, **more) -> None:
        bundle = tmp_path / "mine"
        files = {
            "configs/metadata.json": json.dumps(
                {
                    "t1t2": {
                        "source_sequence": "T1",
                        "target_sequence": "T2",
                        "weights_sha256": SHA256,
                        "interval": interval,
                        **more,
                    }
                }
            ),
            "configs/inference.json": "{}",
            "models/model.pt": "weights",
        }
        for name, text in files.items():
            (bundle / name).parent.mkdir(parents=True, exist_ok=True)
            (bundle / name).write_text(text)

    monkeypatch.setattr(catalog, "bundled_models_folder", lambda: tmp_path)
    monkeypatch.setenv("T1T2_MODELS", str(tmp_path / "none"))
    return write


def test_the_interval_is_that_of_the_model_which_made_the_image(a_model):
    a_model({"stated_coverage": 0.9, "factor": 0.65, "added": 0.2})
    found = interval_of({"weights_sha256": SHA256})
    assert found == Interval(coverage=0.9, factor=0.65, added=200)
    assert found.half_width(100) == pytest.approx(195)
    assert interval_of({"weights_sha256": "cd" * 32}) is None  # another version of it
    assert interval_of({}) is None


def test_an_error_map_of_before_the_calibration_is_given_no_interval(a_model):
    a_model({"stated_coverage": 0.9, "factor": 0.65, "added": 0.2}, error_factor=1.25)
    assert interval_of({"weights_sha256": SHA256}) is None
    assert interval_of({"weights_sha256": SHA256, "error_factor": 1.0}) is None
    assert interval_of({"weights_sha256": SHA256, "error_factor": 1.25}).factor == 0.65


@pytest.mark.parametrize(
    "interval", [None, "wide", {"factor": 1}, {"stated_coverage": 90, "factor": 1, "added": 0.2}, {"factor": "1"}]
)
def test_a_model_that_states_none_or_nonsense_has_none(a_model, interval):
    a_model(interval)
    assert interval_of({"weights_sha256": SHA256}) is None


def test_the_sentence_tells_share_rule_and_what_it_comes_to():
    text = Interval(0.9, 0.65, 200).sentence(str, np.array([0, 0, 60, 100]))  # 80 where there is any
    assert " %" not in text  # no line breaks there
    assert text.replace("\N{NO-BREAK SPACE}", " ") == (
        "90 % of the brain's voxels are expected within \N{PLUS-MINUS SIGN}0.65 \N{MULTIPLICATION SIGN} "
        "(predicted error + 200) of the value shown: here \N{PLUS-MINUS SIGN}182 (18 %) on average. "
        "Where the map is bright, in fluid above all, fewer are."
    )


def test_where_it_was_measured_the_sentence_says_how_many_are_within_where_the_model_is_least_sure(a_model):
    a_model({"stated_coverage": 0.9, "factor": 0.9, "added": 0.1, "least_sure_coverage": 0.8})
    text = interval_of({"weights_sha256": SHA256}).sentence(str, np.array([100]))
    assert text.endswith("In the tenth where the map is brightest, fluid above all, 80\N{NO-BREAK SPACE}% are.")
    a_model({"stated_coverage": 0.9, "factor": 0.9, "added": 0.1, "least_sure_coverage": "most"})
    assert interval_of({"weights_sha256": SHA256}).least_sure_coverage is None


def test_the_shipped_model_states_one():
    card = catalog.find_model("t1_to_t2")
    assert interval_of({"weights_sha256": card.sha256, "error_factor": card.error_factor}).coverage == 0.9
