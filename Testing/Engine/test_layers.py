"""What is shown of a translation: the right windows, every warning, every measure."""

from __future__ import annotations

import json

import pytest
from T1T2TranslationLib import layers, samples

PHANTOM = samples.phantom()


def test_without_a_reference_there_are_two_layers():
    shown = layers.layers_of(samples.phantom_translation(PHANTOM))
    assert [layer.key for layer in shown] == ["synthetic", "predictedError"]
    assert shown[0].look.window == (0, 1200)
    assert shown[1].look.window == (0, 400)


def test_with_a_reference_the_true_errors_come_too():
    shown = {layer.key: layer for layer in layers.layers_of(samples.phantom_translation(PHANTOM, with_reference=True))}
    assert list(shown) == ["synthetic", "predictedError", "absoluteError", "signedError", "alignedReference"]
    assert shown["signedError"].look.window == (-400, 400)
    assert shown["alignedReference"].volume.name == "Real T2 aligned"
    assert not shown["alignedReference"].look.title


def test_the_legend_says_from_which_error_on_and_how_pale():
    assert layers.legend_title(str, "absoluteError", "True error", 230, 1.0) == "True error\nfrom 230 (23 %)"
    assert layers.legend_title(str, "absoluteError", "True error", 230, 0.5) == "True error\nfrom 230 (23 %)\nopacity 50 %"
    assert layers.legend_title(str, "signedError", "Signed", 100, 1.0) == "Signed\nfrom \N{PLUS-MINUS SIGN}100 (10 %)"
    assert layers.legend_title(str, "signedError", "Signed", 0, 1.0) == "Signed"


def test_a_matched_window_shows_a_voxel_as_its_fitted_value_looked_before():
    match = layers.BrightnessMatch(gain=1.25, offset=40, low=0, high=1200)
    low, high = match.window
    assert (low, high) == pytest.approx((-32, 928))
    assert (high - low, (low + high) / 2) == pytest.approx((1200 / 1.25, (600 - 40) / 1.25))
    assert (500 - low) / (high - low) == pytest.approx((1.25 * 500 + 40) / 1200)


def test_the_fit_is_the_brains_with_its_offset_in_the_unit():
    metrics = {"brain": {"MAE": 0.1, "gain": 1.25, "offset": 0.04}, "tumour": {"MAE": 0.2}}
    assert layers.brightness_fit(metrics) == (1.25, 40)
    assert layers.brightness_fit({"brain": {"MAE": 0.1, "gain": 1.25}}) is None
    assert layers.brightness_fit({}) is None


def test_a_match_is_read_or_there_is_none():
    assert layers.read_match("[1.25, 40, 0, 1200]") == layers.BrightnessMatch(1.25, 40, 0, 1200)
    for text in (None, "", "{}", "[1, 0, 0]", '["1", 0, 0, 1200]', "[0, 40, 0, 1200]", "[NaN, 0, 0, 1]", "[1, Infinity, 0, 1]"):
        assert layers.read_match(text) is None


def test_the_summary_survives_json_and_names_the_error_maps():
    summary = json.loads(layers.summarize(samples.phantom_translation(PHANTOM, with_reference=True)))
    assert list(summary["overlays"]) == ["predictedError", "absoluteError", "signedError"]
    assert summary["metrics"]["brain"] == {"MAE": 0.05, "SSIM": 0.9}
    assert summary["model"] == "phantom"


def without(key: str) -> dict:
    summary = json.loads(layers.summarize(samples.phantom_translation(PHANTOM)))
    del summary[key]
    return summary


@pytest.mark.parametrize(
    "spoilt",
    [
        "{broken",
        "[" * 100_000,
        "[]",
        '"words"',
        *(json.dumps(without(key)) for key in ("checks", "warnings", "metrics", "overlays", "registered", "model", "date")),
        json.dumps(without("date") | {"date": 5}),
        json.dumps(without("checks") | {"checks": ["red"]}),
        json.dumps(without("checks") | {"checks": [{"name": "slices", "level": "red"}]}),
        json.dumps(without("warnings") | {"warnings": "many"}),
        json.dumps(without("metrics") | {"metrics": {"brain": {"MAE": "small"}}}),
        json.dumps(without("overlays") | {"overlays": {"strangeError": "Strange"}}),
    ],
    ids=lambda text: text[:12],
)
def test_what_summarize_did_not_write_is_no_summary(spoilt):
    assert layers.read_summary(spoilt) == {}


def test_scores_are_read_or_there_are_none():
    assert layers.read_metrics('{"a": {"MAE": 0.5, "SSIM": 1}}') == {"a": {"MAE": 0.5, "SSIM": 1}}
    for text in (None, "", "{broken", "[]", '{"a": 1}', '{"a": {"MAE": "low"}}'):
        assert layers.read_metrics(text) == {}


def test_a_reader_sees_every_warning_and_no_green_check():
    summary = json.loads(layers.summarize(samples.phantom_translation(PHANTOM)))
    assert layers.notes(summary) == ["Brighter than <usual>.", "Went on with the CPU."]
    text = layers.notes_as_html(summary)
    assert "Brighter than &lt;usual&gt;." in text
    assert "<table" not in text


def test_the_table_has_a_row_for_each_measure_and_a_column_for_each_region():
    text = layers.metrics_as_html(samples.phantom_translation(PHANTOM, with_reference=True).comparison.metrics)
    assert text.count("<tr>") == 3
    assert text.count("<td align='right'></td>") == 1
    assert "<td>MAE</td><td align='right'>0.05</td><td align='right'>0.1</td>" in text
