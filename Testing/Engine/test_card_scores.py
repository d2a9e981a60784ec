"""What judging leaves in a model: scores by kind of input beside the table's, calibration, the card, and where it is weak."""

import dataclasses
import json

import numpy as np
import pytest
from evaluation_givens import judge, set_block, translation_of
from givens import a_head, save_untrained_model
from T1T2TranslationLib.card_page import write_card_page
from T1T2TranslationLib.catalog import find_model, read_metadata
from T1T2TranslationLib.errors import UnsuitableTrainingData
from T1T2TranslationLib.evaluation import evaluate as evaluation
from T1T2TranslationLib.evaluation.baselines import TABLE, tissue_of
from T1T2TranslationLib.evaluation.card_scores import write_into
from T1T2TranslationLib.evaluation.conformal import CHOSEN
from T1T2TranslationLib.evaluation.judged import JudgedModels
from T1T2TranslationLib.inference import translate
from T1T2TranslationLib.model import load_model
from T1T2TranslationLib.model_page import warnings


def page_of(folder):
    return (folder / "docs" / "README.md").read_text()


def scores_of(folder):
    return read_metadata(folder)["t1t2"]["scores"]


def test_scores_go_into_the_model_beside_the_tables_and_its_card_shows_both(a_cohort, tmp_path, an_untrained_model, caplog):
    before = load_model(an_untrained_model)
    assert judge(a_cohort, tmp_path / "out", an_untrained_model, "--into", str(an_untrained_model)) == 0
    scores = scores_of(an_untrained_model)
    assert scores["protocol"] == "T2P-1, on patients that it was not trained on"
    assert list(scores) == ["protocol", "skull-stripped brain", "tumour"]
    assert (scores["skull-stripped brain"]["subjects"], scores["tumour"]["subjects"]) == (3, 1)

    judged = json.loads((tmp_path / "out" / "scores.json").read_text())["groups"]["paired"]["summary"]
    ours, tables = judged["model"], judged[TABLE]
    assert scores["skull-stripped brain"]["MAE"] == pytest.approx(ours["brain"]["MAE"]["mean"], abs=1e-4)
    assert scores["skull-stripped brain"]["table MAE"] == pytest.approx(tables["brain"]["MAE"]["mean"], abs=1e-4)
    assert scores["skull-stripped brain"]["fitted MAE"] == pytest.approx(ours["brain, fitted"]["MAE"]["mean"], abs=1e-4)
    assert scores["skull-stripped brain"]["nearer"] == 0
    assert scores["tumour"]["contrast"] == pytest.approx(ours["tumour"]["contrast"]["mean"], abs=1e-4)

    assert "No better than a look-up table, which knows next to nothing" in (tmp_path / "out" / "report.html").read_text()
    page = page_of(an_untrained_model)
    assert f"| {scores['skull-stripped brain']['MAE']:.3f} |" in page
    assert "| MAE of a look-up table |" in page
    assert "**No better than a look-up table: skull-stripped brain" in page
    after = load_model(an_untrained_model)  # refuses where the hash does not fit
    assert after.card.sha256 == before.card.sha256
    assert after.error_factor == 1
    assert "Not calibrated: 3 subjects are too few, judge at least 8 together." in caplog.text


def test_a_model_judged_by_its_cross_validation_or_by_a_sister_says_so(a_cohort, tmp_path, an_untrained_model):
    for fold in range(3):
        save_untrained_model(tmp_path / f"cv{fold}" / "sister")
    judge(a_cohort, tmp_path / "out", tmp_path / "cv{fold}" / "sister", "--into", str(an_untrained_model))
    assert (
        scores_of(an_untrained_model)["protocol"]
        == "T2P-1, cross-validated over 3 folds by patient, by models of the same recipe"
    )
    judge(a_cohort, tmp_path / "out", tmp_path / "cv0" / "sister", "--into", str(an_untrained_model), "--fold", "0")
    assert scores_of(an_untrained_model)["protocol"].startswith("T2P-1, taken of the model 'sister'")


def test_scores_of_a_single_subject_have_no_table_beside_them(a_case, an_untrained_model):
    """A table needs other patients to learn from; without one nothing is claimed."""
    models = JudgedModels(str(an_untrained_model))
    models.model_of(a_case.subject)
    one = evaluation.evaluate_subject(a_case, translation_of(a_case, a_case.truth + 0.15))
    write_into(an_untrained_model, evaluation.Evaluation((one,), {}, "t1n", "t2w"), models)
    assert "table MAE" not in scores_of(an_untrained_model)["skull-stripped brain"]
    assert find_model(an_untrained_model).weak_at == ()


def test_a_model_is_given_no_scores_of_its_own_training(a_cohort, tmp_path, an_untrained_model):
    set_block(an_untrained_model, training={"subjects": ["p0"]})
    before = (an_untrained_model / "configs" / "metadata.json").read_text()
    with pytest.raises(UnsuitableTrainingData, match="knows p0 from its training"):
        judge(a_cohort, tmp_path / "out", an_untrained_model, "--into", str(an_untrained_model), "--fold", "0")
    assert (an_untrained_model / "configs" / "metadata.json").read_text() == before


def test_what_nine_held_out_subjects_give_is_written_into_the_model(a_case, an_untrained_model):
    """Errors of 0.15 everywhere where 0.1 was predicted, by models that double their scale already."""
    set_block(an_untrained_model, error_factor=2.0)
    models = JudgedModels(str(an_untrained_model))
    models.model_of(a_case.subject)
    one = evaluation.evaluate_subject(a_case, translation_of(a_case, a_case.truth + 0.15), [tissue_of(a_case)])
    nine = [dataclasses.replace(one.patient, name=f"n{number}", person=f"n{number}") for number in range(9)]
    results = tuple(dataclasses.replace(one, patient=patient) for patient in nine)
    write_into(an_untrained_model, evaluation.Evaluation(results, {}, "t1n", "t2w"), models)
    block = read_metadata(an_untrained_model)["t1t2"]
    assert block["error_factor"] == pytest.approx(2 * 1.5, rel=0.01)
    interval = block["interval"]
    assert interval["factor"] * (1.5 * 0.1 + CHOSEN.added) == pytest.approx(0.15, rel=0.02)
    assert (interval["stated_coverage"], interval["subjects"], interval["added"]) == (0.9, 9, CHOSEN.added)
    assert load_model(an_untrained_model).error_factor == block["error_factor"]
    assert "90 % is expected within" in page_of(an_untrained_model)


# ---- the card's page


def test_of_a_card_that_somebody_made_theirs_only_the_scores_between_their_marks_are_written(an_untrained_model):
    write_card_page(an_untrained_model)
    ours = page_of(an_untrained_model)
    assert "**Not evaluated.**" in ours
    theirs = "My words.\n" + ours[ours.index("<!-- scores") :].replace("- A synthetic", "- Never trust it. A synthetic")
    (an_untrained_model / "docs" / "README.md").write_text(theirs)
    set_block(an_untrained_model, scores={"whole-head brain": {"MAE": 0.123456, "subjects": 4}})
    write_card_page(an_untrained_model)
    page = page_of(an_untrained_model)
    assert page.startswith("My words.\n")
    assert "Never trust it." in page
    assert "| whole-head brain | 0.123 | 4 |" in page
    assert "Not evaluated" not in page
    (an_untrained_model / "docs" / "README.md").write_text("No marks.")
    assert not write_card_page(an_untrained_model)
    assert page_of(an_untrained_model) == "No marks."


# ---- where a look-up table does no worse


WEAK = {"MAE": 0.2, "table MAE": 0.15}
STRONG = {"MAE": 0.1, "table MAE": 0.15}


@pytest.mark.parametrize(
    ("scores", "weak_at"),
    [
        ({"skull-stripped brain": WEAK, "tumour": STRONG}, ("skull-stripped brain",)),
        ({"tumour": {"MAE": 0.15, "table MAE": 0.15}}, ("tumour",)),
        ({"tumour": {"MAE": 0.2}, "protocol": "T2P-1", "whole-head brain": {"MAE": "x", "table MAE": 0.1}}, ()),
        ({"tumour": {"MAE": float("inf"), "table MAE": float("inf")}}, ()),
        ({"tumour": {"MAE": 10**400, "table MAE": 10**400}}, ()),
        ({}, ()),
    ],
)
def test_a_card_knows_where_its_model_does_not_beat_the_table(an_untrained_model, scores, weak_at):
    set_block(an_untrained_model, scores=scores)
    card = find_model(an_untrained_model)
    assert card.weak_at == weak_at
    assert sum("a mere look-up table" in line for line in warnings(str, card)) == len(weak_at)


@pytest.mark.parametrize(
    ("stripped", "kinds", "said"),
    [
        (True, ["skull-stripped brain"], ["On skull-stripped brains this model was no better than a look-up table"]),
        (False, ["skull-stripped brain"], []),
        (False, ["whole-head brain"], ["On whole heads this model was no better than a look-up table"]),
        (True, ["whole-head brain", "tumour"], ["If there is a tumour, do not trust how it looks"]),
    ],
)
def test_a_translation_says_where_its_model_is_weak(an_untrained_model, stripped, kinds, said):
    set_block(an_untrained_model, scores=dict.fromkeys(kinds, WEAK))
    head = a_head()  # with a scanner's noise around it
    volume = head.with_array(np.where(head.array > 300, head.array, 0)) if stripped else head
    translation = translate(volume, load_model(an_untrained_model), device="cpu", accept_any_input=True)
    found = [check for check in translation.checks if check.name == "model"]
    assert [check.level for check in found] == ["amber"] * len(said)
    assert all(check.message.startswith(sentence) for check, sentence in zip(found, said, strict=True))
    assert all("mean error 200 of 1000, the table's 150" in check.message for check in found)
