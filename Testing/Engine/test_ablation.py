"""The ablation command: its variants are recipes, its rows are means over patients, and what is done is not done again."""

import csv
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from givens import save_untrained_model
from T1T2TranslationLib.training.recipe import read_recipe
from training_givens import save_aligned_data

BENCHMARKS = Path(__file__).resolve().parents[1] / "Benchmarks"


@pytest.fixture
def ablation(monkeypatch):
    """The script as a module."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    import ablation

    return ablation


@pytest.fixture
def ablation_page(ablation):
    import ablation_page

    return ablation_page


def test_every_variant_of_the_shipped_list_is_a_recipe_and_changes_the_lines_it_names_only(ablation, tmp_path):
    variants = ablation.read_variants(BENCHMARKS / "ablation.toml")
    recipes = {}
    for name, table in variants.items():
        (tmp_path / "recipe.toml").write_text(ablation.as_toml(table))
        assert tomllib.loads((tmp_path / "recipe.toml").read_text()) == table
        recipes[name] = read_recipe(tmp_path / "recipe.toml")
    whole = recipes["all"]
    assert recipes["no contrast"].augmentation.gamma == 0
    assert recipes["no contrast"].augmentation.noise == whole.augmentation.noise > 0
    assert recipes["no lesions"].losses.lesion == 0
    assert recipes["no lesions"].losses.ssim == whole.losses.ssim
    assert (whole.companion, recipes["no companion"].companion) == ("t1c", "")
    assert len(set(map(str, recipes.values()))) == len(recipes)


def test_what_a_version_added_is_left_out_one_by_one(ablation):
    variants = ablation.read_variants(BENCHMARKS / "ablation_lesions.toml")
    left = {name: (table["augmentation"]["painted_oedema"] > 0, table["losses"]["mse"] > 0) for name, table in variants.items()}
    assert list(left.values()) == [(True, True), (False, True), (True, False), (False, False)]


def a_document(group="paired", **errors):
    """scores.json of subjects with these errors of the brain; a look-up table errs by 0.5."""
    subjects = [
        {"id": name, "group": group, "scores": {"model": {"brain": {"MAE": error}}, "look-up table": {"brain": {"MAE": 0.5}}}}
        for name, error in errors.items()
    ]
    return {"subjects": subjects}


def test_rows_are_means_over_patients_and_differences_are_paired(ablation_page):
    rows = [
        ablation_page.Row("all", 9, a_document(a=0.1, b=0.2, c=0.3)),
        ablation_page.Row("less", 8, a_document(a=0.2, b=0.3, c=0.4)),
    ]
    table, whole, less = ablation_page.table(rows, "all")
    assert [line["recipe"] for line in (table, whole, less)] == ["look-up table", "all", "less"]
    assert [line["MAE"] for line in (table, whole, less)] == ["0.5000", "0.2000", "0.3000"]
    assert less["MAE less that of 'all'"] == "+0.1000 (0.1000 to 0.1000)"
    assert (whole["steps"], whole["subjects"], whole["SSIM"]) == (9, 3, "")
    page = ablation_page.markdown(rows, "all", "the command")
    assert "| less | 8 | 3 | 0.3000 | +0.1000 (0.1000 to 0.1000) |" in page
    assert "SSIM" not in page
    assert ablation_page.bars(rows, "all").startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_same_command_again_does_only_what_is_left_and_a_changed_variant_is_refused(tmp_path):
    data = save_aligned_data(tmp_path)
    start = save_untrained_model(tmp_path / "start")
    (tmp_path / "small.toml").write_text("steps = 2\nbatch_size = 2\npatch = 48\npicture_minutes = 0\n[losses]\nssim = 0.1\n")
    variants = 'recipe = "small.toml"\n[variants."all"]\n[variants."no noise"]\naugmentation = { noise = 0 }\n'
    (tmp_path / "variants.toml").write_text(variants)
    out = tmp_path / "out"
    command = [sys.executable, BENCHMARKS / "ablation.py", tmp_path / "variants.toml", data, "--fold", "1"]
    command = [*map(str, command), "--from", str(start), "-o", str(out)]

    def run():
        return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False)

    first = run()
    assert first.returncode == 0, first.stderr
    rows = list(csv.DictReader((out / "ablation.csv").open()))
    assert [row["recipe"] for row in rows] == ["look-up table", "start", "all", "no noise"]
    assert [row["steps"] for row in rows] == ["", "", "2", "2"]
    assert all(float(row["MAE"]) > 0 for row in rows)
    assert "t1t2 train" in (out / "no-noise" / "recipe.toml").read_text()

    trained = (out / "all" / "model" / "models" / "model.pt").stat().st_mtime_ns
    (out / "no-noise" / "model" / "models" / "model.pt").unlink()  # as if it had been stopped before its end
    again = run()
    assert again.returncode == 0, again.stderr
    assert "Training 'no noise'" in again.stdout
    assert "Training 'all'" not in again.stdout
    assert again.stdout.count("Judging") == 1
    assert (out / "all" / "model" / "models" / "model.pt").stat().st_mtime_ns == trained

    (tmp_path / "variants.toml").write_text(variants.replace("noise = 0 ", "noise = 0.01 "))
    changed = run()
    assert changed.returncode == 1
    assert "another recipe or command than 'no noise' is now" in changed.stderr
