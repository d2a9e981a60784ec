"""Judging over a data list: who is judged by which model, what the baselines may know, what the files say."""

import csv
import dataclasses
import html
import json
import logging

import numpy as np
import pytest
from givens import save_untrained_model
from phantom import a_head_volume
from scipy.stats import mannwhitneyu
from T1T2TranslationLib.catalog import read_metadata
from T1T2TranslationLib.errors import UnsuitableModel, UnsuitableOutput, UnsuitableTrainingData, UnsuitableVolume
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
from T1T2TranslationLib.evaluation.calibration import area_under_roc, calibration, sparsification
from T1T2TranslationLib.evaluation.conformal import CHOSEN, Calibration
from T1T2TranslationLib.evaluation.conventions import CONVENTIONS
from T1T2TranslationLib.evaluation.judged import JudgedModels, write_calibration
from T1T2TranslationLib.evaluation.results import FITTED, MODEL, SEED_FRAME, WHOLE_GRID
from T1T2TranslationLib.evaluation.statistics import estimate, paired_p_value
from T1T2TranslationLib.evaluation.study import STUDY, STUDY_TABLE, axial_pictures, best_median_worst
from T1T2TranslationLib.io import write_volume
from T1T2TranslationLib.model import load_model
from T1T2TranslationLib.subjects import Subject, load_case, read_datalist
from T1T2TranslationLib.translation import Translation


@pytest.fixture(scope="module")
def a_datalist(tmp_path_factory):
    """Three stripped patients of different brightness, one fold each; the second has a tumour."""
    folder = tmp_path_factory.mktemp("cohort")
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


@pytest.fixture
def subjects(a_datalist):
    return read_datalist(a_datalist, "t1n", "t2w")


@pytest.fixture
def a_case(subjects):
    """The subject with the tumour."""
    return load_case(subjects[1], "t1n", "t2w")


def translation_of(case, synthetic, predicted_error=0.1):
    """As if the model had said this (in the unit)."""
    images = [np.rint(1000 * np.broadcast_to(image, case.truth.shape)).astype(np.int16) for image in (synthetic, predicted_error)]
    return Translation(*(case.volume.with_array(image) for image in images), checks=(), warnings=(), provenance={})


# ---- the data list


def test_a_plain_monai_list_is_read_too(tmp_path):
    table = {"training": [{"image": "a-t1.nii.gz", "label": "a-t2.nii.gz", "fold": 2}], "name": "mine"}
    (tmp_path / "list.json").write_text(json.dumps(table))
    (subject,) = read_datalist(tmp_path / "list.json", "t1n", "t2w")
    assert (subject.id, subject.group, subject.fold) == ("a-t1", "training", 2)
    assert subject.images == {"t1n": tmp_path / "a-t1.nii.gz", "t2w": tmp_path / "a-t2.nii.gz"}


_LISTS = ("", "[1, 2]", '{"paired": [{"id": "x", "images": {"t1n": "a.nii"}}]}', '{"paired": [{"images": 3}]}')


@pytest.mark.parametrize("text", _LISTS)
def test_a_list_without_pairs_is_refused_in_a_sentence(tmp_path, text):
    (tmp_path / "list.json").write_text(text)
    with pytest.raises(UnsuitableTrainingData, match=r"list\.json"):
        read_datalist(tmp_path / "list.json", "t1n", "t2w")


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
    from T1T2TranslationLib.subjects import Case

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


# ---- predicted error


def test_a_laplace_distribution_is_covered_as_stated():
    random = np.random.default_rng(5)
    scale = random.uniform(0.02, 0.2, 200_000)
    found = calibration(np.abs(random.laplace(0, scale)), scale)
    assert found["coverage"] == pytest.approx(0.9, abs=0.005)
    assert found["ratio"] == pytest.approx(1, abs=0.02)


def test_the_area_under_the_roc_equals_the_rank_test_with_ties():
    random = np.random.default_rng(6)
    score, positive = random.integers(0, 20, 500), random.random(500) < 0.3
    expected = mannwhitneyu(score[positive], score[~positive]).statistic / (positive.sum() * (~positive).sum())
    assert area_under_roc(score, positive) == pytest.approx(expected)
    assert np.isnan(area_under_roc(score, positive & False))


def test_sparsification_leaves_the_highest_scored_out_first():
    error = np.arange(1.0, 11.0)
    assert sparsification(error, error)[[0, 5, 9]] == pytest.approx([1, 3 / 5.5, 1 / 5.5])
    assert sparsification(error, -error)[9] == pytest.approx(10 / 5.5)


# ---- statistics


def test_the_interval_of_equal_values_is_a_point_and_nan_is_nobody():
    assert estimate([0.3, 0.3, 0.3, float("nan"), float("inf")]) == pytest.approx((0.3, 0.3, 0.3, 3))
    assert estimate([]).n == 0


def test_one_or_two_subjects_have_a_mean_but_neither_interval_nor_p_value():
    found = estimate([0.2, 0.4])
    assert (found.mean, found.n) == (pytest.approx(0.3), 2)
    assert np.isnan([found.low, found.high]).all()
    assert found.interval(3) == "(n = 2)"
    assert estimate([0.2, 0.4, 0.6]).interval(1) == "(0.2 to 0.6)"
    assert np.isnan(paired_p_value([1.0, 2.0], [2.0, 3.0]))


def test_the_bootstrap_interval_is_about_two_standard_errors_each_way():
    values = np.random.default_rng(8).normal(1, 0.2, 100)
    found = estimate(values)
    error = values.std() / 10
    assert (found.low, found.high) == pytest.approx((values.mean() - 1.96 * error, values.mean() + 1.96 * error), abs=0.01)


def test_six_subjects_all_better_have_the_exact_p_value():
    ours = np.arange(6.0)
    assert paired_p_value(ours, ours + np.arange(1, 7)) == pytest.approx(2 / 2**6)
    assert np.isnan(paired_p_value(ours, ours))


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


# ---- calibration


@pytest.fixture
def an_untrained_model(tmp_path):
    return save_untrained_model(tmp_path / "models" / "untrained")


def test_a_calibration_is_written_beside_untouched_weights_and_used(an_untrained_model):
    before = load_model(an_untrained_model)
    write_calibration(an_untrained_model, Calibration(error_factor=1.5, factor=0.7), error_factor_before=2.0, subjects=13)
    after = load_model(an_untrained_model)  # refuses where the hash does not fit
    assert after.error_factor == pytest.approx(3)
    assert after.card.sha256 == before.card.sha256
    interval = read_metadata(an_untrained_model)["t1t2"]["interval"]
    assert (interval["stated_coverage"], interval["factor"], interval["subjects"]) == (0.9, 0.7, 13)
    assert (interval["added"], interval["largest_risk"]) == (CHOSEN.added, CHOSEN.largest_risk)


def set_block(folder, **entries):
    path = folder / "configs" / "metadata.json"
    metadata = json.loads(path.read_text())
    metadata["t1t2"] |= entries
    path.write_text(json.dumps(metadata))


def test_a_patient_in_the_training_list_is_known_by_any_session(an_untrained_model):
    set_block(an_untrained_model, training={"subjects": ["MS-01-1", "MS-07 stripped"]})
    models = JudgedModels(str(an_untrained_model))
    known = [models.has_learnt_from(Subject(name, {})) for name in ("MS-01-2", "MS-07", "MS-08")]
    assert known == [True, True, False]
    assert models.hashes() == {str(an_untrained_model): load_model(an_untrained_model).card.sha256}


def test_models_that_scale_their_errors_differently_calibrate_nothing(tmp_path):
    for fold in (0, 1):
        save_untrained_model(tmp_path / str(fold) / "model")
    set_block(tmp_path / "1" / "model", error_factor=1.2)
    models = JudgedModels(str(tmp_path / "{fold}" / "model"))
    assert models.model_of(Subject("a", {}, fold=0)).error_factor == 1
    assert models.error_factor() == 1
    assert models.model_of(Subject("b", {}, fold=1)).error_factor == 1.2
    with pytest.raises(UnsuitableModel, match=r"\[1\.0, 1\.2\]"):
        models.error_factor()


# ---- the command: a real model that has learnt nothing, so that only bookkeeping is judged here


def judge(a_datalist, out, model, *extra):
    return evaluation.main([str(model), str(a_datalist), "-o", str(out), "--device", "cpu", *extra])


@pytest.fixture(scope="module")
def a_report(a_datalist, tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    model = save_untrained_model(tmp_path_factory.mktemp("models") / "untrained")
    set_block(model, training={"subjects": ["p1"]})
    assert judge(a_datalist, out, model) == 0
    return out


def test_the_command_leaves_a_page_tables_and_numbers_that_agree(a_report):
    document = json.loads((a_report / "scores.json").read_text())
    rows = list(csv.DictReader((a_report / "subjects.csv").open()))
    ours = [float(row["MAE"]) for row in rows if row["predictor"] == MODEL and row["region"] == "brain"]
    assert len(ours) == 3
    assert document["groups"]["paired"]["summary"][MODEL]["brain"]["MAE"]["mean"] == pytest.approx(np.mean(ours))
    assert {row["predictor"] for row in rows} == {MODEL, GREY, TABLE, COPY, BLUR}
    assert [row["subject"] for row in rows if row["predictor"] == MODEL and row["region"] == "tumour"] == ["p1"]


def test_the_page_is_whole_in_itself_and_explains_itself(a_report):
    page = (a_report / "report.html").read_text()
    assert "http" not in page
    assert "SYNTHETIC" in page
    for words in (
        "T2P-1",
        "seed frame",
        "17 % brain",
        *(html.escape(convention.rule) for convention in CONVENTIONS),
        "t1t2 evaluate",
        "SHA-256",
    ):
        assert words in page, words
    for name in ("MAE", "HFEN", "AUSE", TABLE, "CSF"):
        assert page.count(name) > 1
    pictures = sorted(path.name for path in (a_report / "figures").iterdir())
    assert page.count('<img src="data:image/png;base64,') == len(pictures) + 3  # and a slice of each subject
    assert "paired-errors-slice-by-slice.png" in pictures
    assert "paired-slices-of-the-worst-subject.png" in pictures


def test_the_page_and_the_numbers_name_whom_the_model_knows_from_training(a_report):
    document = json.loads((a_report / "scores.json").read_text())
    assert [subject["id"] for subject in document["subjects"] if subject["was learnt from"]] == ["p1"]
    assert "p1 (in training)" in (a_report / "report.html").read_text()


def test_table_1_has_the_studys_own_row_first(a_report):
    rows = list(csv.DictReader((a_report / "table1.csv").open()))
    assert [row["subject"] for row in rows] == [STUDY, "p0", "p1", "p2"]
    assert {name: float(rows[0][name]) for name in STUDY_TABLE} == STUDY_TABLE
    assert float(rows[1]["total MAE"]) == pytest.approx(float(rows[1]["MAE"]) * float(rows[1]["slices"]))


def test_two_subjects_are_counted_instead_of_given_an_interval(a_datalist, tmp_path, an_untrained_model):
    table = json.loads(a_datalist.read_text())
    two = a_datalist.with_name("two.json")
    two.write_text(json.dumps({"paired": table["paired"][:2]}))
    assert judge(two, tmp_path / "out", an_untrained_model) == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "brain (n = 2)" in page
    assert "p, model against" not in page
    assert "Too few subjects for an interval" in page


def test_a_model_name_with_fold_takes_each_subjects_own(subjects, tmp_path):
    for fold in range(3):
        save_untrained_model(tmp_path / f"fold{fold}" / "model")
        set_block(tmp_path / f"fold{fold}" / "model", training={"subjects": [f"p{other}" for other in range(3) if other != fold]})
    models = JudgedModels(str(tmp_path / "fold{fold}" / "model"), "cpu")
    found = evaluation.evaluate(subjects, subjects, models, "t1n", "t2w")
    assert list(models.hashes()) == [str(tmp_path / f"fold{fold}" / "model") for fold in range(3)]
    assert found.learnt_from() == []
    unnumbered = dataclasses.replace(subjects[0], fold=None)
    assert "has no fold number" in evaluation.evaluate([unnumbered], [], models, "t1n", "t2w").left_out["p0"]


def test_only_the_asked_fold_is_judged(a_datalist, tmp_path, an_untrained_model):
    assert judge(a_datalist, tmp_path / "out", an_untrained_model, "--fold", "2") == 0
    document = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert [subject["id"] for subject in document["subjects"]] == ["p2"]
    with pytest.raises(UnsuitableVolume, match="No subject"):
        judge(a_datalist, tmp_path / "out", an_untrained_model, "--fold", "7")


def test_whoever_cannot_be_read_or_lacks_a_sequence_is_named_and_the_exit_code_says_so(
    a_datalist, tmp_path, an_untrained_model, caplog
):
    table = json.loads(a_datalist.read_text())
    broken = a_datalist.with_name("broken.json")
    table["paired"] = table["paired"][:1]
    table["paired"].append({"id": "gone", "fold": 0, "images": {"t1n": "none.nii.gz", "t2w": "none.nii.gz"}})
    table["paired"].append({"id": "single", "fold": 0, "images": {"t1n": "none.nii.gz"}})
    broken.write_text(json.dumps(table))
    with caplog.at_level(logging.INFO):
        assert judge(broken, tmp_path / "out", an_untrained_model) == UnsuitableVolume.exit_code
    document = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert set(document["left out"]) == {"single", "gone"}
    assert "no t2w" in document["left out"]["single"]
    assert [subject["id"] for subject in document["subjects"]] == ["p0"]
    page = (tmp_path / "out" / "report.html").read_text()
    assert "gone" in page
    assert "single" in page
    assert "gone" in caplog.text


def test_an_output_that_cannot_be_written_is_said_before_anything_is_read(a_datalist, tmp_path, an_untrained_model):
    (tmp_path / "file").write_text("")
    with pytest.raises(UnsuitableOutput):
        judge(a_datalist, tmp_path / "file", an_untrained_model)


def test_progress_only_grows_and_names_the_subject(a_datalist, subjects, an_untrained_model):
    heard = []
    models = JudgedModels(str(an_untrained_model), "cpu")
    evaluation.evaluate(subjects[:2], subjects[:2], models, "t1n", "t2w", progress=lambda *said: heard.append(said))
    fractions = [fraction for fraction, _ in heard]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0, 1)
    assert [message for _, message in heard] == ["Reading p0", "Reading p1", "Judging p0", "Judging p1", "Writing"]


def test_a_model_is_not_calibrated_by_its_own_training_nor_by_few_subjects(a_datalist, tmp_path, an_untrained_model):
    set_block(an_untrained_model, training={"subjects": ["p0"]})
    before = (an_untrained_model / "configs" / "metadata.json").read_text()
    options = ("--calibrate", str(an_untrained_model), "--fold")
    with pytest.raises(UnsuitableTrainingData, match="knows p0 from its training"):
        judge(a_datalist, tmp_path / "out", an_untrained_model, *options, "0")
    with pytest.raises(UnsuitableTrainingData, match="1 subject is too few"):
        judge(a_datalist, tmp_path / "out", an_untrained_model, *options, "2")
    assert (an_untrained_model / "configs" / "metadata.json").read_text() == before


def test_what_nine_held_out_subjects_give_is_written_into_the_model(a_case, an_untrained_model):
    """Errors of 0.15 everywhere where 0.1 was predicted, by models that double their scale already."""
    set_block(an_untrained_model, error_factor=2.0)
    models = JudgedModels(str(an_untrained_model))
    models.model_of(a_case.subject)
    one = evaluation.evaluate_subject(a_case, translation_of(a_case, a_case.truth + 0.15))
    nine = [dataclasses.replace(one.patient, name=f"n{number}", person=f"n{number}") for number in range(9)]
    results = tuple(dataclasses.replace(one, patient=patient) for patient in nine)
    evaluation._calibrate(an_untrained_model, evaluation.Evaluation(results, {}, "t1n", "t2w"), models)
    block = read_metadata(an_untrained_model)["t1t2"]
    assert block["error_factor"] == pytest.approx(2 * 1.5, rel=0.01)
    assert block["interval"]["factor"] * (1.5 * 0.1 + CHOSEN.added) == pytest.approx(0.15, rel=0.02)
    assert load_model(an_untrained_model).error_factor == block["error_factor"]


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
