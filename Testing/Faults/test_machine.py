"""A machine that is full, read-only, homeless, far away, foreign or small: one sentence or a whole result."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import T1T2TranslationLib
from givens import save_untrained_model
from T1T2TranslationLib.cli import main
from T1T2TranslationLib.io import read_volume, write_volume
from T1T2TranslationLib.samples import phantom

LIB_PARENT = Path(T1T2TranslationLib.__file__).parents[1]
MEMORY_LIMIT_BYTES = 1_500_000_000

pytestmark = pytest.mark.faults("the machine: disks, names, languages, memory")

# Prepares the process as the test wants, then is `t1t2`.
_COMMAND = "import sys; exec(sys.argv[1]); from T1T2TranslationLib.cli import main; sys.exit(main(sys.argv[2:]))"


@pytest.fixture(scope="module")
def a_model(tmp_path_factory) -> str:
    return str(save_untrained_model(tmp_path_factory.mktemp("models") / "untrained"))


@pytest.fixture
def t1(tmp_path) -> Path:
    write_volume(phantom("T1", spacing_mm=(4, 4, 4)), tmp_path / "in" / "t1.nii.gz")
    return tmp_path / "in" / "t1.nii.gz"


def t1t2(*arguments: object, before: str = "", environment: dict | None = None, **options) -> subprocess.CompletedProcess:
    """`t1t2 translate` as a process of its own; `before` is Python that runs first."""
    variables = {**os.environ, "PYTHONPATH": str(LIB_PARENT), "OMP_NUM_THREADS": "1", **(environment or {})}
    command = [sys.executable, "-c", _COMMAND, before, "translate", *map(str, arguments), "--device", "cpu"]
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=280, **options)


def is_one_sentence(done: subprocess.CompletedProcess, code: int) -> bool:
    """Of ours, at the end; ITK may have printed a line of its own before."""
    return done.returncode == code and done.stderr.splitlines()[-1].startswith("t1t2: ") and "Traceback" not in done.stderr


def names_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


# ---- disks


@pytest.mark.parametrize("name", ["new.nii.gz", "new.nii", "new.nrrd", "new.mha"])
def test_a_disk_that_is_full_while_writing_leaves_nothing(t1, tmp_path, name):
    full = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    full += "resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))"
    done = t1t2(t1, "-o", tmp_path / "out" / name, "--force", before=full)
    assert is_one_sentence(done, 5), done.stderr
    assert "cannot be written" in done.stderr
    assert names_in(tmp_path / "out") == []


@contextlib.contextmanager
def a_mounted_disk(folder: Path, size: str) -> Iterator[Path]:
    """A disk of this size at `folder`, where this user may mount one."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("This user may not mount a disk.")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_real_full_disk_leaves_nothing(t1, a_model, tmp_path):
    with a_mounted_disk(tmp_path / "disk", "300k") as disk:
        done = t1t2(t1, "-o", disk / "new.nii", "--model", a_model, "--force")
        assert is_one_sentence(done, 5), done.stderr
        assert "is full" in done.stderr
        assert list(disk.iterdir()) == []


@pytest.fixture
def a_read_only_folder(t1, tmp_path) -> Iterator[Path]:
    """A folder with a scan in which nobody may write: for root, who may everywhere else, a disk that is mounted so."""
    folder = tmp_path / "readonly"
    if os.geteuid() != 0:
        folder.mkdir()
        shutil.copy(t1, folder)
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o755)
        return
    with a_mounted_disk(folder, "10m"):
        shutil.copy(t1, folder)
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        yield folder


def test_a_read_only_folder_is_refused_before_anything_is_computed(a_read_only_folder, a_model):
    no_network = "from T1T2TranslationLib import inference; inference.translate = None"  # would be a traceback if called
    scan = a_read_only_folder / "t1.nii.gz"
    for place in (a_read_only_folder / "new.nii", a_read_only_folder / "deeper" / "new.nii"):
        done = t1t2(scan, "-o", place, "--model", a_model, before=no_network)
        assert is_one_sentence(done, 5), done.stderr
        assert "Nothing can be written in" in done.stderr
    assert names_in(a_read_only_folder) == ["t1.nii.gz"]


def test_a_scan_on_a_read_only_disk_is_translated_to_elsewhere(a_read_only_folder, a_model, tmp_path):
    scan = a_read_only_folder / "t1.nii.gz"
    done = t1t2(scan, "-o", tmp_path / "out" / "new.nii", "--model", a_model, "--force")
    assert done.returncode == 0, done.stderr
    assert names_in(a_read_only_folder) == ["t1.nii.gz"]
    assert names_in(tmp_path / "out") == ["new.json", "new.nii"]


def test_a_user_without_a_home_and_without_a_temporary_folder_translates(t1, a_model, tmp_path):
    gone = {"HOME": "/nonexistent", "TMPDIR": "/nonexistent", "XDG_CACHE_HOME": "", "MPLCONFIGDIR": str(tmp_path / "mpl")}
    homeless = "import os; os.environ.pop('HOME'); import pwd; pwd.getpwuid = lambda number: {}[number]"
    options = ["-o", tmp_path / "out" / "new.nii.gz", "--report", tmp_path / "out" / "new.html", "--model", a_model, "--force"]
    done = t1t2(t1, *options, before=homeless, environment=gone)
    assert done.returncode == 0, done.stderr
    assert names_in(tmp_path / "out") == ["new.html", "new.json", "new.nii.gz"]
    assert not Path("/nonexistent").exists()


# ---- names and languages


@pytest.mark.parametrize("name", ["Schädel Ünïcode 頭部 🧠", 'ring\'n "quotes" $HOME; rm -rf %s {0}', "-o", "t1.nii"])
def test_names_in_any_script_are_read_and_written(name, t1, a_model, tmp_path):
    folder = tmp_path / f"{name} folder"
    folder.mkdir()
    for extension in ("nii.gz", "nrrd", "mha"):
        write_volume(read_volume(t1), folder / f"{name}.{extension}")
        made = folder / f"{name} made.{extension}"
        assert (
            main(["translate", str(folder / f"{name}.{extension}"), "-o", str(made), "--model", a_model, "--force", "--quiet"])
            == 0
        )
        assert read_volume(made).has_grid_of(read_volume(t1))


def test_a_path_of_more_than_three_hundred_characters_works(t1, a_model, tmp_path):
    deep = tmp_path / ("a" * 150) / ("b" * 150)
    deep.mkdir(parents=True)
    shutil.copy(t1, deep / "t1.nii.gz")
    assert len(str(deep / "t1.nii.gz")) > 300
    assert main(["translate", str(deep / "t1.nii.gz"), "-o", str(deep / "new.nii.gz"), "--model", a_model, "--force"]) == 0
    assert read_volume(deep / "new.nii.gz").has_grid_of(read_volume(t1))


def test_a_name_too_long_for_the_disk_is_one_sentence(t1, a_model, tmp_path, capsys):
    assert main(["translate", str(t1), "-o", str(tmp_path / ("x" * 300 + ".nii")), "--model", a_model, "--force"]) == 5
    assert main(["translate", "x" * 300 + ".nii", "-o", str(tmp_path / "new.nii"), "--model", a_model]) in (1, 3)
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    assert all(line.startswith("t1t2: ") for line in errors)


@pytest.fixture(scope="module")
def a_comma_locale(tmp_path_factory) -> Path:
    """A folder with a compiled locale whose decimal point is a comma."""
    folder = tmp_path_factory.mktemp("locales")
    command = shutil.which("localedef")
    if not command:
        pytest.skip("There is no localedef to make a locale with.")
    made = subprocess.run([command, "-i", "de_DE", "-f", "UTF-8", folder / "de_DE.UTF-8"], capture_output=True, check=False)
    if made.returncode > 1:
        pytest.skip("This system has no sources of locales.")
    return folder


def test_a_decimal_comma_moves_nothing(t1, a_model, a_comma_locale, tmp_path):
    """Qt sets the user's locale in its process, and C then reads "0.9" as 0."""
    comma = {"LOCPATH": str(a_comma_locale), "LC_ALL": "de_DE.UTF-8", "LANG": "de_DE.UTF-8"}
    before = "import locale; locale.setlocale(locale.LC_ALL, ''); assert locale.localeconv()['decimal_point'] == ','"
    volume = read_volume(t1)
    for extension in ("nii.gz", "nrrd", "mha"):
        write_volume(volume, tmp_path / f"t1.{extension}")
        made = tmp_path / f"new.{extension}"
        options = ["-o", made, "--model", a_model, "--force"]
        done = t1t2(tmp_path / f"t1.{extension}", *options, before=before, environment=comma)
        assert done.returncode == 0, done.stderr
        assert read_volume(made).has_grid_of(volume)


# ---- memory


def a_large_scan(path: Path) -> Path:
    """A phantom on the grid of BraTS, 240 x 240 x 155 of 1 mm."""
    head = phantom("T1", spacing_mm=(1, 1, 1))
    canvas = np.zeros((240, 240, 155), np.int16)
    cut = head.array[:240, :240, :155]
    canvas[tuple(slice(0, size) for size in cut.shape)] = cut
    path.parent.mkdir(exist_ok=True)
    image = sitk.GetImageFromArray(canvas.transpose(2, 1, 0))
    sitk.WriteImage(image, str(path))
    return path


def limited(limit_bytes: int) -> str:
    """The data segment: all memory of the process's own, without the libraries' code, which maps more than it uses."""
    return f"import resource; resource.setrlimit(resource.RLIMIT_DATA, ({limit_bytes}, {limit_bytes}))"


def test_one_and_a_half_gigabytes_are_enough_for_a_brats_volume(tmp_path):
    scan = a_large_scan(tmp_path / "t1.nii.gz")
    done = t1t2(scan, "-o", tmp_path / "new.nii.gz", "--force", before=limited(MEMORY_LIMIT_BYTES))
    assert done.returncode == 0, done.stderr
    assert read_volume(tmp_path / "new.nii.gz").array.any()


def test_too_little_memory_is_a_sentence_and_leaves_nothing(tmp_path):
    """What the libraries need to load at all, and then not enough for the volume."""
    scan = a_large_scan(tmp_path / "in" / "t1.nii.gz")
    before = "from T1T2TranslationLib import inference, io; used = int(open('/proc/self/statm').read().split()[5]) * 4096; "
    before += "import resource; resource.setrlimit(resource.RLIMIT_DATA, (used + 40_000_000, used + 40_000_000))"
    done = t1t2(scan, "-o", tmp_path / "out" / "new.nii.gz", "--force", before=before)
    assert done.returncode in (1, 3, 6), done.stderr
    assert "memory" in done.stderr.lower()  # OpenBLAS says it itself, and ends the process
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists() or names_in(tmp_path / "out") == []
