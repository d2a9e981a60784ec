"""From the shell to a model that everybody finds: trained, fine-tuned, swept, resumed, with a card that says what it is."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path

import pytest
import torch
from phantom import a_head_volume
from T1T2TranslationLib import cli
from T1T2TranslationLib.catalog import find_model, read_metadata
from T1T2TranslationLib.errors import UnsuitableOutput, UnsuitableTrainingData
from T1T2TranslationLib.io import read_volume, write_volume
from T1T2TranslationLib.model import load_model
from T1T2TranslationLib.preprocessing import Preprocessing
from T1T2TranslationLib.subjects import read_datalist
from T1T2TranslationLib.training import losses
from T1T2TranslationLib.training.dataset import Sampler, load_pairs
from T1T2TranslationLib.training.run import Run
from T1T2TranslationLib.training.train import main
from training_givens import SMALL, SMALL_TOML, save_aligned_data


@pytest.fixture(scope="module")
def a_datalist(tmp_path_factory) -> Path:
    return save_aligned_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def a_recipe(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("recipes") / "small.toml"
    path.write_text(SMALL_TOML)
    return path


@pytest.fixture(scope="module")
def a_trained_model(a_recipe, a_datalist, tmp_path_factory) -> Path:
    """Twenty steps on subject "one"; "two" was held out."""
    folder = tmp_path_factory.mktemp("models") / "small"
    assert main([str(a_recipe), str(a_datalist), "-o", str(folder), "--fold", "1", "--device", "cpu"]) == 0
    return folder


@pytest.fixture
def own_models(tmp_path, monkeypatch) -> Path:
    """The user's own folder of models."""
    monkeypatch.setenv("T1T2_MODELS", str(tmp_path / "own"))
    return tmp_path / "own"


def training_of(folder: Path) -> dict:
    return read_metadata(folder)["t1t2"]["training"]


# ---- trained


def test_a_short_training_lowers_the_loss(a_trained_model, a_datalist):
    model = load_model(a_trained_model)
    pairs = load_pairs(read_datalist(a_datalist, "t1n", "t2w"), SMALL, Preprocessing())
    planes, target, weight = Sampler(pairs, SMALL, 7).batch()
    untrained = Run(SMALL, Sampler(pairs, SMALL, 0), Path("none"), device="cpu").network
    with torch.no_grad():
        before, after = (losses.mae_loss(network(planes)[:, :1], target, weight).item() for network in (untrained, model.network))
    assert after < 0.8 * before


def test_a_model_is_whole_and_nothing_is_left_beside_it(a_trained_model):
    files = {str(path.relative_to(a_trained_model)) for path in a_trained_model.rglob("*") if path.is_file()}
    assert files == {"configs/inference.json", "configs/metadata.json", "docs/README.md", "models/model.pt"}
    assert not (a_trained_model / ".partial").exists()


def test_its_metadata_tell_what_it_was_trained_on_and_how(a_trained_model):
    training = training_of(a_trained_model)
    assert training["subjects"] == ["one"]
    assert training["steps"] == 20
    assert training["recipe"]["batch_size"] == 4
    assert training["hardware"].startswith("a CPU (")
    assert list(training["held_out"]) == ["two"]
    assert 0 < training["held_out"]["two"] < 1
    assert training["data"] == [
        {"source": "The phantoms", "licence": "CC0", "cite": "Nobody 2026", "subjects": ["one"], "pathologies": ["ellipsoids"]}
    ]


def test_its_card_tells_it_to_people(a_trained_model):
    card = (a_trained_model / "docs" / "README.md").read_text()
    assert card.startswith("# Model card: small\n")
    assert "SYNTHETIC image for research; not for diagnosis." in card
    assert "| The phantoms | 1 | ellipsoids | CC0 | Nobody 2026 |" in card
    assert "20 steps of 4 patches" in card
    assert "**Not evaluated.** The few numbers watched during training are no evaluation." in card
    assert "| licence of the weights | not stated |" in card


def test_the_model_is_listed_as_trained_for_twenty_steps_and_not_evaluated(a_trained_model, monkeypatch, capsys):
    monkeypatch.setenv("T1T2_MODELS", str(a_trained_model.parent))
    assert cli.main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("small "))
    assert lines[place + 1].strip().endswith("20 steps; not evaluated")


def test_patients_held_out_are_watched_for_a_small_part_of_the_time_and_the_log_says_how_long(a_datalist, tmp_path, caplog):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("validation_minutes = 0\n" + SMALL_TOML)
    with caplog.at_level(logging.INFO):
        main([str(recipe), str(a_datalist), "-o", str(tmp_path / "model"), "--fold", "0", "--device", "cpu"])
    watched = [message for message in caplog.messages if message.startswith("held out, mean absolute error of the brain: 0.")]
    assert len(watched) == 2  # after the first step, and at the end: the twenty steps are soon done, a score takes as long
    assert all("(one 0." in message and message.endswith(" s, not counted as training") for message in watched)
    assert any("1 held out to watch; 20 steps on a CPU" in message for message in caplog.messages)


def test_a_run_by_the_clock_ends_with_it(a_recipe, a_datalist, tmp_path):
    folder = tmp_path / "model"
    assert main([str(a_recipe), str(a_datalist), "-o", str(folder), "--minutes", "0.005", "--device", "cpu"]) == 0
    training = training_of(folder)
    assert training["subjects"] == ["one", "two"]
    assert training["recipe"]["minutes"] == 0.005
    assert training["recipe"]["steps"] == 0


def test_the_help_names_the_shipped_recipes(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    for name in ("t1_to_t2", "fcn8s", "finetune", "study_2020"):
        assert name in said


def test_a_trained_model_is_not_replaced(a_trained_model, a_recipe, a_datalist):
    before = (a_trained_model / "models" / "model.pt").read_bytes()
    with pytest.raises(UnsuitableOutput, match="holds a trained model already"):
        main([str(a_recipe), str(a_datalist), "-o", str(a_trained_model)])
    assert (a_trained_model / "models" / "model.pt").read_bytes() == before


def test_an_unfinished_training_is_not_begun_anew_by_mistake(a_recipe, a_datalist, tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"a night's work")
    with pytest.raises(UnsuitableOutput, match=r"not finished.*--resume"):
        main([str(a_recipe), str(a_datalist), "-o", str(tmp_path)])
    assert (tmp_path / "checkpoint.pt").read_bytes() == b"a night's work"


def test_a_card_that_somebody_made_theirs_is_not_written_again(a_trained_model, a_recipe, a_datalist, tmp_path):
    (tmp_path / "model" / "docs").mkdir(parents=True)
    (tmp_path / "model" / "docs" / "README.md").write_text("My own words")
    main([str(a_recipe), str(a_datalist), "-o", str(tmp_path / "model"), "--minutes", "0.001", "--device", "cpu"])
    assert (tmp_path / "model" / "docs" / "README.md").read_text() == "My own words"


def test_a_folder_is_dealt_into_folds_by_patient_and_trained_on(a_recipe, a_datalist, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for file in a_datalist.parent.glob("*.nii.gz"):
        (folder / file.name).symlink_to(file)
    start = [str(a_recipe), str(folder), "-o", str(tmp_path / "model"), "--minutes", "0.001", "--device", "cpu"]
    assert main([*start, "--folds", "2", "--fold", "0"]) == 0
    training = training_of(tmp_path / "model")
    assert sorted([*training["subjects"], *training["held_out"]]) == ["one", "two"]
    assert [origin["source"] for origin in training["data"]] == ["not stated"]


def test_a_run_leaves_a_journal_of_curve_and_pictures_beside_the_model(a_datalist, tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(SMALL_TOML.replace("picture_minutes = 0", "picture_minutes = 5"))
    main([str(recipe), str(a_datalist), "-o", str(tmp_path / "model"), "--minutes", "0.002", "--device", "cpu"])
    files = {path.name for path in (tmp_path / "model" / "journal").iterdir()}
    assert {"curve.csv", "improvement.png", "samples-000001.png"} <= files
    assert load_model(tmp_path / "model").card.steps >= 1


def test_that_there_is_nothing_to_resume_is_said(a_recipe, a_datalist, tmp_path, caplog):
    main([str(a_recipe), str(a_datalist), "-o", str(tmp_path / "new"), "--minutes", "0.001", "--device", "cpu", "--resume"])
    assert any(message.startswith("There is nothing to resume in") for message in caplog.messages)


def test_a_recipe_that_is_not_there_is_refused_with_those_that_are(a_datalist, tmp_path):
    with pytest.raises(UnsuitableTrainingData, match=r"There is no recipe 'nosuch'.*fcn8s.*study_2020, t1_to_flair, t1_to_t2"):
        main(["nosuch", str(a_datalist), "-o", str(tmp_path / "model")])


def test_a_fold_that_nobody_is_in_is_refused(a_recipe, a_datalist, tmp_path):
    with pytest.raises(UnsuitableTrainingData, match="No subject is in fold 7; the folds are 0, 1"):
        main([str(a_recipe), str(a_datalist), "-o", str(tmp_path / "model"), "--fold", "7"])


@pytest.mark.parametrize("name", ["", " ", "a/b", "..", "/tmp/x"])
def test_a_name_that_is_a_path_is_refused(own_models, a_recipe, a_datalist, name):
    with pytest.raises(UnsuitableOutput, match="is no name for a model"):
        main([str(a_recipe), str(a_datalist), "--name", name])


def test_a_name_that_is_shipped_is_refused_for_the_shipped_model_would_be_found(own_models, a_recipe, a_datalist):
    with pytest.raises(UnsuitableOutput, match="'t1_to_t2' is shipped"):
        main([str(a_recipe), str(a_datalist), "--name", "t1_to_t2"])


def test_a_recipe_for_a_trained_model_is_not_begun_from_nothing(a_datalist, tmp_path):
    with pytest.raises(UnsuitableTrainingData, match="'finetune' goes on from a model"):
        main(["finetune", str(a_datalist), "-o", str(tmp_path / "model")])


@pytest.mark.parametrize("minutes", ["0", "-1", "nan"])
def test_a_training_of_no_time_is_refused(a_recipe, a_datalist, tmp_path, capsys, minutes):
    with pytest.raises(SystemExit):
        main([str(a_recipe), str(a_datalist), "-o", str(tmp_path / "model"), "--minutes", minutes])
    assert "more than 0 are needed" in capsys.readouterr().err


# ---- fine-tuned


def test_a_model_goes_on_from_another_and_is_found_by_its_name(
    a_trained_model, a_recipe, a_datalist, own_models, tmp_path, capsys
):
    """The lab's whole way: fine-tune, list, translate."""
    fine = tmp_path / "fine.toml"
    fine.write_text("steps = 3\nbatch_size = 2\npatch = 48\nlearning_rate = 1e-6\naverage_decay = 0.5\npicture_minutes = 0\n")
    start = ["train", str(fine), str(a_datalist), "--from", str(a_trained_model), "--name", "ours", "--fold", "0"]
    assert cli.main([*start, "--device", "cpu"]) == 0
    ours, base = load_model("ours"), load_model(a_trained_model)
    assert ours.card.folder == own_models / "ours"
    assert ours.network.config == base.network.config  # not the recipe's, which is the default one
    assert ours.preprocessing == base.preprocessing
    for one, other in zip(ours.network.parameters(), base.network.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=0)  # three tiny steps from there
    training = training_of(own_models / "ours")
    assert training["subjects"] == ["one", "two"]  # those of the start, and its own
    assert training["started_from"]["sha256"] == base.card.sha256
    assert "started from the model small" in (own_models / "ours" / "docs" / "README.md").read_text()

    assert cli.main(["models"]) == 0
    listed = capsys.readouterr().out
    assert "\nours  " in listed
    assert "3 steps; not evaluated" in listed

    write_volume(a_head_volume(), tmp_path / "t1.nii.gz")
    out = tmp_path / "t2-SYNTHETIC.nii.gz"
    assert cli.main(["translate", str(tmp_path / "t1.nii.gz"), "-o", str(out), "--model", "ours", "--force"]) == 0
    assert read_volume(out).shape == a_head_volume().shape
    assert json.loads(next(tmp_path.glob("t2-SYNTHETIC*.json")).read_text())["provenance"]["weights_sha256"] == ours.card.sha256


def test_what_is_kept_is_the_asked_for_mean_of_the_start_and_the_end(a_trained_model, a_datalist, tmp_path):
    kept = {}
    for share in (0, 0.25, 1):
        recipe = tmp_path / f"{share}.toml"
        lines = "steps = 2\nbatch_size = 2\npatch = 48\nlearning_rate = 1e-2\naverage_decay = 0\npicture_minutes = 0\n"
        recipe.write_text(f"{lines}start_share = {share}\n")
        folder = tmp_path / f"share{share}"
        main([str(recipe), str(a_datalist), "-o", str(folder), "--from", str(a_trained_model), "--device", "cpu"])
        kept[share] = torch.nn.utils.parameters_to_vector(load_model(folder).network.parameters())
    assert (kept[0] - kept[1]).abs().max() > 1e-3
    mean = 0.75 * kept[0] + 0.25 * kept[1]
    torch.testing.assert_close(kept[0.25], mean, atol=1e-3, rtol=1e-2)  # weights are kept in half precision
    start = torch.nn.utils.parameters_to_vector(load_model(a_trained_model).network.parameters())
    torch.testing.assert_close(kept[1], start, atol=0, rtol=0)


def test_a_start_of_other_sequences_is_said(a_trained_model, a_datalist, tmp_path, caplog):
    recipe = tmp_path / "back.toml"
    lines = "source = 't2w'\ntarget = 't1n'\nsteps = 1\nbatch_size = 2\npatch = 48\npicture_minutes = 0\n"
    recipe.write_text(lines + "start_share = 1\naverage_decay = 0\n")
    with caplog.at_level(logging.WARNING):
        main([str(recipe), str(a_datalist), "-o", str(tmp_path / "back"), "--from", str(a_trained_model), "--device", "cpu"])
    assert "A model of T1 to T2 is the start for one of T2 to T1." in caplog.messages
    assert (find_model(tmp_path / "back").source, find_model(tmp_path / "back").target) == ("T2", "T1")
    assert find_model(tmp_path / "back").sha256 != find_model(a_trained_model).sha256  # no share of another image's weights


# ---- swept


def test_a_sweep_keeps_the_model_that_is_best_on_patients_held_out(a_datalist, tmp_path, caplog):
    recipe = tmp_path / "sweep.toml"
    recipe.write_text(
        SMALL_TOML.replace("steps = 20", "epochs = 2\nimages_per_epoch = 40") + "[sweep]\nlearning_rates = [1e-7, 5e-3]\n"
    )
    folder = tmp_path / "swept"
    start = [str(recipe), str(a_datalist), "-o", str(folder), "--sweep", "--fold", "1", "--device", "cpu"]
    with caplog.at_level(logging.INFO):
        assert main(start) == 0
    errors = {rate: training_of(folder / f"learning-rate-{rate}")["held_out"]["two"] for rate in ("1e-07", "0.005")}
    assert errors["0.005"] < errors["1e-07"]
    training = training_of(folder)
    assert training["sweep"] == pytest.approx(errors, abs=1e-4)
    assert training["recipe"]["learning_rate"] == 5e-3
    assert training["steps"] == 20
    assert load_model(folder).card.sha256 == load_model(folder / "learning-rate-0.005").card.sha256
    assert "Kept: learning rate 0.005" in caplog.messages

    (folder / "models" / "model.pt").unlink()  # as if it had been stopped before the end
    (folder / "learning-rate-0.005" / "models" / "model.pt").unlink()
    untouched = (folder / "learning-rate-1e-07" / "models" / "model.pt").stat().st_mtime_ns
    with pytest.raises(UnsuitableOutput, match="holds a trained model already"):
        main(start)
    assert main([*start, "--resume"]) == 0
    assert (folder / "learning-rate-1e-07" / "models" / "model.pt").stat().st_mtime_ns == untouched
    assert training_of(folder)["sweep"] == pytest.approx(errors, abs=5e-3)  # translated in float32 or bf16, as a timed trial says


def test_a_rate_at_which_the_loss_is_no_number_does_not_end_the_sweep(a_datalist, tmp_path):
    recipe = tmp_path / "sweep.toml"
    recipe.write_text(SMALL_TOML.replace("steps = 20", "steps = 6") + "[sweep]\nlearning_rates = [1e30, 1e-3]\n")
    assert main([str(recipe), str(a_datalist), "-o", str(tmp_path / "s"), "--sweep", "--fold", "1", "--device", "cpu"]) == 0
    assert list(training_of(tmp_path / "s")["sweep"]) == ["0.001"]


def test_a_clock_is_shared_among_the_models_of_a_sweep(a_datalist, tmp_path):
    recipe = tmp_path / "sweep.toml"
    recipe.write_text(SMALL_TOML + "[sweep]\nlearning_rates = [1e-3, 2e-3]\n")
    start = [str(recipe), str(a_datalist), "-o", str(tmp_path / "s"), "--sweep", "--fold", "1", "--device", "cpu"]
    main([*start, "--minutes", "0.004"])
    for rate in ("0.001", "0.002"):
        assert training_of(tmp_path / "s" / f"learning-rate-{rate}")["recipe"]["minutes"] == pytest.approx(0.002)


@pytest.mark.parametrize(
    ("extra", "options", "said"),
    [("", ["--fold", "1"], "has no sweep"), ("[sweep]\nlearning_rates = [1e-3]\n", [], "Hold some out with --fold")],
)
def test_a_sweep_without_rates_or_without_patients_held_out_is_refused(a_datalist, tmp_path, extra, options, said):
    (tmp_path / "sweep.toml").write_text(SMALL_TOML + extra)
    with pytest.raises(UnsuitableTrainingData, match=said):
        main([str(tmp_path / "sweep.toml"), str(a_datalist), "-o", str(tmp_path / "s"), "--sweep", *options])


def test_the_studys_programme_is_500_epochs_of_1000_images_at_several_rates():
    from T1T2TranslationLib.training.recipe import read_recipe

    recipe = read_recipe(Path("study_2020"))
    assert recipe.planned_steps * recipe.batch_size >= 500 * 1000 > (recipe.planned_steps - 1) * recipe.batch_size
    assert len(recipe.sweep.learning_rates) > 1
    assert (recipe.losses.mae, recipe.losses.mse, recipe.losses.ssim, recipe.losses.gradient) == (1, 1, 1, 0)
    assert recipe.network.preset == "fcn8s"
    assert math.isclose(recipe.by_the_clock(30).minutes, 30)
    assert recipe.by_the_clock(30).planned_steps == 0
