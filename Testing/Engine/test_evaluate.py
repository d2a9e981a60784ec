"""Judging over a data list: who is judged by which model, what the baselines may know, what the files say."""

import csv
import json

import numpy as np
import pytest
from phantom import a_head_volume
from scipy.stats import mannwhitneyu
from T1T2TranslationLib.errors import UnsuitableTrainingData, UnsuitableVolume
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
from T1T2TranslationLib.evaluation.calibration import (
    FACTORS,
    area_under_roc,
    calibration,
    conformal_factor,
    cross_fitted_coverages,
    miscoverage,
    sparsification,
)
from T1T2TranslationLib.evaluation.results import FITTED, MODEL, SEED_FRAME, WHOLE_GRID, axial_pictures
from T1T2TranslationLib.evaluation.statistics import estimate, paired_p_value
from T1T2TranslationLib.io import write_volume
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


def test_learners_never_see_the_judged_fold():
    tissues = [Tissue(Subject(name, {}, fold), np.zeros(256), np.zeros(256)) for name, fold in [("a", 0), ("b", 0), ("c", 1)]]
    assert [tissue.subject.id for tissue in training_tissues(tissues[0].subject, tissues)] == ["c"]
    alone = [Tissue(Subject(name, {}), np.zeros(256), np.zeros(256)) for name in "ab"]
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
    pictures = axial_pictures(a_case, {"right": right, "anterior": anterior})
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
    assert found["width"] == pytest.approx(2 * np.log(10) * scale.mean())


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


def test_the_conformal_factor_is_the_smallest_with_bounded_risk():
    curves = [1.0 * (FACTORS < 2.0)] * 8 + [1.0 * (FACTORS < 5.0)]
    assert conformal_factor(curves, alpha=0.1) == pytest.approx(5, rel=0.03)  # (9 R + 1) / 10 <= 0.1: nobody may fail
    assert conformal_factor(curves, alpha=0.2) == pytest.approx(2, rel=0.03)  # one of nine may
    assert conformal_factor(curves[:8], alpha=0.1) == np.inf


def test_cross_fitting_uses_the_other_subjects_factor():
    curves = [miscoverage(np.full(100, 0.1), np.full(100, 0.1))] * 10 + [miscoverage(np.full(100, 0.3), np.full(100, 0.1))]
    coverages = cross_fitted_coverages(curves)
    assert coverages[0] == pytest.approx(1)  # the hard subject among the others widens the interval
    assert coverages[-1] == pytest.approx(0, abs=0.2)  # and is not covered by the easy ones'


# ---- statistics


def test_the_interval_of_equal_values_is_a_point_and_nan_is_nobody():
    assert estimate([0.3, 0.3, float("nan"), float("inf")]) == pytest.approx((0.3, 0.3, 0.3, 2))
    assert estimate([]).n == 0


def test_the_bootstrap_interval_is_about_two_standard_errors_each_way():
    values = np.random.default_rng(8).normal(1, 0.2, 100)
    found = estimate(values)
    error = values.std() / 10
    assert (found.low, found.high) == pytest.approx((values.mean() - 1.96 * error, values.mean() + 1.96 * error), abs=0.01)


def test_six_subjects_all_better_have_the_exact_p_value():
    ours = np.arange(6.0)
    assert paired_p_value(ours, ours + np.arange(1, 7)) == pytest.approx(2 / 2**6)
    assert np.isnan(paired_p_value(ours, ours))


# ---- the command


def run(a_datalist, out, monkeypatch, *extra, model="any", loaded=None):
    """The command with a model that always says the truth times 0.9, and never loads."""
    cases = {subject.id: load_case(subject, "t1n", "t2w") for subject in read_datalist(a_datalist, "t1n", "t2w")}
    loaded = [] if loaded is None else loaded

    def translate(volume, model, device):
        case = next(case for case in cases.values() if volume.name.startswith(case.subject.id))
        loaded.append((case.subject.id, model))
        return translation_of(case, 0.9 * case.truth)

    monkeypatch.setattr(evaluation, "load_model", lambda name: name)
    monkeypatch.setattr(evaluation.inference, "translate", translate)
    return evaluation.main([model, str(a_datalist), "-o", str(out), *extra])


def test_the_command_leaves_a_page_a_table_and_numbers_that_agree(a_datalist, tmp_path, monkeypatch):
    assert run(a_datalist, tmp_path / "out", monkeypatch) == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "T2P-1" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    assert page.count('<img src="data:image/png;base64,') == 5
    document = json.loads((tmp_path / "out" / "scores.json").read_text())
    rows = list(csv.DictReader((tmp_path / "out" / "subjects.csv").open()))
    ours = [float(row["MAE"]) for row in rows if row["predictor"] == MODEL and row["region"] == "brain"]
    assert len(ours) == 3
    assert document["groups"]["paired"]["summary"][MODEL]["brain"]["MAE"]["mean"] == pytest.approx(np.mean(ours))
    assert {row["predictor"] for row in rows} == {MODEL, GREY, TABLE, COPY, BLUR}
    assert [row["subject"] for row in rows if row["predictor"] == MODEL and row["region"] == "tumour"] == ["p1"]


def test_a_model_name_with_fold_takes_each_subjects_own(a_datalist, tmp_path, monkeypatch):
    loaded = []
    run(a_datalist, tmp_path / "out", monkeypatch, model="runs/fold{fold}", loaded=loaded)
    assert loaded == [("p0", "runs/fold0"), ("p1", "runs/fold1"), ("p2", "runs/fold2")]


def test_only_the_asked_fold_is_judged(a_datalist, tmp_path, monkeypatch):
    loaded = []
    run(a_datalist, tmp_path / "out", monkeypatch, "--fold", "2", loaded=loaded)
    assert [name for name, _ in loaded] == ["p2"]
    with pytest.raises(UnsuitableVolume, match="No subject"):
        run(a_datalist, tmp_path / "out", monkeypatch, "--fold", "7")


def test_a_subject_that_cannot_be_read_is_named_and_the_exit_code_says_so(a_datalist, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluation, "load_model", lambda name: name)
    monkeypatch.setattr(evaluation.inference, "translate", lambda volume, model, device: _grey(volume))
    table = json.loads(a_datalist.read_text())
    broken = a_datalist.with_name("broken.json")
    table["paired"].append({"id": "gone", "fold": 0, "images": {"t1n": "none.nii.gz", "t2w": "none.nii.gz"}})
    broken.write_text(json.dumps(table))
    assert evaluation.main(["any", str(broken), "-o", str(tmp_path)]) == UnsuitableVolume.exit_code
    document = json.loads((tmp_path / "scores.json").read_text())
    assert list(document["left out"]) == ["gone"]
    assert [subject["id"] for subject in document["subjects"]] == ["p0", "p1", "p2"]
    assert "gone" in (tmp_path / "report.html").read_text()


def _grey(volume):
    grey = volume.with_array(np.full(volume.shape, 300, dtype=np.int16))
    return Translation(grey, grey, (), (), {})


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
