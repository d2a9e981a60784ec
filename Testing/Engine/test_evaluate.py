"""`t1t2 evaluate` over a data list: who is judged by which model, who is left out, what the files say."""

import csv
import dataclasses
import html
import json
import logging

import numpy as np
import pytest
from evaluation_givens import judge, set_block
from givens import save_untrained_model
from T1T2TranslationLib.errors import UnsuitableModel, UnsuitableOutput, UnsuitableTrainingData, UnsuitableVolume
from T1T2TranslationLib.evaluation import evaluate as evaluation
from T1T2TranslationLib.evaluation.baselines import BLUR, COPY, GREY, TABLE
from T1T2TranslationLib.evaluation.conventions import CONVENTIONS
from T1T2TranslationLib.evaluation.judged import JudgedModels
from T1T2TranslationLib.evaluation.results import MODEL
from T1T2TranslationLib.evaluation.study import STUDY, STUDY_TABLE
from T1T2TranslationLib.model import load_model
from T1T2TranslationLib.subjects import Subject, read_datalist

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


# ---- the models


def test_a_patient_in_the_training_list_is_known_by_any_session(an_untrained_model):
    set_block(an_untrained_model, training={"subjects": ["MS-01-1", "MS-07 stripped"]})
    models = JudgedModels(str(an_untrained_model))
    known = [models.has_learnt_from(Subject(name, {})) for name in ("MS-01-2", "MS-07", "MS-08")]
    assert known == [True, True, False]
    assert models.hashes() == {str(an_untrained_model): load_model(an_untrained_model).card.sha256}


@pytest.mark.parametrize(
    ("listed", "subject"),
    [
        ("sub-01_ses-a", Subject("sub-01_ses-b", {}, patient="sub-01")),
        ("visit1", Subject("visit1", {}, patient="P1")),
        ("Patient 3", Subject("Patient 3", {})),
        ("scan 7 stripped", Subject("scan 7", {})),
    ],
)
def test_a_patient_in_the_training_list_is_known_by_any_name(an_untrained_model, listed, subject):
    set_block(an_untrained_model, training={"subjects": [listed]})
    models = JudgedModels(str(an_untrained_model))
    assert models.has_learnt_from(subject)
    assert not models.has_learnt_from(Subject("scan 8", {}))


def test_who_is_listed_twice_is_judged_once(a_cohort, tmp_path, an_untrained_model):
    table = json.loads(a_cohort.read_text())
    twice = a_cohort.with_name("twice.json")
    twice.write_text(json.dumps({"paired": [table["paired"][0]], "testing": [table["paired"][0]]}))
    judge(twice, tmp_path / "out", an_untrained_model)
    document = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert [subject["id"] for subject in document["subjects"]] == ["p0"]
    assert document["left out"] == {"p0 (entry 2)": "listed twice"}


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


@pytest.fixture(scope="module")
def a_report(a_cohort, tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    model = save_untrained_model(tmp_path_factory.mktemp("models") / "untrained")
    set_block(model, training={"subjects": ["p1"]})
    assert judge(a_cohort, out, model) == 0
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
    assert "://" not in page  # a picture in base64 may well spell "http", never a colon
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


def test_two_subjects_are_counted_instead_of_given_an_interval(a_cohort, tmp_path, an_untrained_model):
    table = json.loads(a_cohort.read_text())
    two = a_cohort.with_name("two.json")
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


def test_the_sequences_are_those_of_the_model_where_the_command_names_none(a_cohort, tmp_path, an_untrained_model):
    set_block(an_untrained_model, source_sequence="T2", target_sequence="T1")
    judge(a_cohort, tmp_path / "out", an_untrained_model, "--fold", "1")
    document = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert (document["source"], document["target"]) == ("t2w", "t1n")
    assert "T2 to T1" in (tmp_path / "out" / "report.html").read_text()


def test_the_sequences_of_a_pattern_are_those_of_any_model_behind_it(tmp_path):
    for fold in (1, 2):
        set_block(save_untrained_model(tmp_path / f"cv{fold}" / "model"), source_sequence="FLAIR")
    models = JudgedModels(str(tmp_path / "cv{fold}" / "model"))
    assert models.a_card().source == "FLAIR"
    assert models.a_card(2).folder == (tmp_path / "cv2" / "model").resolve()
    with pytest.raises(UnsuitableModel, match="There is no model"):
        models.a_card(0)


def test_only_the_asked_fold_is_judged(a_cohort, tmp_path, an_untrained_model):
    assert judge(a_cohort, tmp_path / "out", an_untrained_model, "--fold", "2") == 0
    document = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert [subject["id"] for subject in document["subjects"]] == ["p2"]
    with pytest.raises(UnsuitableVolume, match="No subject"):
        judge(a_cohort, tmp_path / "out", an_untrained_model, "--fold", "7")


def test_whoever_cannot_be_read_or_lacks_a_sequence_is_named_and_the_exit_code_says_so(
    a_cohort, tmp_path, an_untrained_model, caplog
):
    table = json.loads(a_cohort.read_text())
    broken = a_cohort.with_name("broken.json")
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


def test_an_output_that_cannot_be_written_is_said_before_anything_is_read(a_cohort, tmp_path, an_untrained_model):
    (tmp_path / "file").write_text("")
    with pytest.raises(UnsuitableOutput):
        judge(a_cohort, tmp_path / "file", an_untrained_model)


def test_progress_only_grows_and_names_the_subject(a_cohort, subjects, an_untrained_model):
    heard = []
    models = JudgedModels(str(an_untrained_model), "cpu")
    evaluation.evaluate(subjects[:2], subjects[:2], models, "t1n", "t2w", progress=lambda *said: heard.append(said))
    fractions = [fraction for fraction, _ in heard]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0, 1)
    assert [message for _, message in heard] == ["Reading p0", "Reading p1", "Judging p0", "Judging p1", "Writing"]
