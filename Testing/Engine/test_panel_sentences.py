"""The panel's sentences: one for each state, and none where nothing is wrong."""

from __future__ import annotations

import pytest
from T1T2TranslationLib import panel, requirements
from T1T2TranslationLib.errors import DeviceFailure


@pytest.mark.parametrize(
    ("version", "has_installer", "words"),
    [("2.9.0", False, "2.9.0 is installed"), (None, True, "press the button"), (None, False, "Extensions Manager")],
)
def test_the_setup_line_says_what_is_there_and_what_to_do(version, has_installer, words):
    assert words in panel.setup_line(str, version, has_installer)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ((False, True, "m", False), "PyTorch is missing"),
        ((True, True, "m", False), "is running"),
        ((True, False, "m", False), "'m' is not installed"),
        ((True, False, "", False), "Choose a volume"),
    ],
)
def test_apply_says_why_it_cannot_be_pressed(state, words):
    assert words in panel.reason_not_to_apply(str, *state)


def test_a_refused_input_is_the_last_reason_not_to_apply():
    assert panel.reason_not_to_apply(str, True, False, "", True, "It is a CT.") == "It is a CT."
    assert "is running" in panel.reason_not_to_apply(str, True, True, "", True, "It is a CT.")


def test_results_are_named_after_their_volume():
    assert panel.results_title(str, "A", "t1_to_t2", True) == "Results of 'A' by t1_to_t2"
    assert panel.results_title(str, "A", "t1_to_t2", False) == "Results of 'A', not of the chosen volume"


def test_apply_can_be_pressed_when_nothing_is_missing():
    assert panel.reason_not_to_apply(str, True, False, "", True) == ""


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (("VectorVolume", True, False, False), "'Scan' is a VectorVolume"),
        (("Volume", False, False, False), "no voxels"),
        (("Volume", True, True, False), "itself synthetic"),
        (("Volume", True, False, True), "one frame of a sequence"),
    ],
)
def test_an_image_is_refused_with_its_name_and_the_reason(state, words):
    sentence, remedy = panel.refusal(str, "Scan", *state)
    assert words in sentence
    assert "'Scan'" in sentence
    assert "hoose" in remedy


def test_a_scalar_volume_is_not_refused():
    assert panel.refusal(str, "Scan", "Volume", True, False, False) is None


def test_every_sentence_can_be_translated():
    assert panel.setup_line(lambda text: "Ja: " + text, "2", True).startswith("Ja: ")


def test_without_pytorch_the_engine_says_so(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "T1T2TranslationLib.inference", None)
    with pytest.raises(DeviceFailure, match="PyTorch cannot be loaded"):
        requirements.load_translate()
