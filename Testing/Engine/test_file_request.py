"""A scan on disk is translated by the worker, which reads and writes the files itself, and does nothing twice."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from givens import a_head, a_t2_head, save_untrained_model
from T1T2TranslationLib import protocol
from T1T2TranslationLib.catalog import METADATA, find_model
from T1T2TranslationLib.cli import main
from T1T2TranslationLib.errors import UnsuitableVolume
from T1T2TranslationLib.file_translation import FileTranslation
from T1T2TranslationLib.io import read_volume, write_volume
from T1T2TranslationLib.job import Job


@pytest.fixture
def ask(tmp_path):
    """Asks a worker for the translation of a scan; returns the answer as the panel gets it."""
    model = str(save_untrained_model(tmp_path / "model"))
    with a_worker() as process:

        def ask(source: Path, force: bool = True) -> protocol.FilesDone:
            arguments = {
                "source": str(source),
                "name": "sub-1/T1w",
                "results": str(tmp_path / "results"),
                "model": model,
                "device": "cpu",
                "accept_any_input": force,
            }
            job = Job(arguments, tmp_path, protocol.file_request)
            process.stdin.write(protocol.encode(job.request).encode())
            process.stdin.flush()
            try:
                return job.result(next(event for event in events(process) if event["event"] in ("done", "error")))
            finally:
                assert list(job.folder.iterdir()) == []  # no image crosses
                job.remove()

        yield ask


@contextmanager
def a_worker() -> Iterator[subprocess.Popen]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "T1T2TranslationLib.worker"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        yield process
        process.stdin.close()


def events(process: subprocess.Popen) -> Iterator[dict]:
    while line := process.stdout.readline():
        yield json.loads(line)


def test_the_worker_writes_the_files_once_and_refuses_what_is_not_suited(ask, tmp_path):
    write_volume(a_head(), tmp_path / "head.nii.gz")
    done = ask(tmp_path / "head.nii.gz")
    assert not done.were_there
    results = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "results" / "sub-1").iterdir()}
    assert sorted(results) == ["T1w_SYNTHETIC_T2.json", "T1w_SYNTHETIC_T2.nii.gz", "T1w_SYNTHETIC_T2_error.nii.gz"]
    assert done.notes  # that the checks were overruled
    again = ask(tmp_path / "head.nii.gz")
    assert again.were_there
    assert again.notes == done.notes  # also of what was made by a process that is long gone
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "results" / "sub-1").iterdir()} == results
    write_volume(a_t2_head(), tmp_path / "other.nii.gz")
    with pytest.raises(UnsuitableVolume, match="was refused"):
        ask(tmp_path / "other.nii.gz", force=False)


def test_what_was_made_before_the_model_was_calibrated_is_made_again_by_the_calibrated_model(ask, tmp_path):
    write_volume(a_head(), tmp_path / "head.nii.gz")
    ask(tmp_path / "head.nii.gz")
    before = read_volume(next(tmp_path.glob("results/sub-1/*_error.nii.gz"))).array
    metadata = json.loads((tmp_path / "model" / METADATA).read_text())
    metadata["t1t2"]["error_factor"] = 0.5
    (tmp_path / "model" / METADATA).write_text(json.dumps(metadata))
    assert not ask(tmp_path / "head.nii.gz").were_there
    after = read_volume(next(tmp_path.glob("results/sub-1/*_error.nii.gz"))).array
    assert before.any()
    np.testing.assert_allclose(after.mean(), before.mean() / 2, rtol=0.02)  # the worker was warm; its trial may end with float32
    assert ask(tmp_path / "head.nii.gz").were_there


def test_a_record_whose_notes_cannot_be_read_is_made_again(ask, tmp_path):
    write_volume(a_head(), tmp_path / "head.nii.gz")
    notes = ask(tmp_path / "head.nii.gz").notes
    record = next(tmp_path.glob("results/sub-1/*.json"))
    whole = json.loads(record.read_text())
    for spoilt in (
        {"checks": None},
        {"checks": [{"level": "red"}]},
        {"checks": ["red"]},
        {"warnings": "many"},
        {"warnings": [1]},
    ):
        record.write_text(json.dumps(whole | spoilt))
        again = ask(tmp_path / "head.nii.gz")
        assert (again.were_there, again.notes) == (False, notes), spoilt


def test_a_request_without_region_or_calibration_is_that_of_earlier_versions(tmp_path):
    write_volume(a_head(), tmp_path / "head.nii.gz")
    card = find_model(save_untrained_model(tmp_path / "model"))
    files = FileTranslation.in_folder(str(tmp_path / "head.nii.gz"), "head", tmp_path, card)
    earlier = {"input_sha256", "mask_sha256", "reference_sha256", "weights_sha256", "accept_any_input", "software"}
    assert files.request(card, False).keys() == earlier
    regional = dataclasses.replace(files, region=str(tmp_path / "head.nii.gz"))
    assert regional.request(card, False).keys() == earlier | {"region_sha256"}
    assert files.request(dataclasses.replace(card, error_factor=1.5), False)["error_factor"] == 1.5


def test_an_incomplete_file_request_is_refused(tmp_path):
    message = protocol.file_request("7", tmp_path, source="a.nii", name="a", results="out", model="x")
    assert protocol.file_arguments(message)["results"] == Path("out")
    del message["results"]
    with pytest.raises(protocol.UnreadableMessage, match="translate_file request is incomplete"):
        protocol.file_arguments(message)


def test_the_shell_lists_what_it_would_take_of_a_folder_and_no_result(tmp_path, capsys):
    write_volume(a_head(), tmp_path / "sub-1" / "T1w.nii.gz")
    write_volume(a_head(), tmp_path / "T1T2_SYNTHETIC" / "T1w_SYNTHETIC_T2.nii.gz", {"description": "SYNTHETIC T2"})
    assert main(["scans", str(tmp_path)]) == 0
    assert capsys.readouterr().out.split() == ["sub-1/T1w", str(tmp_path / "sub-1" / "T1w.nii.gz")]
    assert main(["scans", "--json", str(tmp_path)]) == 0
    scan = {"source": str(tmp_path / "sub-1" / "T1w.nii.gz"), "name": "sub-1/T1w"}
    assert json.loads(capsys.readouterr().out) == [scan]
