"""The command on real files: what appears, what is printed, what is refused, and that nothing is ever half-written or lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import T1T2TranslationLib
from givens import OBLIQUE, a_dicom_series, a_head, a_t2_head, save_untrained_model
from T1T2TranslationLib.cli import main
from T1T2TranslationLib.io import read_volume, write_volume
from T1T2TranslationLib.samples import phantom
from T1T2TranslationLib.volume import Volume

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(T1T2TranslationLib.__file__).parents[1]), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def a_model(tmp_path_factory) -> str:
    return str(save_untrained_model(tmp_path_factory.mktemp("models") / "untrained"))


@pytest.fixture
def t2t(a_model):
    """`t1t2 translate` with a small model on the CPU."""
    return lambda *arguments: main(["translate", *map(str, arguments), "--model", a_model, "--device", "cpu"])


@pytest.fixture
def t1(tmp_path) -> Path:
    write_volume(phantom("T1"), tmp_path / "in" / "T1.nii.gz")
    return tmp_path / "in" / "T1.nii.gz"


@pytest.fixture
def t2(tmp_path) -> Path:
    write_volume(phantom("T2"), tmp_path / "reference" / "T2.nrrd")
    return tmp_path / "reference" / "T2.nrrd"


def names_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


# ---- one scan


def test_a_scan_becomes_a_synthetic_one_on_its_own_grid_with_a_record(t2t, t1, tmp_path, capsys):
    assert t2t(t1, "-o", tmp_path / "out" / "new.nii.gz") == 0
    made, given = nibabel.load(tmp_path / "out" / "new.nii.gz"), nibabel.load(t1)
    assert made.shape == given.shape
    np.testing.assert_allclose(made.affine, given.affine, atol=1e-5)
    assert made.get_data_dtype() == np.int16
    assert made.header["descrip"].item().startswith(b"SYNTHETIC T2; not for diagnosis")
    assert names_in(tmp_path / "out") == ["new.json", "new.nii.gz"]
    output = capsys.readouterr()
    assert "new.nii.gz: SYNTHETIC T2 by untrained" in output.out
    assert output.err == ""


def test_the_record_says_how_it_came_about_and_names_no_path(t2t, t1, t2, tmp_path):
    assert t2t(t1, "-o", tmp_path / "new.nrrd", "--reference", t2) == 0
    text = (tmp_path / "new.json").read_text("utf-8")
    record = json.loads(text)
    assert record["mark"] == "SYNTHETIC"
    assert record["input"] == "T1"
    assert record["outputs"] == {"synthetic": "new.nrrd", "record": "new.json"}
    assert len(record["request"]["input_sha256"]) == len(record["provenance"]["weights_sha256"]) == 64
    assert {check["level"] for check in record["checks"]} <= {"green", "amber"}
    assert "MAE" in next(iter(record["metrics"].values()))
    assert str(tmp_path) not in text
    assert "NaN" not in text


def test_with_a_reference_every_result_appears(t2t, t1, t2, tmp_path, capsys):
    out = tmp_path / "out"
    options = ["--error-map", out / "e.mha", "--true-error-map", out / "t.nii", "--report", out / "r.html"]
    assert t2t(t1, "-o", out / "s.nrrd", "--reference", t2, *options) == 0
    assert names_in(out) == ["e.mha", "r.html", "s.json", "s.nrrd", "t.nii"]
    synthetic, true_error = read_volume(out / "s.nrrd"), read_volume(out / "t.nii")
    assert synthetic.has_grid_of(read_volume(t1))
    assert true_error.array.max() > 0
    assert sitk.ReadImage(out / "e.mha").GetMetaData("description").startswith("SYNTHETIC T2 predicted error")
    assert "true error" in (out / "r.html").read_text("utf-8")
    assert "mean error" in capsys.readouterr().out


def test_outside_the_mask_the_result_is_zero(t2t, t1, tmp_path):
    volume = read_volume(t1)
    mask = np.zeros(volume.shape, np.uint8)
    mask[10:40, 10:50, 10:50] = 1
    image = nibabel.Nifti1Image(mask, volume.affine)
    image.header.set_intent("label")
    nibabel.save(image, tmp_path / "mask.nii")
    assert t2t(t1, "-o", tmp_path / "new.nii", "--mask", tmp_path / "mask.nii", "--force") == 0
    assert not read_volume(tmp_path / "new.nii").array[mask == 0].any()


def test_a_dicom_folder_is_one_scan(t2t, tmp_path, capsys):
    folder = a_dicom_series(tmp_path / "dicom")
    assert t2t(folder, "-o", tmp_path / "new.nii.gz", "--force") == 0
    assert read_volume(tmp_path / "new.nii.gz").has_grid_of(read_volume(folder))
    a_dicom_series(folder, 8, "T2 TSE", prefix="B")
    assert t2t(folder, "-o", tmp_path / "other.nii.gz", "--force") == 3
    assert "3: T1 MPRAGE" in capsys.readouterr().err
    assert t2t(f"{folder}#3", "-o", tmp_path / "other.nii.gz", "--force") == 0


def test_a_second_run_replaces_its_own_results(t2t, t1, tmp_path):
    for _ in range(2):
        assert t2t(t1, "-o", tmp_path / "new.nii.gz", "--report", tmp_path / "new.html") == 0


def test_quiet_prints_nothing(t2t, t1, tmp_path, capsys):
    assert t2t(t1, "-o", tmp_path / "new.nii", "--quiet") == 0
    assert capsys.readouterr() == ("", "")


def test_checks_that_are_not_green_are_printed(t2t, tmp_path, capsys):
    write_volume(a_t2_head(), tmp_path / "T2.nii")
    assert t2t(tmp_path / "T2.nii", "-o", tmp_path / "new.nii", "--force") == 0
    assert "note: " in capsys.readouterr().out


# ---- what is refused: one sentence, a code that means something, nothing written


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["absent.nii", "-o", "new.nii"], 3, "no file or folder"),
        (["in/T1.nii.gz", "-o", "in/T1.nii.gz"], 5, "is an input"),
        (["in/T1.nii.gz", "-o", "new.nii", "--error-map", "in/T1.nii.gz"], 5, "is an input"),
        (["in/T1.nii.gz", "-o", "new.nii", "--reference", "in/T1.nii.gz", "--report", "in/T1.nii.gz"], 5, "HTML"),
        (["in/T1.nii.gz", "-o", "new.png"], 5, ".nii.gz, .nii, .nrrd, .mha"),
        (["in/T1.nii.gz", "-o", "new.nii", "--error-map", "./new.nii"], 5, "same file name"),
        (["in/T1.nii.gz", "-o", "somebodys.nii"], 5, "would be lost"),
        (["in/T1.nii.gz", "-o", "notes.nii"], 5, "'notes.json' exists"),
        (["in/T1.nii.gz", "-o", "new.nii", "--model", "t1_to_nowhere"], 4, "available:"),
        (["in/T1.nii.gz", "-o", "new.nii", "--device", "cuda:77"], 6, "cuda:77"),
        (["in/T1.nii.gz", "-o", "new.nii", "--mask", "absent.nii"], 3, "no file or folder"),
        (["in/T1.nii.gz", "-o", "new.nii", "--mask", "empty.nii"], 3, "mask"),
        (["empty.nii", "-o", "new.nii"], 3, "empty"),
        (["thin.nii", "-o", "new.nii"], 3, "3 slices"),
        (["broken.nii.gz", "-o", "new.nii"], 3, "damaged"),
        (["T2.nii", "-o", "new.nii"], 3, "T2"),
        (["nothing", "-o", "new"], 3, "holds no scan"),
        (["in", "-o", "new.nii"], 5, "many scans"),
        (["notes.json", "-o", "new"], 3, "holds no scan"),
        (["absent.json", "-o", "new"], 7, "data list 'absent.json' cannot be read"),
    ],
)
def test_bad_requests_end_with_one_sentence_and_their_code(a_model, t1, tmp_path, monkeypatch, capsys, arguments, code, words):
    monkeypatch.chdir(tmp_path)
    write_volume(Volume(np.zeros((20, 20, 20), np.int16), OBLIQUE), "empty.nii")
    write_volume(Volume(a_head().array[:, :, 20:23], OBLIQUE), "thin.nii")
    write_volume(a_t2_head(), "T2.nii")
    write_volume(a_head(), "somebodys.nii")
    Path("notes.json").write_text('{"RepetitionTime": 2}')
    Path("broken.nii.gz").write_bytes(t1.read_bytes()[:900] + b"garbage")
    Path("nothing").mkdir()
    before = {name: Path(name).read_bytes() for name in names_in(tmp_path)}
    assert main(["translate", "--model", a_model, "--device", "cpu", *arguments]) == code
    output = capsys.readouterr()
    assert words in output.err
    assert output.err.count("\n") == 1
    assert output.err.startswith("t1t2: ")
    assert output.out == ""
    assert {name: Path(name).read_bytes() for name in names_in(tmp_path)} == before


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dance"],
        ["translate", "T1.nii"],
        ["translate", "T1.nii", "-o", "new.nii", "--true-error-map", "e.nii"],
        ["translate", ".", "-o", "new", "--mask", "m.nii"],
    ],
)
def test_wrong_usage_is_code_2(arguments, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: t1t2" in capsys.readouterr().err


def test_a_full_disk_leaves_nothing_behind(t2t, t1, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 5000))
    assert t2t(t1, "-o", tmp_path / "out" / "new.nii") == 5
    assert "is full" in capsys.readouterr().err
    assert names_in(tmp_path / "out") == []


# ---- a folder of scans


def test_a_folder_gives_a_folder_and_one_bad_scan_does_not_stop_the_others(t2t, tmp_path, capsys):
    scans, out = tmp_path / "scans", tmp_path / "out"
    write_volume(phantom("T1"), scans / "sub-1" / "T1w.nii.gz")
    write_volume(phantom("T1"), scans / "sub-2" / "T1w.nrrd")
    write_volume(a_t2_head(), scans / "sub-2" / "T2w.nrrd")
    (scans / "sub-0.nii").write_text("broken")
    assert t2t(scans, "-o", out, "--report", out) == 3
    output = capsys.readouterr()
    assert "2 translated, 0 were done before, 2 refused, 0 failed." in output.out
    assert [line.split(": ")[1] for line in output.err.splitlines()] == ["sub-0", "sub-2/T2w"]
    endings = (".html", ".json", ".nii.gz", "_error.nii.gz")
    results = [f"sub-{n}/T1w_SYNTHETIC_T2{ending}" for n in (1, 2) for ending in endings]
    assert names_in(out) == sorted([*results, "sub-0_SYNTHETIC_T2.json", "sub-2/T2w_SYNTHETIC_T2.json"])  # and why not the others


def test_what_is_done_is_not_done_again_until_it_changes(t2t, tmp_path, capsys):
    scans = tmp_path / "scans"
    write_volume(phantom("T1"), scans / "a.nii.gz")
    write_volume(phantom("T1"), scans / "b.nii.gz")
    assert t2t(scans, "-o", scans) == 0
    result = scans / "a_SYNTHETIC_T2.nii.gz"
    first = result.stat().st_mtime_ns
    capsys.readouterr()
    assert t2t(scans, "-o", scans) == 0  # and results beside the scans are no scans
    assert "0 translated, 2 were done before, 0 refused, 0 failed." in capsys.readouterr().out
    assert result.stat().st_mtime_ns == first
    (scans / "b_SYNTHETIC_T2_error.nii.gz").unlink()
    changed = phantom("T1").array.copy()
    changed[30, 30, 30] += 1
    write_volume(phantom("T1").with_array(changed), scans / "a.nii.gz")
    assert t2t(scans, "-o", scans) == 0
    assert "2 translated" in capsys.readouterr().out


def test_only_scans_of_a_pattern_are_translated(t2t, tmp_path):
    for name in ("sub-1_T1w", "sub-1_T2w"):
        write_volume(phantom("T1"), tmp_path / "scans" / f"{name}.nii.gz")
    assert t2t(tmp_path / "scans", "-o", tmp_path / "out", "--only", "*T1w") == 0
    assert [name for name in names_in(tmp_path / "out") if "T2w" in name] == []


def test_what_works_with_many_scans_only_is_not_ignored_with_one(t2t, tmp_path, capsys):
    scan = tmp_path / "a.nii.gz"
    write_volume(phantom("T1"), scan)
    for option, value in (("--only", "*T1w"), ("--shard", "1/2")):
        with pytest.raises(SystemExit):
            t2t(scan, "-o", tmp_path / "out.nii.gz", option, value)
        assert f"{option} works with a folder of scans or a data list, IN is one scan" in capsys.readouterr().err


# ---- the process


def run(*arguments: str, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "T1T2TranslationLib", *arguments]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=120, **options)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["models"], ["models", "--json"], ["translate", "--help"]])
def test_help_and_models_load_neither_torch_nor_simpleitk(arguments):
    code = (
        "import sys; from T1T2TranslationLib.cli import main\n"
        f"try: main({arguments!r})\nexcept SystemExit as e: assert not e.code\n"
        "assert not {'torch', 'SimpleITK', 'matplotlib'} & set(sys.modules), 'heavy'"
    )
    subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)


def test_the_module_is_the_command_and_lists_what_is_broken_too(tmp_path):
    (tmp_path / "broken" / "configs").mkdir(parents=True)
    environment = {**ENVIRONMENT, "T1T2_MODELS": str(tmp_path)}
    command = [sys.executable, "-m", "T1T2TranslationLib", "models", "--json"]
    cards = json.loads(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    assert "metadata.json is missing" in next(card["problem"] for card in cards if card["name"] == "broken")


@pytest.mark.parametrize("face", ["train", "evaluate"])
def test_train_and_evaluate_answer_for_themselves(face):
    answer = run(face, "--help")
    assert answer.returncode == 0
    assert f"usage: t1t2 {face}" in answer.stdout


def test_a_missing_part_of_the_program_is_one_sentence(tmp_path, t1):
    code = (
        "import sys; sys.modules['torch'] = None; from T1T2TranslationLib.cli import main;"
        f"sys.exit(main(['translate', {str(t1)!r}, '-o', {str(tmp_path / 'new.nii')!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode in (1, 4)
    assert done.stderr.startswith("t1t2: ")
    assert "Traceback" not in done.stderr


_STOPPED_RUN = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell turns off for what it runs in the background
from T1T2TranslationLib import cli, inference, output
translate, flush = inference.translate, output._flush_to_disk
def stop(*_): os.kill(os.getpid(), {number})
if {moment!r} == "translating":
    inference.translate = lambda *a, progress, **k: translate(*a, progress=lambda f, m: f > 0.5 and stop(), **k)
else:
    output._flush_to_disk = stop
sys.exit(cli.main({arguments!r}))
"""


@pytest.mark.parametrize("moment", ["translating", "writing"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 128 + signal.SIGTERM)])
def test_a_run_that_is_stopped_writes_nothing(a_model, t1, tmp_path, moment, number, code):
    (tmp_path / "out").mkdir()
    arguments = ["translate", str(t1), "-o", str(tmp_path / "out" / "new.nii"), "--model", a_model, "--device", "cpu"]
    script = _STOPPED_RUN.format(number=int(number), moment=moment, arguments=arguments)
    done = subprocess.run(
        [sys.executable, "-c", script], env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert names_in(tmp_path / "out") == []
