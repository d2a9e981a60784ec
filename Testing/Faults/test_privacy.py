"""Nothing that names a patient leaves a DICOM header: not into results, records, reports, logs or what is printed."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest
import SimpleITK as sitk
import T1T2TranslationLib
from givens import a_dicom_series, a_head, save_untrained_model
from T1T2TranslationLib import protocol
from T1T2TranslationLib.job import Job
from T1T2TranslationLib.volume import Volume

LIB_PARENT = Path(T1T2TranslationLib.__file__).parents[1]

# Every kind of tag by which somebody could be known; each value is unlike anything else in a result.
IDENTITY = {
    "PatientName": "Quixote^Dulcinea",
    "PatientID": "PID-7734-X",
    "PatientBirthDate": "19410607",
    "PatientSex": "F",
    "PatientAddress": "12 Windmill Lane Toboso",
    "OtherPatientIDs": "SSN-555-01",
    "AccessionNumber": "ACC909090",
    "StudyDate": "20170203",
    "SeriesDate": "20170204",
    "AcquisitionDate": "20170205",
    "ContentDate": "20170206",
    "StudyTime": "112233.445",
    "StudyID": "STUDY8181",
    "InstitutionName": "Hospital of La Mancha",
    "ReferringPhysicianName": "Panza^Sancho",
    "OperatorsName": "Rocinante^Op",
    "DeviceSerialNumber": "SERIAL-2468",
    "PatientComments": "lives with a barber",
}
# Letters long enough not to occur by chance.
TELLTALES = sorted({part for value in IDENTITY.values() for part in value.replace("^", " ").split(" ") if len(part) > 5})


@pytest.fixture
def a_patients_scan(tmp_path) -> Path:
    """A DICOM series with all of it in every header, three folders below the patient's name."""
    place = tmp_path / "QUIXOTE_DULCINEA_PID-7734-X" / "20170203" / "SE000003"
    place.parent.mkdir(parents=True)
    folder = a_dicom_series(place)
    for file in folder.iterdir():
        slice_ = pydicom.dcmread(file)
        for keyword, value in IDENTITY.items():
            setattr(slice_, keyword, value)
        slice_.save_as(file)
    return folder


def as_text(path: Path) -> str:
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return content.decode("latin-1")


def telltales_in(text: str) -> list[str]:
    return [word for word in TELLTALES if word.lower() in text.lower()]


def translate(*arguments: object, model: Path) -> subprocess.CompletedProcess:
    command = [
        sys.executable,
        "-m",
        "T1T2TranslationLib",
        "translate",
        *map(str, arguments),
        "--device",
        "cpu",
        "--model",
        str(model),
    ]
    environment = {**os.environ, "PYTHONPATH": str(LIB_PARENT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=280)


@pytest.fixture(scope="module")
def a_model(tmp_path_factory) -> Path:
    return save_untrained_model(tmp_path_factory.mktemp("models") / "untrained")


def test_the_headers_really_hold_the_identity(a_patients_scan):
    assert telltales_in(as_text(next(a_patients_scan.iterdir()))) == TELLTALES


@pytest.mark.parametrize("extension", ["nii.gz", "nrrd", "mha"])
def test_results_records_reports_and_what_is_printed_name_no_patient(a_patients_scan, a_model, tmp_path, extension):
    out = tmp_path / "out"
    options = ["--error-map", out / f"error.{extension}", "--report", out / "report.html", "--force"]
    done = translate(a_patients_scan, "-o", out / f"new.{extension}", *options, model=a_model)
    assert done.returncode == 0, done.stderr
    for path in out.iterdir():
        assert telltales_in(as_text(path)) == [], path.name
        assert telltales_in(path.name) == []
    for name in (f"new.{extension}", f"error.{extension}"):
        image = sitk.ReadImage(out / name)
        assert telltales_in(" ".join(image.GetMetaData(key) for key in image.GetMetaDataKeys())) == []
    assert telltales_in(done.stdout + done.stderr) == []
    assert str(tmp_path) not in (out / "new.json").read_text("utf-8") + (out / "report.html").read_text("utf-8")


def test_a_refusal_names_the_series_and_no_patient(a_patients_scan, a_model, tmp_path):
    (a_patients_scan / "IM0007").unlink()
    done = translate(a_patients_scan, "-o", tmp_path / "new.nii", model=a_model)
    assert done.returncode == 3
    assert "SE000003" in done.stderr
    assert telltales_in(done.stderr) == []
    other = a_dicom_series(a_patients_scan, 9, "T2 TSE", prefix="B")
    done = translate(other, "-o", tmp_path / "new.nii", model=a_model)
    assert "9: T2 TSE" in done.stderr
    assert telltales_in(done.stderr) == []


def test_what_a_cohort_writes_names_no_patient_though_its_folders_do(a_patients_scan, a_model, tmp_path):
    patient, incomplete = a_patients_scan.parents[1], a_patients_scan.with_name("SE000004")
    shutil.copytree(a_patients_scan, incomplete)
    (incomplete / "IM0007").unlink()
    out = tmp_path / "out"
    done = translate(patient, "-o", out, "--report", out, "--force", model=a_model)
    assert done.returncode == 3, done.stderr
    written = [path for path in out.rglob("*") if path.is_file()]
    assert sorted(path.name for path in written if path.suffix == ".json") == [
        "SE000003_SYNTHETIC_T2.json",
        "SE000004_SYNTHETIC_T2.json",
    ]
    for path in written:
        assert telltales_in(as_text(path)) == [], path.name
    assert telltales_in(done.stdout) == []
    assert str(tmp_path) not in done.stdout + done.stderr


def test_the_workers_log_names_no_patient_even_when_something_unexpected_fails(a_model, tmp_path):
    from test_worker import WorkerInTest

    folder = tmp_path / "QUIXOTE_DULCINEA"
    folder.mkdir()
    worker = WorkerInTest(stderr=subprocess.PIPE)
    head = Volume(a_head().array, a_head().affine, "Quixote Dulcinea PID-7734-X")
    good, broken = (
        Job({"volume": head, "model": str(a_model), "device": "cpu", "accept_any_input": True}, folder) for _ in range(2)
    )
    broken.request["input"]["affine"] = "not a matrix"
    for job in (broken, good):
        worker.send(job.request)
        assert worker.answer_to(job)["event"] == ("error" if job is broken else "done")
    worker.process.stdin.close()
    log = worker.process.stderr.read().decode()
    worker.wait()
    assert "Unexpected error" in log
    assert telltales_in(log) == []
    for job in (good, broken):
        job.remove()


def test_messages_to_the_worker_carry_no_more_than_the_name_that_the_user_sees(tmp_path):
    job = Job({"volume": a_head(), "model": "m", "device": "cpu"}, tmp_path)
    images = {"input", "mask", "reference", "region"}
    assert set(job.request) == images | {"command", "id", "folder", "model", "device", "accept_any_input"}
    assert set(job.request["input"]) == {"array", "affine", "name"}
    assert protocol.decode(protocol.encode(job.request)) == job.request
    job.remove()
