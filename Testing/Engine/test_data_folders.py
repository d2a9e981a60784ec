"""Which data set a folder is: BraTS in each of its spellings, IXI, BIDS, and folders of one's own, told by names alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from T1T2TranslationLib.data_folders import find_subjects


def a_folder(root: Path, *names: str) -> Path:
    """Empty files: only names are looked at."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def images_of(root: Path) -> dict[str, dict[str, str]]:
    """Subject -> sequence -> path in the folder."""
    found = find_subjects(root)
    return {
        subject.id: {name: path.relative_to(root).as_posix() for name, path in subject.images.items()}
        for subject in found.subjects
    }


BRATS_SPELLINGS = {
    "2018, by grade": ("HGG/Brats18_TCIA01_131_1/Brats18_TCIA01_131_1", "_t1 _t1ce _t2 _flair _seg", ".nii.gz"),
    "2019, unpacked": ("LGG/BraTS19_TCIA09_141_1/BraTS19_TCIA09_141_1", "_t1 _t1ce _t2 _flair _seg", ".nii"),
    "2020": ("MICCAI_BraTS2020_TrainingData/BraTS20_Training_001/BraTS20_Training_001", "_t1 _t1ce _t2 _flair _seg", ".nii"),
    "2021": ("BraTS2021_00006/BraTS2021_00006", "_t1 _t1ce _t2 _flair _seg", ".nii.gz"),
    "2021, flat": ("BraTS2021_00006", "_t1 _t1ce _t2 _flair _seg", ".nii.gz"),
    "2023": ("BraTS-GLI-00002-000/BraTS-GLI-00002-000", "-t1n -t1c -t2w -t2f -seg", ".nii.gz"),
    "2023, flat": ("BraTS-MET-00002-000", "-t1n -t1c -t2w -t2f -seg", ".nii"),
    "capitals": ("UPENN-GBM-00001_11", "_T1 _T1GD _T2 _FLAIR _segm", ".nii.gz"),
}


@pytest.mark.parametrize("spelling", BRATS_SPELLINGS)
def test_brats_is_read_in_every_spelling(tmp_path, spelling):
    stem, endings, extension = BRATS_SPELLINGS[spelling]
    files = [f"{stem}{ending}{extension}" for ending in endings.split()]
    identity = stem.rpartition("/")[2]
    a_folder(tmp_path, *files)
    assert find_subjects(tmp_path).kind == "BraTS-like folder"
    assert images_of(tmp_path) == {identity: dict(zip(("t1n", "t1c", "t2w", "t2f", "seg"), files, strict=True))}


def test_what_is_no_image_of_a_sequence_is_passed_over(tmp_path):
    files = ("a/a-t1n.nii.gz", "a/a-t2w.nii.gz")
    a_folder(
        tmp_path,
        *files,
        "a/a-t1n-voided.nii.gz",
        "a/._a-t1n.nii.gz",
        ".trash/a-t2f.nii",
        "survival.csv",
        "a/a-mask-healthy.nii.gz",
    )
    assert images_of(tmp_path) == {"a": {"t1n": files[0], "t2w": files[1]}}


def test_a_patients_folder_without_a_known_image_is_left_out_by_name(tmp_path):
    a_folder(tmp_path, "HGG/TCGA-DU-7294/TCGA-DU-7294_t1.nii", "HGG/TCGA-FG-6692/scan.nii", "HGG/figures/a.png", "LGG/README.txt")
    (tmp_path / "HGG" / "TCGA-06-0125").mkdir()
    found = find_subjects(tmp_path)
    assert [subject.id for subject in found.subjects] == ["TCGA-DU-7294"]
    assert list(found.left_out) == ["TCGA-06-0125", "TCGA-FG-6692"]
    assert "named as a sequence" in found.left_out["TCGA-FG-6692"]


def test_a_folder_of_another_sequence_is_no_patient_without_images(tmp_path):
    a_folder(tmp_path, *(f"IXI-{word}/IXI{number}-{word}.nii" for word in ("T1", "T2", "PD") for number in (2, 12)))
    assert not find_subjects(tmp_path).left_out


def test_an_image_among_those_of_several_patients_is_left_out_by_name(tmp_path):
    a_folder(tmp_path, "p1_t1.nii", "p1_t2.nii", "p1_mask.nii", "p2_t1.nii", "p2_t2.nii", "p3_T1_MPRAGE.nii.gz")
    found = find_subjects(tmp_path)
    assert [subject.id for subject in found.subjects] == ["p1", "p2"]
    assert found.left_out == {"p3_T1_MPRAGE.nii.gz": "its name tells no known sequence"}


def test_a_lone_mask_of_another_name_is_that_of_the_patient_in_its_folder(tmp_path):
    name = "BraTS20_Training_355"
    images = (f"{name}/{name}_t1.nii", f"{name}/{name}_t2.nii")
    a_folder(tmp_path, *images, f"{name}/W39_1998.09.19_Segm.nii")
    assert images_of(tmp_path) == {name: {"t1n": images[0], "t2w": images[1], "seg": f"{name}/W39_1998.09.19_Segm.nii"}}


def test_a_lone_mask_among_several_patients_is_nobodys(tmp_path):
    a_folder(tmp_path, "p1_t1.nii", "p2_t1.nii", "W39_seg.nii")
    assert images_of(tmp_path)["W39"] == {"seg": "W39_seg.nii"}


def test_a_table_of_participants_in_another_encoding_is_read(tmp_path):
    a_folder(tmp_path, "sub-1/anat/sub-1_T1w.nii")
    (tmp_path / "participants.tsv").write_bytes("participant_id\tsite\nsub-1\tMünchen\n".encode("latin-1"))
    assert list(images_of(tmp_path)) == ["sub-1"]


def test_a_linked_folder_is_read_and_a_circle_of_links_ends(tmp_path):
    elsewhere = a_folder(tmp_path / "disk", "a/a_t1.nii", "a/a_t2.nii")
    root = tmp_path / "data"
    root.mkdir()
    (root / "linked").symlink_to(elsewhere)
    (elsewhere / "a" / "back").symlink_to(root)
    assert images_of(root) == {"a": {"t1n": "linked/a/a_t1.nii", "t2w": "linked/a/a_t2.nii"}}


def test_ixi_is_two_folders_of_one_subject(tmp_path):
    names = ("IXI002-Guys-0828", "IXI012-HH-1211")
    a_folder(tmp_path, *(f"IXI-{word}/{name}-{word}.nii.gz" for name in names for word in ("T1", "T2", "PD")))
    found = find_subjects(tmp_path)
    assert found.kind == "IXI-like folder"
    assert [subject.patient for subject in found.subjects] == ["IXI002", "IXI012"]
    assert images_of(tmp_path)["IXI012-HH-1211"] == {
        "t1n": "IXI-T1/IXI012-HH-1211-T1.nii.gz",
        "t2w": "IXI-T2/IXI012-HH-1211-T2.nii.gz",
    }


def test_a_folder_may_tell_the_sequence_where_the_file_does_not(tmp_path):
    a_folder(tmp_path, "T1/anna.nii.gz", "T2/anna.nii.gz", "T2/bert.nii.gz")
    assert images_of(tmp_path) == {
        "anna": {"t1n": "T1/anna.nii.gz", "t2w": "T2/anna.nii.gz"},
        "bert": {"t2w": "T2/bert.nii.gz"},
    }


@pytest.mark.parametrize("names", [("t1.nii", "t2.nii"), ("T1/image.nii", "T2/image.nii"), ("scan_t1.nii", "scan_t2.nii")])
def test_files_of_one_name_in_two_patients_folders_stay_apart(tmp_path, names):
    a_folder(tmp_path, *(f"{patient}/{name}" for patient in ("anna", "bert") for name in names))
    images = images_of(tmp_path)
    assert len(images) == 2
    for identity, own in images.items():
        patient = "anna" if "anna" in identity else "bert"
        assert own == {"t1n": f"{patient}/{names[0]}", "t2w": f"{patient}/{names[1]}"}


def test_of_two_files_for_one_sequence_the_first_is_taken_and_said(tmp_path):
    a_folder(tmp_path, "a/a_t1.nii", "a/a_t1.nii.gz", "a/a_t2.nii")
    assert images_of(tmp_path)["a"]["t1n"] == "a/a_t1.nii"
    assert find_subjects(tmp_path).doubled == ("a",)


def test_a_folder_of_other_things_is_nothing(tmp_path):
    assert find_subjects(a_folder(tmp_path, "labels/head-01-labels.nii.gz", "notes.txt")) is None


# ---- BIDS


def a_bids_folder(root: Path) -> Path:
    return a_folder(
        root,
        "dataset_description.json",
        "sub-01/anat/sub-01_T1w.nii.gz",
        "sub-01/anat/sub-01_ce-gadolinium_T1w.nii.gz",
        "sub-01/anat/sub-01_T2w.nii.gz",
        "sub-01/anat/sub-01_FLAIR.nii.gz",
        "sub-01/anat/sub-01_T2starw.nii.gz",
        "sub-01/func/sub-01_task-rest_bold.nii.gz",
        "sub-02/ses-a/anat/sub-02_ses-a_acq-fast_T1w.nii.gz",
        "sub-02/ses-a/anat/sub-02_ses-a_T1w.nii.gz",
        "sub-02/ses-a/anat/sub-02_ses-a_T2w.nii",
        "sub-02/ses-b/anat/sub-02_ses-b_T2w.nii",
        "derivatives/strip/sub-01/anat/sub-01_T1w.nii.gz",
    )


def test_bids_sessions_are_subjects_and_derivatives_none(tmp_path):
    root = a_bids_folder(tmp_path)
    assert find_subjects(root).kind == "BIDS folder"
    assert images_of(root) == {
        "sub-01": {
            "t1n": "sub-01/anat/sub-01_T1w.nii.gz",
            "t1c": "sub-01/anat/sub-01_ce-gadolinium_T1w.nii.gz",
            "t2w": "sub-01/anat/sub-01_T2w.nii.gz",
            "t2f": "sub-01/anat/sub-01_FLAIR.nii.gz",
        },
        "sub-02_ses-a": {
            "t1n": "sub-02/ses-a/anat/sub-02_ses-a_T1w.nii.gz",
            "t2w": "sub-02/ses-a/anat/sub-02_ses-a_T2w.nii",
        },
        "sub-02_ses-b": {"t2w": "sub-02/ses-b/anat/sub-02_ses-b_T2w.nii"},
    }
    assert find_subjects(root).doubled == ("sub-02_ses-a",)


def test_bids_sessions_share_their_patient(tmp_path):
    subjects = find_subjects(a_bids_folder(tmp_path)).subjects
    assert [subject.patient for subject in subjects] == ["sub-01", "sub-02", "sub-02"]


def test_bids_folders_without_images_are_left_out_by_name(tmp_path):
    root = a_bids_folder(tmp_path)
    a_folder(root, "sub-03/func/sub-03_task-rest_bold.nii.gz", "sub-05/ses-a/notes.txt", "sub-06/anat/sub-06_PDw.nii.gz")
    (root / "sub-04" / "anat").mkdir(parents=True)
    (root / "sub-02" / "ses-c").mkdir()
    (root / "sub-notes.txt").touch()
    found = find_subjects(root)
    assert [subject.id for subject in found.subjects] == ["sub-01", "sub-02_ses-a", "sub-02_ses-b"]
    assert found.left_out == dict.fromkeys(
        ("sub-02_ses-c", "sub-03", "sub-04", "sub-05_ses-a", "sub-06"), "no T1w, T2w, FLAIR in anat"
    )


def test_the_table_of_participants_decides_who_takes_part(tmp_path):
    root = a_bids_folder(tmp_path)
    (root / "participants.tsv").write_text("participant_id\tage\tgroup\nsub-01\t44\tstroke\nsub-07\t50\tcontrol\n")
    found = find_subjects(root)
    assert [(subject.id, subject.pathology) for subject in found.subjects] == [("sub-01", "stroke")]
    assert found.left_out == {
        "sub-02_ses-a": "not in participants.tsv",
        "sub-02_ses-b": "not in participants.tsv",
        "sub-07": "in participants.tsv, but without images",
    }
