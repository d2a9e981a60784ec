"""The survey of a data set: a data list or a folder, damaged and unpaired subjects by name and reason, a list to edit."""

from __future__ import annotations

import gzip
import json
import logging
import os
from pathlib import Path

import pytest
from phantom import a_head_volume
from T1T2TranslationLib.cli import main
from T1T2TranslationLib.errors import UnsuitableTrainingData
from T1T2TranslationLib.io import write_volume
from T1T2TranslationLib.subjects import listed_subjects
from T1T2TranslationLib.survey import read_subjects, take_survey, write_datalist


@pytest.fixture(scope="module")
def a_scan(tmp_path_factory) -> bytes:
    """A .nii.gz of 17 x 19 x 23 voxels."""
    path = tmp_path_factory.mktemp("scan") / "scan.nii.gz"
    write_volume(a_head_volume((17, 19, 23), (0.9, 0.9, 3.0), degrees=17), path)
    return path.read_bytes()


@pytest.fixture
def brats(tmp_path, a_scan) -> Path:
    """Three whole subjects as BraTS 2023 names them, the last with a tumour mask."""
    for name in ("a-t1n", "a-t2w", "b-t1n", "b-t2w", "c-t1n", "c-t2w", "c-seg"):
        path = tmp_path / "data" / name[0] / f"{name}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(a_scan)
    return tmp_path / "data"


def left_out(folder: Path) -> dict[str, str]:
    return dict(take_survey(folder, "t1n", "t2w").left_out)


def test_whole_subjects_are_used_and_counted(brats, caplog):
    caplog.set_level(logging.INFO)
    assert [subject.id for subject in read_subjects(brats, "t1n", "t2w")] == ["a", "b", "c"]
    assert caplog.messages == ["BraTS-like folder 'data': 3 subjects: 3 used, of 3 patients"]


def test_the_summary_names_everybody_left_out_by_reason(brats, caplog):
    caplog.set_level(logging.INFO)
    (brats / "a" / "a-t2w.nii.gz").unlink()
    (brats / "b" / "b-t2w.nii.gz").unlink()
    assert [subject.id for subject in read_subjects(brats, "t1n", "t2w")] == ["c"]
    assert caplog.messages == ["BraTS-like folder 'data': 3 subjects: 1 used, of 1 patient", "Left out: a, b (no t2w)"]


def test_a_truncated_file_is_found_before_work_begins(brats):
    path = brats / "b" / "b-t1n.nii.gz"
    path.write_bytes(path.read_bytes()[:-200])
    assert left_out(brats) == {"b": "t1n: 'b-t1n' is incomplete: its compressed data stop early"}


def test_a_truncated_unpacked_file_is_found(brats, a_scan):
    (brats / "b" / "b-t1n.nii.gz").unlink()
    (brats / "b" / "b-t1n.nii").write_bytes(gzip.decompress(a_scan)[:-1000])
    assert left_out(brats)["b"].startswith("t1n: 'b-t1n' is incomplete: it holds")


@pytest.mark.parametrize(
    "content", [b"", b"no scan at all", gzip.compress(b"nor here" * 90)], ids=["empty", "text", "packed text"]
)
def test_a_file_of_something_else_is_found(brats, content):
    (brats / "a" / "a-t2w.nii.gz").write_bytes(content)
    assert left_out(brats)["a"].startswith("t2w: 'a-t2w' is ")


def test_a_damaged_mask_leaves_its_subject_out(brats):
    path = brats / "c" / "c-seg.nii.gz"
    path.write_bytes(path.read_bytes()[:100])
    assert left_out(brats)["c"].startswith("seg: ")


def test_a_scan_packed_in_two_parts_is_whole(brats, a_scan):
    plain = gzip.decompress(a_scan)
    (brats / "a" / "a-t2w.nii.gz").write_bytes(gzip.compress(plain[:5000]) + gzip.compress(plain[5000:]))
    assert left_out(brats) == {}


def test_only_headers_are_read_of_whole_files(brats, monkeypatch):
    from T1T2TranslationLib import survey

    monkeypatch.delattr(survey, "read_volume")
    assert len(read_subjects(brats, "t1n", "t2w")) == 3


def test_one_file_as_input_and_truth_is_refused(brats):
    (brats / "a" / "a-t2w.nii.gz").unlink()
    os.link(brats / "a" / "a-t1n.nii.gz", brats / "a" / "a-t2w.nii.gz")
    assert left_out(brats) == {"a": "t1n and t2w are one file"}


def test_other_sequences_can_be_asked_for(brats):
    with pytest.raises(UnsuitableTrainingData, match=r"Nobody in .* can be used \(a: no t2f; b: no t2f; c: no t2f\)"):
        read_subjects(brats, "t1n", "t2f")
    assert len(read_subjects(brats, "t2w", "t1n")) == 3


def test_a_folder_that_is_no_data_set_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "head-01-labels.nii.gz").touch()
    with pytest.raises(UnsuitableTrainingData, match="neither a data list nor a folder of BraTS, IXI or BIDS"):
        read_subjects(tmp_path, "t1n", "t2w")


def test_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(UnsuitableTrainingData, match=r"'nowhere' cannot be read"):
        read_subjects(tmp_path / "nowhere", "t1n", "t2w")


# ---- data lists


def a_list(folder: Path, *entries: dict, name: str = "list.json") -> Path:
    (folder / name).write_text(json.dumps({"training": list(entries)}))
    return folder / name


def test_a_missing_file_of_a_data_list_is_said(brats):
    path = a_list(
        brats, {"image": "a/a-t1n.nii.gz", "label": "a/gone.nii.gz"}, {"image": "b/b-t1n.nii.gz", "label": "b/b-t2w.nii.gz"}
    )
    survey = take_survey(path, "t1n", "t2w")
    assert [subject.id for subject in survey.used] == ["b-t1n"]
    assert "There is no file or folder" in survey.left_out["a-t1n"]


def test_files_of_one_name_give_different_subjects(brats, a_scan):
    for patient in ("a", "b"):
        for word in ("t1", "t2"):
            (brats / patient / f"{word}.nii.gz").write_bytes(a_scan)
    path = a_list(brats, *({"image": f"{one}/t1.nii.gz", "label": f"{one}/t2.nii.gz"} for one in "ab"))
    assert [subject.id for subject in read_subjects(path, "t1n", "t2w")] == ["a/t1", "b/t1"]


def test_a_monai_list_with_all_sequences_in_one_entry_is_understood(brats):
    entry = {"fold": 2, "image": ["c/c-t2w.nii.gz", "c/c-t1n.nii.gz"], "label": "c/c-seg.nii.gz"}
    (subject,) = read_subjects(a_list(brats, entry), "t1n", "t2w")
    assert {name: path.name for name, path in subject.images.items()} == {
        "t2w": "c-t2w.nii.gz",
        "t1n": "c-t1n.nii.gz",
        "seg": "c-seg.nii.gz",
    }
    assert subject.fold == 2


@pytest.mark.parametrize("words", [("t1", "t2"), ("T1", "T2"), ("T1w", "T2w"), ("t1n", "T2"), ("image", "label")])
@pytest.mark.parametrize("under_images", [True, False])
def test_sequences_may_be_spelled_as_in_file_names(brats, words, under_images):
    images = dict(zip(words, ("a/a-t1n.nii.gz", "a/a-t2w.nii.gz"), strict=True))
    (subject,) = read_subjects(a_list(brats, {"images": images} if under_images else images), "t1n", "t2w")
    assert subject.images == {"t1n": brats / "a" / "a-t1n.nii.gz", "t2w": brats / "a" / "a-t2w.nii.gz"}


def test_the_other_sequences_of_brats_2018_are_understood_too(brats):
    images = {"t1ce": "a/a-t1n.nii.gz", "flair": "a/a-t2w.nii.gz", "segm": "c/c-seg.nii.gz"}
    (subject,) = read_subjects(a_list(brats, {"images": images}), "t1c", "t2f")
    assert list(subject.images) == ["t1c", "t2f", "seg"]


def test_of_two_keys_for_one_sequence_the_name_itself_counts(brats):
    named, other = "a/a-t1n.nii.gz", "b/b-t1n.nii.gz"
    for images in ({"t1": other, "t1n": named}, {"t1n": named, "t1": other}):
        (subject,) = read_subjects(a_list(brats, {"images": {**images, "t2w": "a/a-t2w.nii.gz"}}), "t1n", "t2w")
        assert subject.images["t1n"] == brats / named


def test_every_entry_of_a_data_list_is_used_or_left_out_by_name(brats):
    good = {"id": "a", "images": {"t1n": "a/a-t1n.nii.gz", "t2w": "a/a-t2w.nii.gz"}}
    bad = [{}, "notes.txt", 42, None, [], {"id": "b", "images": {"adc": "b.nii"}}, {"images": 3}, {"image": [7]}]
    survey = take_survey(a_list(brats, good, *bad), "t1n", "t2w")
    names = [f"entry {number} of 'training'" for number in (2, 3, 4, 5, 6, 8, 9)]
    assert survey.left_out == dict.fromkeys([*names, "b"], "no t1n and no t2w")
    assert survey.lines()[0] == "Data list 'list.json': 9 subjects: 1 used, of 1 patient"


def test_lists_of_words_and_of_label_maps_are_no_subjects(brats):
    good = {"id": "a", "images": {"t1n": "a/a-t1n.nii.gz", "t2w": "a/a-t2w.nii.gz"}}
    about = {"keywords": ["glioma"], "shape": [17, 19, 23], "labels": [{"id": "head-01", "path": "labels/head-01.nii.gz"}]}
    (brats / "list.json").write_text(json.dumps({"training": [good], "test": ["scan.mha"], **about}))
    assert left_out(brats / "list.json") == {"entry 1 of 'test'": "no t1n and no t2w"}


def test_bids_folders_without_images_are_counted(tmp_path, a_scan):
    for word in ("T1w", "T2w"):
        path = tmp_path / "sub-01" / "anat" / f"sub-01_{word}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(a_scan)
    (tmp_path / "sub-03").mkdir()
    (tmp_path / "sub-04" / "anat").mkdir(parents=True)
    first, *others = take_survey(tmp_path, "t1n", "t2w").lines()
    assert first.endswith(": 3 subjects: 1 used, of 1 patient")
    assert others == ["Left out: sub-03, sub-04 (no T1w, T2w, FLAIR in anat)"]


def test_who_is_listed_twice_is_used_once(brats):
    entry = {"id": "a", "images": {"t1n": "a/a-t1n.nii.gz", "t2w": "a/a-t2w.nii.gz"}}
    survey = take_survey(a_list(brats, entry, entry), "t1n", "t2w")
    assert (len(survey.used), survey.left_out) == (1, {"a (entry 2)": "listed twice"})


@pytest.mark.parametrize("pattern", ["../images/p{}/t1.nii.gz", "data_v1.2/p{}/t1.nii.gz", "scan.0{}_t1.nii.gz"])
def test_patients_without_a_name_are_told_apart_by_their_files(tmp_path, pattern):
    entries = [{"image": pattern.format(number), "label": f"t2/{number}.nii.gz"} for number in (1, 2, 3)]
    (tmp_path / "list.json").write_text(json.dumps({"training": entries}))
    names = [subject.id for subject in listed_subjects(tmp_path / "list.json", "t1n", "t2w")]
    assert len(set(names)) == 3
    assert names[0] == pattern.format(1).removeprefix("../").removesuffix(".nii.gz")


def test_a_fold_may_be_written_as_a_word_and_is_a_number(tmp_path):
    path = tmp_path / "list.json"
    path.write_text(json.dumps({"training": [{"id": "a", "fold": "0", "t1n": "a.nii"}, {"id": "b", "fold": 1, "t1n": "b.nii"}]}))
    assert [subject.fold for subject in listed_subjects(path, "t1n", "t2w")] == [0, 1]
    path.write_text(json.dumps({"training": [{"id": "a", "fold": "first", "t1n": "a.nii"}]}))
    with pytest.raises(UnsuitableTrainingData, match="a fold is 'first', not a number"):
        listed_subjects(path, "t1n", "t2w")


def test_one_patient_in_two_folds_is_refused(brats):
    images = {"t1n": "a/a-t1n.nii.gz", "t2w": "a/a-t2w.nii.gz"}
    path = a_list(brats, {"id": "MS-01-1", "fold": 0, "images": images}, {"id": "MS-01-2", "fold": 1, "images": images})
    with pytest.raises(UnsuitableTrainingData, match=r"'MS-01' are in different folds: MS-01-1 in 0, MS-01-2 in 1"):
        read_subjects(path, "t1n", "t2w")


def test_a_folder_with_its_own_list_is_read_by_it(brats):
    a_list(brats, {"id": "only me", "images": {"t1n": "b/b-t1n.nii.gz", "t2w": "b/b-t2w.nii.gz"}}, name="datalist.json")
    assert [subject.id for subject in read_subjects(brats, "t1n", "t2w")] == ["only me"]


def test_the_written_list_gives_back_what_the_folder_gave(brats, tmp_path):
    path = tmp_path / "lists" / "datalist.json"
    write_datalist(brats, path)
    from_folder, from_list = (read_subjects(place, "t1n", "t2w") for place in (brats, path))
    assert [(one.id, one.patient, one.fold) for one in from_list] == [(one.id, one.patient, one.fold) for one in from_folder]
    for one, other in zip(from_list, from_folder, strict=True):
        assert {name: file.resolve() for name, file in one.images.items()} == {
            name: file.resolve() for name, file in other.images.items()
        }


def test_the_shell_writes_a_list_with_folds(brats, tmp_path, capsys):
    path = tmp_path / "datalist.json"
    (brats / "b" / "b-t2w.nii.gz").unlink()
    assert main(["datalist", str(brats), "-o", str(path), "--folds", "3"]) == 0
    assert sorted(entry["fold"] for entry in json.loads(path.read_text())["training"]) == [0, 1, 2]
    said = capsys.readouterr().out
    assert "BraTS-like folder 'data': 3 subjects of 3 patients" in said
    assert "t2w 2" in said


def test_the_shell_replaces_no_list_that_may_have_been_edited(brats, tmp_path, capsys):
    path = tmp_path / "datalist.json"
    path.write_text("mine")
    assert main(["datalist", str(brats), "-o", str(path)]) == 5
    assert path.read_text() == "mine"
    assert "exists" in capsys.readouterr().err
