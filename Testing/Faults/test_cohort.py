"""A folder of scans or a data list in parts: each scan is done exactly once, however often the work is killed."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import T1T2TranslationLib
from givens import a_t2_head, save_untrained_model
from T1T2TranslationLib.cli import main
from T1T2TranslationLib.cohort import Shard, scans_of
from T1T2TranslationLib.io import find_scans, write_volume
from T1T2TranslationLib.samples import phantom

ROOT = Path(__file__).resolve().parents[2]
SNAKEMAKE = next(
    (
        path
        for place in (ROOT / ".venv" / "cohort" / "bin", None)
        if (path := shutil.which("snakemake", path=place and str(place)))
    ),
    None,
)
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(Path(T1T2TranslationLib.__file__).parents[1]),
    "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    "OMP_NUM_THREADS": "1",
}


@pytest.fixture(scope="module")
def a_model(tmp_path_factory) -> str:
    return str(save_untrained_model(tmp_path_factory.mktemp("models") / "untrained"))


def a_cohort(folder: Path, count: int) -> Path:
    """Small T1s that are all different: no result can stand in for another."""
    head = phantom("T1", spacing_mm=(4, 4, 4))
    for number in range(count):
        array = head.array.copy()
        array[0, 0, 0] = number
        write_volume(head.with_array(array), folder / f"sub-{number:03d}" / "T1w.nii.gz")
    return folder


def results_in(folder: Path) -> dict[str, int]:
    """When each finished scan was finished, by its name: where there is a record, its images are there too."""
    done = {}
    for record in folder.rglob("*.json"):
        stem = record.name.removesuffix(".json")
        if "refused" not in json.loads(record.read_text()):
            assert record.with_name(f"{stem}.nii.gz").is_file()
            assert record.with_name(f"{stem}_error.nii.gz").is_file()
        done[record.relative_to(folder).as_posix()] = record.stat().st_mtime_ns
    return done


def leftovers(folder: Path) -> list[Path]:
    return list(folder.rglob(".t1t2-*"))


def test_every_name_belongs_to_exactly_one_part_and_parts_are_about_equal():
    names = [f"sub-{number:05d}/anat/T1w" for number in range(4000)]
    counts = [sum(Shard(number, 8).holds(name) for name in names) for number in range(1, 9)]
    assert sum(counts) == len(names)
    assert min(counts) > 400
    assert all(Shard().holds(name) for name in names)


def test_a_scan_keeps_its_part_when_others_are_added(tmp_path):
    a_cohort(tmp_path, 6)
    before = {number: {scan.name for scan in find_scans(tmp_path, Shard(number, 3).holds)} for number in (1, 2, 3)}
    a_cohort(tmp_path, 12)
    for number, names in before.items():
        assert names <= {scan.name for scan in find_scans(tmp_path, Shard(number, 3).holds)}


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/3", "1/3/3"])
def test_a_part_that_does_not_exist_is_wrong_usage(text, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["translate", str(tmp_path), "-o", str(tmp_path / "out"), f"--shard={text}"])
    assert caught.value.code == 2
    assert "1/8" in capsys.readouterr().err


def test_parts_together_do_every_scan_and_again_do_nothing(a_model, tmp_path, capsys):
    scans, out = a_cohort(tmp_path / "scans", 7), tmp_path / "out"
    arguments = ["translate", str(scans), "-o", str(out), "--model", a_model, "--device", "cpu", "--force"]
    for number in (1, 2, 3):
        assert main([*arguments, "--shard", f"{number}/3"]) == 0
    done = results_in(out)
    assert sorted(done) == [f"sub-{number:03d}/T1w_SYNTHETIC_T2.json" for number in range(7)]
    capsys.readouterr()
    assert main(arguments) == 0
    assert "0 translated, 7 were done before, 0 refused, 0 failed." in capsys.readouterr().out
    assert results_in(out) == done


def test_a_refused_scan_is_not_tried_again_and_can_count_as_an_answer(a_model, tmp_path, capsys):
    scans, out = tmp_path / "scans", tmp_path / "out"
    write_volume(phantom("T1", spacing_mm=(4, 4, 4)), scans / "a.nii.gz")
    arguments = ["translate", str(scans), "-o", str(out), "--model", a_model, "--device", "cpu"]
    assert main([*arguments, "--force"]) == 0
    write_volume(a_t2_head(), scans / "a.nii.gz")  # another scan took its place
    assert main(arguments) == 3
    assert [path.name for path in out.iterdir()] == ["a_SYNTHETIC_T2.json"]  # the result of the old one is gone
    written, first = results_in(out), capsys.readouterr().err
    assert main([*arguments, "--refusals-are-answers"]) == 0
    assert results_in(out) == written
    assert capsys.readouterr().err in first
    assert "was refused" in first


def test_results_of_another_model_are_neither_replaced_nor_removed(a_model, tmp_path, capsys):
    scans, out = a_cohort(tmp_path / "scans", 2), tmp_path / "out"
    assert main(["translate", str(scans), "-o", str(out), "--model", a_model, "--device", "cpu", "--force"]) == 0
    done = results_in(out)
    other = save_untrained_model(tmp_path / "models" / "other")  # makes a T2 as well
    for extra in ([], ["--force"]):  # whether it refuses the scans or would translate them
        assert main(["translate", str(scans), "-o", str(out), "--model", str(other), "--device", "cpu", *extra]) == 5
        assert "is a result of the model untrained. Choose another folder." in capsys.readouterr().err
    assert results_in(out) == done


# Is `t1t2`, but is killed as the data of its file number N (from 0) are on the disk and not yet in place.
_KILLED_AT = """
import itertools, os, signal, sys
from T1T2TranslationLib import cli, output
files = itertools.count()
output._flush_to_disk = lambda path: os.kill(os.getpid(), signal.SIGKILL) if next(files) == {number} else None
cli.main(sys.argv[1:])
"""


def killed_while_writing_file(number: int, arguments: list[str]) -> None:
    command = [sys.executable, "-c", _KILLED_AT.format(number=number), *arguments]
    killed = subprocess.run(command, env=ENVIRONMENT, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL


@pytest.mark.faults("killed cohorts")
def test_what_a_killed_process_left_half_written_is_removed_by_the_next(a_model, tmp_path):
    scans, out = a_cohort(tmp_path / "scans", 2), tmp_path / "out"
    arguments = ["translate", str(scans), "-o", str(out), "--model", a_model, "--device", "cpu", "--force"]
    killed_while_writing_file(0, arguments)
    assert len(leftovers(out)) == 1
    assert main(arguments) == 0
    assert leftovers(out) == []
    assert len(results_in(out)) == 2


# ---- a data list instead of a folder


def a_datalist(folder: Path, **lists: list) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "datalist.json").write_text(json.dumps({"description": "a test", "numTraining": 3, **lists}))
    return folder / "datalist.json"


@pytest.mark.faults("killed cohorts")
def test_a_data_list_is_worked_through_in_parts_killed_and_taken_up_each_subject_once(a_model, tmp_path, capsys):
    scans, out = a_cohort(tmp_path / "scans", 6), tmp_path / "out"
    entries = [{"id": f"P{number}", "images": {"t1n": f"sub-{number:03d}/T1w.nii.gz"}} for number in range(6)]
    entries.append({"id": "no T1", "images": {"t2w": "sub-000/T1w.nii.gz"}})
    datalist = a_datalist(scans, training=entries[:4], validation=entries[3:])  # one of them in both lists
    arguments = ["translate", str(datalist), "-o", str(out), "--model", a_model, "--device", "cpu", "--force"]
    killed_while_writing_file(7, arguments)  # each has three: the third subject's second
    done = results_in(out)
    assert len(done) == 2
    for number in (1, 2, 3):
        assert main([*arguments, "--shard", f"{number}/3"]) == 0
    after = results_in(out)
    assert sorted(after) == [f"P{number}_SYNTHETIC_T2.json" for number in range(6)]
    assert {name: after[name] for name in done} == done  # nothing was done twice
    assert leftovers(out) == []
    capsys.readouterr()
    assert main(arguments) == 0
    assert "0 translated, 6 were done before, 0 refused, 0 failed." in capsys.readouterr().out


def test_the_scans_of_a_data_list_are_those_of_the_models_sequence_in_each_way_of_writing_one(tmp_path):
    datalist = a_datalist(
        tmp_path,
        training=[{"image": "a.nii.gz", "label": "a_seg.nii.gz"}, {"id": "s/1", "images": {"t1n": "b.nii", "t2w": "c.nii"}}],
        brats=[{"image": ["x_t1.nii.gz", "x_t2.nii.gz"], "label": "x_seg.nii.gz"}],
        test=["./imagesTs/d.nii.gz"],
        channel_names=["T1", "T2"],
    )

    def found(sequence: str) -> dict[str, str]:
        scans = scans_of(datalist, sequence, Shard())
        return {scan.name: Path(scan.source).relative_to(tmp_path).as_posix() for scan in scans}

    assert found("T1") == {"a": "a.nii.gz", "d": "imagesTs/d.nii.gz", "s/1": "b.nii", "x_t1": "x_t1.nii.gz"}
    assert found("T2").items() >= {"s/1": "c.nii", "x_t1": "x_t2.nii.gz"}.items()
    contrasted = a_datalist(tmp_path, brats=[{"id": "p", "images": {"t1n": "b.nii", "t1c": "e.nii"}}])
    assert [Path(scan.source).name for scan in scans_of(contrasted, "T1 with contrast agent", Shard())] == ["e.nii"]


@pytest.mark.faults("hostile files", 10)
def test_no_name_in_a_data_list_leads_out_of_the_folder_of_results(tmp_path):
    names = ["../../evil", "/etc/passwd", "..", "a/../../b", "..\\..\\c", "\0", "con/./x", "", " ", "Ünï 頭"]
    entries = [{"id": name, "images": {"t1n": f"{number}.nii"}} for number, name in enumerate(names)]
    found = [scan.name for scan in scans_of(a_datalist(tmp_path, all=entries), "T1", Shard())]
    out = (tmp_path / "out").resolve()
    assert all((out / f"{name}.json").resolve().is_relative_to(out) for name in found)
    assert len(set(found)) == len(names)
    assert "Ünï 頭" in found
    assert not any(set(name) & set("\\\0") or ".." in name.split("/") for name in found)


# ---- the workflow


def snakemake(scans: Path, out: Path, model: str, parts: int, *options: str) -> subprocess.Popen:
    settings = [
        f"scans={scans}",
        f"results={out}",
        f"parts={parts}",
        f"model={model}",
        "device=cpu",
        "options=--force",
        "threads=1",
    ]
    command = [SNAKEMAKE, "-s", str(ROOT / "workflow" / "Snakefile"), "--cores", "2", "--rerun-incomplete", *options]
    return subprocess.Popen(
        [*command, "--config", *settings],
        cwd=out.parent,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen) -> None:
    _, errors = process.communicate(timeout=1500)
    assert process.returncode == 0, errors[-3000:]


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.faults("killed cohorts")
@pytest.mark.skipif(SNAKEMAKE is None, reason="Snakemake is not installed: `make .venv/cohort`.")
def test_two_hundred_scans_are_done_exactly_once_though_the_workflow_is_killed(a_model, tmp_path):
    scans, out = a_cohort(tmp_path / "scans", 200), tmp_path / "out"
    process = snakemake(scans, out, a_model, 8)
    while len(results_in(out)) < 60:
        assert process.poll() is None, process.stderr.read()[-3000:]
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGKILL)  # Snakemake and every part with it, in the middle of writing
    process.wait()
    done = results_in(out)
    assert 60 <= len(done) < 200
    print(f"killed with {len(done)} of 200 done")
    finish(snakemake(scans, out, a_model, 8, "--unlock"))
    finish(snakemake(scans, out, a_model, 8))
    after = results_in(out)
    assert sorted(after) == [f"sub-{number:03d}/T1w_SYNTHETIC_T2.json" for number in range(200)]
    assert {name: after[name] for name in done} == done  # nothing was done twice
    assert leftovers(out) == []
    with (out / "summary.csv").open() as file:
        assert [row["outcome"] for row in csv.DictReader(file)] == ["translated"] * 200
