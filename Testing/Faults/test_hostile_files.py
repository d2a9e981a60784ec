"""Whatever a file holds, it is refused in one sentence or read as it is: no crash, no hang, no memory beyond a bound."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import T1T2TranslationLib

from Faults import hostile, reading
from Faults.hostile import an_array

LIB_PARENT = Path(T1T2TranslationLib.__file__).parents[1]
SEED = 20261123
ALL, QUICK = 500, 66


class Reader:
    """`reading.py` as a process; starts again after a file that ended it."""

    def __init__(self):
        self._process: subprocess.Popen | None = None

    def read(self, path: Path) -> dict:
        if self._process is None:
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(LIB_PARENT), str(Path(hostile.__file__).parents[1])])}
            self._process = subprocess.Popen(
                [sys.executable, reading.__file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
            )
        self._process.stdin.write(f"{path}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if line:
            return json.loads(line)
        status, self._process = self._process.wait(), None
        return {"outcome": "ended the process", "status": status}

    def close(self) -> None:
        if self._process is not None:
            self._process.stdin.close()
            self._process.wait()


@pytest.fixture
def reader():
    reader = Reader()
    yield reader
    reader.close()


def fault_of(found: dict, path: Path) -> str:
    """What is wrong with an outcome; empty where it is a clear refusal or a right result."""
    if found["outcome"] == "refused":
        message, remedy = found["message"], found["remedy"]
        if "memory" in message:
            return f"asked for more than {reading.BOUND_BYTES >> 20} MiB"
        is_clear = message.endswith(".") and remedy.endswith(".") and "\n" not in message + remedy and message.isprintable()
        return "" if is_clear and "ITK" not in message and ".cxx" not in message else f"unclear: {message!r} {remedy!r}"
    if found["outcome"] != "read":
        return f"ended the process with status {found['status']}"
    return _difference_to_the_file(np.load(found["array"]), np.array(found["affine"]), path)


def _difference_to_the_file(array: np.ndarray, affine: np.ndarray, path: Path) -> str:
    """Where a second implementation sees another image in the same file; for bytes in plain, that they are the file's."""
    import nibabel
    import SimpleITK as sitk

    if path.name.startswith("nifti"):
        try:
            image = nibabel.load(path)
            theirs = np.asarray(image.dataobj).reshape(array.shape)
        except (nibabel.filebasedimages.ImageFileError, nibabel.spatialimages.HeaderDataError, ValueError, OSError) as error:
            return f"read although nibabel says {error}"
        places = (image.affine, image.get_qform())  # ITK and Slicer sometimes prefer the quaternion, nibabel never
        is_same = np.allclose(theirs, array, rtol=1e-4, atol=1e-3)
        is_same &= any(np.allclose(place, affine, atol=1e-2, rtol=1e-4) for place in places)
        return "" if is_same else "not the image that nibabel sees"
    if path.is_dir():
        import pydicom

        planes = {pydicom.dcmread(file).pixel_array.T.astype(array.dtype).tobytes() for file in path.iterdir() if _is_whole(file)}
        planes |= {an_array()[:, :, k].astype(array.dtype).tobytes() for k in range(array.shape[2])}  # the spoilt tag did no harm
        is_same = all(array[:, :, k].tobytes() in planes for k in range(array.shape[2]))
        return "" if is_same else "not the slices that pydicom sees"
    packed = path.name.startswith("packed")
    content = path.read_bytes() if path.suffix in (".mha", ".nrrd") else next(path.parent.glob(f"{path.stem}.*raw")).read_bytes()
    stored = array.T.astype(array.dtype.newbyteorder("<"))
    if packed or stored.tobytes() in content or stored.byteswap().tobytes() in content:
        theirs = sitk.GetArrayFromImage(sitk.ReadImage(str(path))).T.reshape(array.shape)
        return "" if np.array_equal(theirs, array) else "not the image that SimpleITK sees"
    return "not the bytes that the file holds"


def _is_whole(file: Path) -> bool:
    import pydicom

    try:
        return pydicom.dcmread(file).pixel_array.ndim == 2
    except (pydicom.errors.InvalidDicomError, AttributeError, ValueError, NotImplementedError, KeyError, EOFError, TypeError):
        return False


def survive(numbers: range, folder: Path, reader: Reader) -> Counter:
    """Try these hostile files; the test fails with every fault, named. Returns how many ended how."""
    attacker = hostile.Attacker(hostile.make_files(folder / "good"), SEED)
    faults, outcomes = [], Counter()
    for number in numbers:
        path, what = attacker.spoil(number, folder / str(number))
        found = reader.read(path)
        outcomes[found["outcome"]] += 1
        if fault := fault_of(found, path):
            faults.append(f"{number} ({what}): {fault}")
    assert not faults, "\n".join(faults)
    return outcomes


def test_good_files_are_read_within_the_same_bound(tmp_path, reader):
    for form, path in hostile.make_files(tmp_path).items():
        found = reader.read(path)
        assert found["outcome"] == "read", form
        assert fault_of(found, path) == "", form


def test_the_first_hostile_files_are_refused_or_read_as_they_are(tmp_path, reader):
    outcomes = survive(range(QUICK), tmp_path, reader)
    assert outcomes["refused"] > QUICK / 3


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.faults("hostile files", ALL)
def test_five_hundred_hostile_files_are_refused_or_read_as_they_are(tmp_path, reader):
    outcomes = survive(range(ALL), tmp_path, reader)
    print(f"{ALL} hostile files: {dict(outcomes)}")
    assert outcomes["refused"] > ALL / 3
    assert sum(outcomes.values()) == ALL
