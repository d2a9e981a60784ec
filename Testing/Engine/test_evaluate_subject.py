"""One judged subject: what baselines may know, what each score means, what the study of 2020 shows of it."""

import dataclasses

import numpy as np
import pytest
from evaluation_givens import translation_of
from phantom import a_head_volume
from T1T2TranslationLib.evaluation import evaluate as evaluation
from T1T2TranslationLib.evaluation.baselines import (
    BLUR,
    COPY,
    GREY,
    TABLE,
    Tissue,
    baseline_predictions,
    tissue_of,
    training_tissues,
)
from T1T2TranslationLib.evaluation.conventions import CONVENTIONS
from T1T2TranslationLib.evaluation.results import FITTED, MODEL, SEED_FRAME, WHOLE_GRID
from T1T2TranslationLib.evaluation.study import axial_pictures, best_median_worst
from T1T2TranslationLib.subjects import Case, Subject, load_case, read_datalist

# ---- baselines


def test_learners_never_see_the_judged_fold_or_another_session_of_the_patient():
    tissues = [Tissue(Subject(name, {}, fold), np.zeros(256), np.zeros(256)) for name, fold in [("a", 0), ("b", 0), ("c", 1)]]
    assert [tissue.subject.id for tissue in training_tissues(tissues[0].subject, tissues)] == ["c"]
    alone = [Tissue(Subject(name, {}), np.zeros(256), np.zeros(256)) for name in ("MS-01-1", "MS-01-2", "b")]
    assert [tissue.subject.id for tissue in training_tissues(alone[0].subject, alone)] == ["b"]


def test_baselines_are_what_they_are_called(a_case):
    predictions = baseline_predictions(a_case, [tissue_of(a_case)])
    brain, truth = a_case.brain, a_case.truth
    assert predictions[GREY][brain] == pytest.approx(truth[brain].mean(), abs=1e-4)
    assert predictions[TABLE][brain].mean() == pytest.approx(truth[brain].mean(), abs=1e-4)
    assert np.corrcoef(predictions[COPY][brain], a_case.volume.array[brain])[0, 1] > 0.99
    assert np.abs(predictions[BLUR] - truth)[brain].mean() < np.abs(predictions[GREY] - truth)[brain].mean()
    assert all(not prediction[~brain].any() for prediction in predictions.values())


def test_without_others_to_learn_from_two_baselines_are_left():
    assert set(baseline_predictions(a_case_of_noise(), [])) == {COPY, BLUR}


def a_case_of_noise():
    volume = a_head_volume(stripped=True)
    brain = volume.array > 0
    return Case(Subject("x", {}), volume, brain * np.float32(0.5), {"brain": brain}, np.ones_like(brain), True)


# ---- one subject


def test_the_truth_itself_scores_perfectly_and_its_baselines_do_not(a_case):
    result = evaluation.evaluate_subject(a_case, translation_of(a_case, a_case.truth), [tissue_of(a_case)])
    ours = result.scores[MODEL]
    assert ours["brain"]["MAE"] == pytest.approx(0, abs=1e-3)
    assert ours["brain"]["SSIM"] == pytest.approx(1, abs=1e-3)
    assert ours["tumour"]["contrast"] == pytest.approx(1, abs=1e-2)
    assert ours["brain"]["coverage"] == 1
    assert {"brain", "tumour", "ring", FITTED, SEED_FRAME, WHOLE_GRID} <= set(ours)
    assert all(result.scores[name]["brain"]["MAE"] > 0.01 for name in (GREY, COPY, BLUR))


def test_a_wrong_gain_is_forgiven_only_after_the_fit(a_case):
    scores = evaluation.score(0.5 * a_case.truth, a_case)
    assert scores["brain"]["MAE"] == pytest.approx(0.5 * a_case.truth[a_case.brain].mean(), rel=1e-3)
    assert scores["brain"]["gain"] == pytest.approx(2, rel=1e-3)
    assert scores[FITTED]["MAE"] == pytest.approx(0, abs=1e-4)


def test_pictures_show_anterior_up_and_the_patients_right_on_the_left(a_case):
    right = np.zeros(a_case.truth.shape, dtype=np.float32)
    right[40:, :, :] = 1  # the phantom's i runs from left to right
    anterior = np.zeros_like(right)
    anterior[:, 45:, :] = 1
    pictures = axial_pictures(a_case, {"right": right, "anterior": anterior}, number=22)
    assert pictures["right"][:, 0].all()
    assert not pictures["right"][:, -1].any()
    assert pictures["anterior"][0].all()
    assert not pictures["anterior"][-1].any()


# ---- the study of 2020


def test_the_study_is_shown_the_best_the_median_and_the_worst_subject():
    assert best_median_worst([0.3, 0.1, 0.2]) == {"best": 1, "median": 2, "worst": 0}
    assert best_median_worst([0.3, 0.1]) == {"best": 1, "worst": 0}
    assert best_median_worst([0.3]) == {"best": 0}


def test_the_panel_shows_slices_of_the_studys_frame_from_the_feet_up_with_their_own_losses(a_case):
    wrong = a_case.truth + 0.25 * (np.arange(a_case.truth.shape[2]) >= 20)
    result = evaluation.evaluate_subject(a_case, translation_of(a_case, wrong), [tissue_of(a_case)])
    numbers = [row.number for row in result.panel]
    assert numbers == sorted(numbers)
    assert set(numbers) <= set(result.slices[MODEL].numbers)
    assert [row.absolute for row in result.panel] == pytest.approx([0.25 if number >= 20 else 0 for number in numbers], abs=1e-3)
    assert list(result.panel[0].pictures) == ["input", "synthetic", "real", "error"]
    assert set(result.slices) == {MODEL, TABLE, GREY}


def test_whole_heads_have_no_frame_with_air(a_case):
    case = dataclasses.replace(a_case, skull_stripped=False)
    result = evaluation.evaluate_subject(case, translation_of(case, case.truth))
    assert not result.slices
    assert not result.panel
    assert not result.conventions
    assert SEED_FRAME not in result.scores[MODEL]


def test_every_convention_scores_the_model_and_what_knows_next_to_nothing(a_case):
    result = evaluation.evaluate_subject(a_case, translation_of(a_case, 0.9 * a_case.truth), [tissue_of(a_case)])
    assert set(result.conventions) == {MODEL, TABLE, GREY}
    assert set(result.conventions[MODEL]) == {convention.name for convention in CONVENTIONS}
    whole = result.conventions[MODEL]["whole grid, 3D"]["PSNR"]
    assert whole == pytest.approx(result.scores[MODEL][WHOLE_GRID]["PSNR"], abs=1e-3)


@pytest.mark.data
@pytest.mark.slow
def test_the_blurred_truth_scores_as_the_protocol_states(shared_data):
    """0.042, 23.2 dB, 0.771, 0.56, 0.52 on other patients; one patient lies near."""
    subject = next(one for one in read_datalist(shared_data / "datalist.json", "t1n", "t2w") if one.id == "BraTS2021_01657")
    case = load_case(subject, "t1n", "t2w")
    scores = evaluation.score(baseline_predictions(case, [])[BLUR], case)
    found = [scores["brain"][name] for name in ("MAE", "SSIM", "sharpness", "HFEN")]
    assert found == pytest.approx([0.042, 0.771, 0.56, 0.52], rel=0.15)
    assert scores["brain"]["PSNR"] == pytest.approx(23.2, abs=1.5)
