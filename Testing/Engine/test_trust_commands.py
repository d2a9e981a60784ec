"""`t1t2 check`, `t1t2 doctor` and `t1t2 translate --dicom`, and the sentences and tables behind them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest
from givens import a_dicom_series, a_head, save_untrained_model
from T1T2TranslationLib import input_light, input_trial, model_page
from T1T2TranslationLib.catalog import ModelCard
from T1T2TranslationLib.cli import main
from T1T2TranslationLib.errors import UnsuitableTrainingData
from T1T2TranslationLib.io import read_volume, write_volume
from T1T2TranslationLib.samples import phantom
from T1T2TranslationLib.translation import Check
from T1T2TranslationLib.volume import Volume


def same(text: str) -> str:
    return text


@pytest.fixture(scope="module")
def a_model(tmp_path_factory) -> str:
    return str(save_untrained_model(tmp_path_factory.mktemp("models") / "untrained"))


# ---- check


def test_check_says_the_light_of_a_scan_and_every_reason(tmp_path, capsys):
    write_volume(phantom("T1"), tmp_path / "scan.nii.gz")
    assert main(["check", str(tmp_path / "scan.nii.gz")]) == 0
    out = capsys.readouterr().out
    assert out.startswith("amber  scan.nii.gz\n")
    assert "A whole head." in out


def test_check_of_a_folder_ends_with_3_where_a_scan_is_red(tmp_path, capsys):
    head = phantom("T1")
    write_volume(head, tmp_path / "a.nii.gz")
    write_volume(Volume(head.array[:, :, :9], head.affine), tmp_path / "b.nii.gz")
    (tmp_path / "c.nii.gz").write_bytes(b"no scan")
    assert main(["check", str(tmp_path)]) == 3
    out = capsys.readouterr().out
    assert "amber  a\n" in out
    assert "red    b\n  red    It has 9 slices" in out
    assert "red    c\n" in out


def a_datalist(folder: Path) -> Path:
    """Two subjects of a lesson's size with a T1 and a T2 each, in two folds."""
    subjects = []
    for fold in (0, 1):
        images = {key: f"{fold}-{key}.nii.gz" for key in ("t1n", "t2w")}
        for key, name in images.items():
            write_volume(phantom("T1" if key == "t1n" else "T2"), folder / name)
        subjects.append({"id": str(fold), "fold": fold, "images": images})
    (folder / "list.json").write_text(json.dumps({"about": "a list", "paired": subjects}))
    return folder / "list.json"


@pytest.mark.parametrize("command", ["check", "scans"])
def test_a_folder_without_scans_is_not_passed_over(command, tmp_path, capsys):
    assert main([command, str(tmp_path)]) == 3
    assert "holds no scan" in capsys.readouterr().err


def test_the_trial_counts_the_lights_of_every_sequence_and_degradation(tmp_path):
    outcomes = list(input_trial.run_trial(a_datalist(tmp_path), degradations=["as it is", "like a CT", "8 mm slices"]))
    assert len(outcomes) == 12
    table = input_trial.as_table(outcomes).splitlines()
    assert table[0] == "| scan | T1 | T1 with contrast agent | T2 | FLAIR |"
    assert [line for line in table if line.startswith("| like a CT")] == [
        "| like a CT | 0 / 0 / 2 | 0 / 0 / 0 | 0 / 0 / 2 | 0 / 0 / 0 |"
    ]


@pytest.mark.parametrize("name", input_trial.DEGRADATIONS)
def test_a_degradation_leaves_a_volume_that_lies_where_it_lay(name):
    head = a_head()
    degraded = input_trial.DEGRADATIONS[name](head)
    assert degraded.array.any()
    if name == "8 mm slices":
        assert degraded.spacing_mm[2] == pytest.approx(9.0)  # three of 3 mm
    elif name == "upper half":
        start = head.shape[2] // 2
        np.testing.assert_allclose(degraded.affine @ [0, 0, 0, 1], head.affine @ [0, 0, start, 1])
        np.testing.assert_array_equal(degraded.array, head.array[:, :, start:])
    else:
        assert degraded.has_grid_of(head)
        assert (name == "as it is") == bool(np.array_equal(degraded.array, head.array))


def test_boundaries_set_without_a_fold_are_tried_on_it():
    def outcome(sequence, value, fold):
        return input_trial.Outcome(sequence, "as it is", fold, (), value)

    values = {"T1": -0.4, "FLAIR": 0.1, "T2": 0.45}
    outcomes = [outcome(sequence, value, fold) for fold in (0, 1) for sequence, value in values.items()]
    assert input_trial.held_out_errors(outcomes) == (0, 6)
    assert input_trial.ranges(outcomes)["FLAIR"] == (0.1, 0.1)
    outcomes.append(outcome("T1 with contrast agent", 0.0, 1))  # nearer to FLAIR (0.1) than to T1 (-0.4)
    assert input_trial.held_out_errors(outcomes)[0] >= 1


def test_what_is_no_data_list_is_refused(tmp_path):
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(UnsuitableTrainingData):
        list(input_trial.run_trial(tmp_path / "list.json"))


# ---- sentences


def test_the_light_is_a_word_and_the_reasons_worst_first():
    checks = (Check("a", "green", "Fine."), Check("b", "amber", "Odd <b>."), Check("c", "red", "Wrong."))
    line = input_light.as_html(same, checks)
    assert "refused" in line
    assert line.index("Wrong.") < line.index("Odd &lt;b&gt;.")
    assert "Fine." not in line
    assert "Suitable." in input_light.as_html(same, checks[:1])
    assert input_light.as_tooltip(checks).count("<li>") == 3


def test_a_red_light_refuses_unless_the_user_insists_on_what_can_be_insisted_on():
    odd = (Check("b", "amber", "Odd."), Check("c", "red", "Wrong."))
    assert input_light.refusal(same, odd, insists=False).startswith("Wrong. Choose a suitable scan, or insist")
    assert input_light.refusal(same, odd, insists=True) == ""
    assert "you insist" in input_light.as_html(same, odd, insists=True)
    assert input_light.refusal(same, odd[:1], insists=False) == ""
    none = (Check(input_light.UNUSABLE, "red", "No voxels."),)
    assert input_light.refusal(same, none, insists=True) == "No voxels."
    assert "cannot be translated" in input_light.as_html(same, none, insists=True)


def test_a_models_page_says_that_it_was_never_evaluated(tmp_path):
    card = ModelCard("x", tmp_path, "Model X", "T1", "T2", "1", "Does it.", "MIT", "ab" * 32)
    page = model_page.as_markdown(same, card)
    for part in ("# Model X", "Not evaluated", "T1 → T2", "MIT", "wrote no card"):
        assert part in page
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "README.md").write_text("# Model card: x\n\nLimits: many.")
    page = model_page.as_markdown(same, card)
    assert "Limits: many." in page
    assert "Model card" not in page


def test_a_models_page_begins_with_where_a_look_up_table_is_no_worse_then_scores_and_limits(tmp_path):
    (tmp_path / "docs").mkdir()
    card_text = "# A headline\n\nAbout.\n\n## Data\nMany.\n\n## Limits\n- None.\n\n## Sources\nOne.\n\n## Scores\nHigh."
    (tmp_path / "docs" / "README.md").write_text(card_text)
    scores = {"tumour": {"MAE": 0.111, "table MAE": 0.089}, "whole-head brain": {"MAE": 0.07, "table MAE": 0.12}}
    card = ModelCard("x", tmp_path, title="X", description="Fine.", source="T2", target="T1", version="1", scores=scores)
    page = model_page.as_markdown(same, card)
    assert page.startswith(
        "# X\n\n**Do not rely on it here: tumour. Its mean error was 111 of 1000 there, that of a mere look-up table 89"
    )
    assert "whole-head" not in page.partition("## Scores")[0].partition("Fine.")[0]
    order = [page.index(part) for part in ("Fine.", "translates", "## Scores", "## Limits", "About.", "## Data", "## Sources")]
    assert order == sorted(order)
    assert "headline" not in page
    assert page.count("High.") == 1


def test_a_broken_models_page_says_why():
    assert "no weights" in model_page.as_markdown(same, ModelCard("x", Path("x"), problem="it has no weights"))


def test_only_models_for_the_sequence_of_the_input_fit():
    cards = [ModelCard(source, Path(), source=source) for source in ("T1", "T2")] + [ModelCard("b", Path(), problem="broken")]
    assert model_page.fitting(cards, {"T1": "amber", "T2": "red"}) == ["T1"]


# ---- files


def test_a_dicom_folder_becomes_a_dicom_folder_beside_the_volume(tmp_path, a_model):
    source = a_dicom_series(tmp_path / "scan")
    code = main(
        [
            "translate",
            str(source),
            "-o",
            str(tmp_path / "out"),
            "--dicom",
            "--force",
            "--quiet",
            "--device",
            "cpu",
            "--model",
            a_model,
        ]
    )
    assert code == 0
    made = tmp_path / "out" / "scan_SYNTHETIC_T2.nii.gz"
    record = json.loads(made.with_name("scan_SYNTHETIC_T2.json").read_text())
    assert record["provenance"]["weights_sha256"]
    assert record["checks"]
    series = tmp_path / "out" / "scan_SYNTHETIC_T2_dicom"
    assert sorted(path.name for path in series.iterdir()) == ["SYNTHETIC_T2", "SYNTHETIC_T2_predicted_error"]
    back = read_volume(series / "SYNTHETIC_T2")
    np.testing.assert_allclose(back.affine, read_volume(source).affine, atol=1e-5)
    np.testing.assert_array_equal(back.array, read_volume(made).array)
    assert pydicom.dcmread(next(series.rglob("*.dcm"))).PatientID == "4711"


def test_the_record_of_a_dicom_scan_names_no_patient(tmp_path, a_model):
    source = a_dicom_series(tmp_path / "scan")
    assert (
        main(
            [
                "translate",
                str(source),
                "-o",
                str(tmp_path / "x.nii.gz"),
                "--force",
                "--quiet",
                "--device",
                "cpu",
                "--model",
                a_model,
            ]
        )
        == 0
    )
    text = (tmp_path / "x.json").read_text()
    for private in ("Doe", "Jane", "4711", str(tmp_path)):
        assert private not in text


def test_the_doctor_prints_its_report(capsys):
    assert main(["doctor"]) == 0
    assert "torch: " in capsys.readouterr().out
