"""What must not change a result: the scale of the input, its mirror image, air around it, precision, the door it came by."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import T1T2TranslationLib
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from phantom import a_head_volume
from T1T2TranslationLib import device, inference, protocol
from T1T2TranslationLib.inference import translate
from T1T2TranslationLib.io import read_volume, write_volume
from T1T2TranslationLib.job import Job
from T1T2TranslationLib.volume import Volume

# Units of 1/1000 of the brain's p99.5, on the shipped model.
MIRROR_TOLERANCE = 120.0  # mean over the head of |f(mirror(x)) - mirror(f(x))|; 68 was found; training shows heads both ways
FACE_TOLERANCE = 60.0  # mean over the head, when air is added where it touches the volume's face; 24 was found
HALF_PRECISION_TOLERANCE = 6.0  # mean over the head of |bf16 - float32|
HALF_PRECISION_WORST = 120.0  # and at its worst voxel

_FEW = settings(
    max_examples=4,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def the_model():
    from T1T2TranslationLib.model import load_model

    return load_model("t1_to_t2")


@pytest.fixture(scope="module")
def a_head() -> Volume:
    return a_head_volume(dtype=np.float32)


@pytest.fixture(scope="module")
def float32():
    """Float32 on the CPU, whatever a timed trial says."""
    patch = pytest.MonkeyPatch()
    patch.setattr(device, "_CPU_BF16_GAIN", float("inf"))
    inference._chosen_device.cache_clear()
    yield
    patch.undo()
    inference._chosen_device.cache_clear()


@pytest.fixture(scope="module")
def as_it_is(a_head, the_model, float32) -> np.ndarray:
    return translate(a_head, the_model, device="cpu").synthetic.array


def result_of(array: np.ndarray, affine: np.ndarray, model) -> np.ndarray:
    return translate(Volume(array, affine, "head"), model, device="cpu").synthetic.array


@_FEW
@given(power=st.integers(-20, 20))
def test_scaling_by_a_power_of_two_changes_nothing(a_head, the_model, float32, as_it_is, power):
    scaled = np.ldexp(a_head.array, power)
    assert np.array_equal(result_of(scaled, a_head.affine, the_model), as_it_is)


@_FEW
@given(factor=st.floats(1e-3, 1e4), shift=st.floats(-500, 500))
def test_scaling_and_shifting_by_any_number_changes_at_most_one_unit(a_head, the_model, float32, as_it_is, factor, shift):
    """Air keeps a margin to the shift: what is added to air and tissue alike is what a scanner's offset does."""
    moved = ((a_head.array.astype(np.float64) + max(0.0, shift)) * factor).astype(np.float32)
    found = result_of(moved, a_head.affine, the_model)
    difference = np.abs(found.astype(int) - as_it_is)
    assert difference.mean() < 0.1
    assert np.percentile(difference, 99.9) <= 2


def test_a_mirrored_head_gives_the_mirrored_result_within_the_tolerance(a_head, the_model, float32, as_it_is):
    """The same voxels, said to lie the other way round: the head is now its own mirror image."""
    mirrored = result_of(np.ascontiguousarray(a_head.array[::-1]), a_head.affine, the_model)[::-1]
    head = as_it_is > 0
    difference = np.abs(mirrored.astype(int) - as_it_is)[head]
    assert 0 < difference.mean() < MIRROR_TOLERANCE


def test_the_same_head_stored_backwards_gives_the_same_voxels(a_head, the_model, float32, as_it_is):
    affine = a_head.affine @ np.array([[-1, 0, 0, a_head.shape[0] - 1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    backwards = result_of(np.ascontiguousarray(a_head.array[::-1]), affine, the_model)
    np.testing.assert_array_equal(backwards[::-1], as_it_is)


@pytest.fixture(scope="module")
def a_roomy_head() -> Volume:
    """The same head with more air than the box around it takes."""
    return a_head_volume((61, 69, 61), dtype=np.float32)


def padded_result(volume: Volume, before: list[int], after: list[int], model) -> tuple[np.ndarray, np.ndarray]:
    """The result for a volume with so many voxels of air around it: inside the old grid, and what lies outside it."""
    array = np.pad(volume.array, list(zip(before, after, strict=True)))
    affine = volume.affine.copy()
    affine[:3, 3] -= affine[:3, :3] @ before
    found = result_of(array, affine, model)
    inside = tuple(slice(first, first + size) for first, size in zip(before, volume.shape, strict=True))
    outside = found.copy()
    outside[inside] = 0
    return found[inside], outside


@_FEW
@given(before=st.tuples(*[st.integers(0, 5)] * 3), after=st.tuples(*[st.integers(0, 5)] * 3))
def test_more_air_around_a_head_changes_nothing_at_all(a_roomy_head, the_model, float32, before, after):
    """Whole coarse voxels of air, of 4 mm: the head's box is found on a copy of every fourth voxel."""
    wanted = result_of(a_roomy_head.array, a_roomy_head.affine, the_model)
    inside, outside = padded_result(a_roomy_head, [4 * n for n in before], [4 * n for n in after], the_model)
    assert np.array_equal(inside, wanted)
    assert not outside.any()


def test_air_where_the_head_touches_the_volumes_face_changes_no_more_than_the_tolerance(a_head, the_model, float32, as_it_is):
    inside, outside = padded_result(a_head, [16] * 3, [16] * 3, the_model)
    assert np.abs(inside.astype(int) - as_it_is)[as_it_is > 0].mean() < FACE_TOLERANCE
    assert not outside.any()


def test_half_precision_stays_within_its_bound_on_the_shipped_model(a_head, the_model, as_it_is, monkeypatch):
    import torch

    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("This CPU has no bf16, so it is never chosen.")
    half = device.Device(torch.device("cpu"), torch.bfloat16, batch_size=8)
    monkeypatch.setattr(inference, "_chosen_device", lambda *_: half)
    result = translate(a_head, the_model, device="cpu")
    assert result.provenance["precision"] == "bfloat16"
    difference = np.abs(result.synthetic.array.astype(int) - as_it_is)[as_it_is > 0]
    assert 0 < difference.mean() < HALF_PRECISION_TOLERANCE
    assert difference.max() < HALF_PRECISION_WORST


# ---- five doors, one result


_IN_PROCESS = """
import sys; from T1T2TranslationLib import inference, io
made = inference.translate(io.read_volume(sys.argv[1]), "t1_to_t2", device="cpu")
io.write_volume(made.synthetic, sys.argv[2]); io.write_volume(made.predicted_error, sys.argv[3])
"""


def test_shell_batch_worker_panel_and_python_give_the_same_bits(a_head, tmp_path):
    """Each in a process of its own; float32 everywhere, since each would choose its precision by the clock."""
    from test_worker import WorkerInTest

    scan = tmp_path / "scans" / "t1.nii.gz"
    write_volume(a_head, scan)
    settings = {"OMP_NUM_THREADS": "1", "ONEDNN_MAX_CPU_ISA": "AVX2"}
    environment = {**os.environ, "PYTHONPATH": str(Path(T1T2TranslationLib.__file__).parents[1]), **settings}

    def run(*command: object) -> None:
        subprocess.run([sys.executable, *map(str, command)], env=environment, check=True, capture_output=True, timeout=280)

    shell = ["-m", "T1T2TranslationLib", "translate", "--device", "cpu"]
    run(*shell, scan, "-o", tmp_path / "shell.nii.gz", "--error-map", tmp_path / "shell_error.nii.gz")
    run(*shell, scan.parent, "-o", tmp_path / "batch")
    run("-c", _IN_PROCESS, scan, tmp_path / "python.nii.gz", tmp_path / "python_error.nii.gz")
    patch = pytest.MonkeyPatch()
    for name, value in settings.items():
        patch.setenv(name, value)
    worker = WorkerInTest()
    patch.undo()
    try:
        job = Job({"volume": read_volume(scan), "model": "t1_to_t2", "device": "cpu"}, tmp_path)
        worker.send(job.request)
        made = job.result(worker.answer_to(job))
        files = {"source": str(scan), "name": "t1", "results": str(tmp_path / "panel"), "model": "t1_to_t2", "device": "cpu"}
        batch_of_the_panel = Job(files, tmp_path, protocol.file_request)
        worker.send(batch_of_the_panel.request)
        batch_of_the_panel.result(worker.answer_to(batch_of_the_panel))
    finally:
        worker.process.kill()
        worker.wait()
    assert made.provenance["precision"] == "float32"
    doors = ("shell", "python", "batch/t1_SYNTHETIC_T2", "panel/t1_SYNTHETIC_T2")
    for found, ending in ((made.synthetic, ".nii.gz"), (made.predicted_error, "_error.nii.gz")):
        assert found.array.any()
        for door in doors:
            np.testing.assert_array_equal(read_volume(tmp_path / f"{door}{ending}").array, found.array, err_msg=door)
    for one in (job, batch_of_the_panel):
        one.remove()
