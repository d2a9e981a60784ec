"""The house stands as drawn in docs/developing.md: who may import whom, what stays free of torch, one tensor for all."""

from __future__ import annotations

import ast
import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "T1T2Translation"
LIB = MODULE / "T1T2TranslationLib"
IN_SLICER = MODULE / "T1T2TranslationSlicer"
SLICERS_OWN = {"slicer", "qt", "ctk", "vtk", "PySide6"}

# The floors of the house from the ground up. A room may import from its own floor and from those below, and on its floor
# from what stands behind it; on the top floor only from its own flat. floor -> (packages it may use, its rooms)
FLOORS: dict[str, tuple[set[str], set[str]]] = {
    "facts": (
        {"numpy", "SimpleITK"},
        {
            "box",
            "errors",
            "measures",
            "volume",
            "translation",
            "catalog",
            "protocol",
            "checks",
            "io",
            "head",
            "resampling",
            "output",
            "dicom",
            "nifti",
            "tissue",
        },
    ),
    "parts": (
        {"numpy", "SimpleITK", "torch"},
        {"device", "preprocessing", "model", "network", "reference", "metrics", "regions", "likeness"},
    ),
    "one path": ({"numpy", "torch"}, {"inference"}),
    "pages": (
        {"numpy", "matplotlib"},
        {"report", "pictures", "colors", "layers", "lens", "interval", "input_light", "model_page", "card_page"},
    ),
    "behind the faces": (
        {"numpy", "SimpleITK", "pydicom"},
        {
            "dicom_export",
            "input_trial",
            "work_queue",
            "doctor",
            "conversation",
            "worker_process",
            "command_process",
            "job",
            "panel",
            "requirements",
            "samples",
            "subjects",
            "data_folders",
            "survey",
            "file_translation",
            "cohort",
            "coarsening",
            "places",
            "smoothing",
            "curves",
        },
    ),
    "faces": (
        {"numpy", "SimpleITK", "torch", "matplotlib", "monai", "scipy", "tqdm"},
        {"cli", "__main__", "worker", "training", "evaluation"},
    ),
}
FLATS = ({"cli", "__main__"}, {"worker"}, {"training"}, {"evaluation"})
# `t1t2 train` and `t1t2 evaluate` hand over to their faces, when called.
HANDED_OVER = {("cli", "training"), ("cli", "evaluation")}
# Rooms that load torch as they are imported; all others load it, if at all, when work begins.
WITH_TORCH = {"device", "preprocessing", "model", "network", "inference", "training", "evaluation"}

FLOOR_OF = {room: height for height, (_, rooms) in enumerate(FLOORS.values()) for room in rooms}
PACKAGES_OF = {room: packages for packages, rooms in FLOORS.values() for room in rooms}


@dataclasses.dataclass(frozen=True)
class Import:
    """One import in the product: room or package, and whether it happens as the file is imported."""

    target: str
    is_ours: bool
    at_once: bool


def room_of(file: Path) -> str:
    """The file's name, or the folder's for those of training and evaluation."""
    return file.relative_to(LIB).parts[0].removesuffix(".py")


def files() -> list[Path]:
    return sorted(file for file in LIB.rglob("*.py") if file != LIB / "__init__.py" and "bundled" not in file.parts)


def imports_of(file: Path) -> list[Import]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    later = {id(inner) for node in ast.walk(tree) if _is_later(node) for inner in ast.walk(node)}
    found = []
    for node in ast.walk(tree):
        at_once = id(node) not in later
        if isinstance(node, ast.Import):
            found += [Import(alias.name.split(".")[0], False, at_once) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.append(Import((node.module or "").split(".")[0], False, at_once))
        elif isinstance(node, ast.ImportFrom):
            found += [Import(room, True, at_once) for room in _rooms_named(node, file)]
    return found


def _is_later(node: ast.AST) -> bool:
    is_for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    return is_for_types or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))


def _rooms_named(node: ast.ImportFrom, file: Path) -> list[str]:
    """`from .volume import x` names volume, `from . import io` names io; inside a folder one dot is the folder itself."""
    is_in_folder = file.parent != LIB
    if is_in_folder and node.level == 1:
        return [file.parent.name]
    if node.module:
        return [node.module.split(".")[0]]
    return [alias.name for alias in node.names if alias.name != "__version__"]


def run(code: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=MODULE, capture_output=True, text=True, timeout=120, check=False
    )


def test_every_room_stands_in_the_table_and_every_row_has_its_room():
    assert {room_of(file) for file in files()} == set(FLOOR_OF)


@pytest.mark.parametrize("file", files(), ids=lambda file: str(file.relative_to(LIB)))
def test_arrows_point_down_and_never_sideways_between_faces(file):
    room = room_of(file)
    for found in imports_of(file):
        if not found.is_ours or found.target == room:
            continue
        if (room, found.target) in HANDED_OVER:
            assert not found.at_once, f"{room} imports {found.target} before it is asked for"
            continue
        assert FLOOR_OF[found.target] <= FLOOR_OF[room], f"{room} imports {found.target}, which is above it"
        if FLOOR_OF[room] == FLOOR_OF["cli"]:
            is_upstairs = FLOOR_OF[found.target] == FLOOR_OF[room]
            assert not is_upstairs or any({room, found.target} <= flat for flat in FLATS), f"{room} imports {found.target}"


def test_no_two_rooms_import_each_other_in_a_circle():
    below = {room: set() for room in FLOOR_OF}
    for file in files():
        below[room_of(file)] |= {found.target for found in imports_of(file) if found.is_ours} - {room_of(file)}
    while below:
        ground = {room for room, targets in below.items() if not targets}
        assert ground, f"a circle among {sorted(below)}"
        below = {room: targets - ground for room, targets in below.items() if room not in ground}


@pytest.mark.parametrize("file", files(), ids=lambda file: str(file.relative_to(LIB)))
def test_a_room_uses_only_the_packages_of_its_floor(file):
    used = {found.target for found in imports_of(file) if not found.is_ours} - sys.stdlib_module_names
    assert used <= PACKAGES_OF[room_of(file)]


def rooms_imported_at_once(file: Path) -> set[str]:
    """The rooms of the Lib that a file of the panel imports as it is itself imported."""
    ours = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("T1T2TranslationLib"):
            _, _, room = node.module.partition(".")
            ours |= {room.split(".")[0]} if room else {alias.name for alias in node.names}
    return ours


def test_only_the_panel_knows_slicer_and_it_knows_no_room_that_loads_torch():
    for file in files():
        assert not SLICERS_OWN & {found.target for found in imports_of(file)}
    of_panel = [MODULE / "T1T2Translation.py", *sorted(IN_SLICER.rglob("*.py"))]
    assert len(of_panel) > 3
    assert rooms_imported_at_once(of_panel[0])
    for file in of_panel:
        assert not rooms_imported_at_once(file) & WITH_TORCH, file


def test_the_lib_does_not_know_the_panel():
    for file in files():
        assert not {"T1T2Translation", "T1T2TranslationSlicer"} & {found.target for found in imports_of(file)}


IMPORT_ALL = """
import importlib, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Blocked())
for name in sys.argv[1:]:
    importlib.import_module(name)
print("torch" in sys.modules)
"""


def module_name(file: Path) -> str:
    return ".".join(file.relative_to(MODULE).with_suffix("").parts).removesuffix(".__init__")


def test_every_file_can_be_imported_without_slicer_qt_ctk_vtk_and_pyside():
    names = [module_name(file) for file in files() if file.name != "__main__.py"]
    done = run(IMPORT_ALL.format(blocked=SLICERS_OWN), *names)
    assert done.returncode == 0, done.stderr


def test_rooms_that_need_no_torch_can_be_imported_without_it():
    names = [module_name(file) for file in files() if room_of(file) not in WITH_TORCH | {"__main__"}]
    done = run(IMPORT_ALL.format(blocked={"torch", "monai"}), *names)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("arguments", [["--help"], ["models"], ["translate", "--help"], ["--version"]])
def test_the_shell_answers_small_questions_without_loading_torch(arguments):
    code = """
import runpy, sys
sys.argv = ["t1t2", *sys.argv[1:]]
try:
    runpy.run_module("T1T2TranslationLib", run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code
assert "torch" not in sys.modules
"""
    done = run(code, *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout


# ---- one tensor for all


def a_head_on_disk(folder: Path) -> dict[str, str]:
    """T1, T2 and brain mask of an oblique ellipsoid with an off-centre core, 41 x 43 x 37 voxels of 1.2 x 0.8 x 2 mm."""
    from T1T2TranslationLib.io import write_volume
    from T1T2TranslationLib.volume import Volume

    tilt = np.radians(20)
    affine = np.diag([-1.2, 0.8, 2.0, 1.0])
    affine[1:3, 1:3] = [[0.8 * np.cos(tilt), -2.0 * np.sin(tilt)], [0.8 * np.sin(tilt), 2.0 * np.cos(tilt)]]
    i, j, k = np.meshgrid(*(np.linspace(-1, 1, size) for size in (41, 43, 37)), indexing="ij")
    radius, core = i**2 + j**2 + k**2, (i - 0.3) ** 2 + j**2 + k**2
    noise = np.random.default_rng(3).normal(0, 15, radius.shape)  # in the air too: a head, not a stripped brain
    t1, t2 = (np.abs(np.select([core < 0.08, radius < 0.6], levels, 0) + noise) for levels in ((200, 900), (1500, 500)))
    for name, array in (("t1n", t1), ("t2w", t2), ("brain", radius < 0.4)):
        write_volume(Volume(array.astype(np.int16), affine, name), folder / f"a-{name}.nii.gz")
    return {name: f"a-{name}.nii.gz" for name in ("t1n", "t2w", "brain")}


@pytest.mark.parametrize("with_mask", [False, True])
def test_what_training_feeds_the_network_is_bit_for_bit_what_translate_feeds_it(tmp_path, monkeypatch, with_mask):
    import torch
    from T1T2TranslationLib import inference
    from T1T2TranslationLib.device import Device
    from T1T2TranslationLib.io import read_volume
    from T1T2TranslationLib.model import load_model
    from T1T2TranslationLib.network import TranslationNetwork
    from T1T2TranslationLib.subjects import read_datalist
    from T1T2TranslationLib.training.dataset import load_pairs
    from T1T2TranslationLib.training.recipe import Recipe

    class Listening(TranslationNetwork):
        heard: ClassVar[list[torch.Tensor]] = []

        def forward(self, planes):
            Listening.heard.append(planes.clone())
            return super().forward(planes)

    images = a_head_on_disk(tmp_path)
    (tmp_path / "list.json").write_text(json.dumps({"head": [{"id": "a", "images": images}]}))
    model = load_model("t1_to_t2")
    as_it_is, stripped = load_pairs(read_datalist(tmp_path / "list.json", "t1n", "t2w"), Recipe(), model.preprocessing)
    planes = (stripped if with_mask else as_it_is).planes

    network = Listening(**model.network.config.as_arguments())
    monkeypatch.setattr(inference, "_chosen_device", lambda wish, model: Device(torch.device("cpu"), torch.float32, 8))
    mask = read_volume(tmp_path / images["brain"]) if with_mask else None
    inference.translate(
        read_volume(tmp_path / images["t1n"]), dataclasses.replace(model, network=network), mask=mask, accept_any_input=True
    )
    fed = torch.cat(Listening.heard)
    drawn = torch.cat([planes.context(index, index + 1) for index in range(len(planes))])  # as the sampler draws them
    assert fed.shape == drawn.shape
    assert torch.equal(fed, drawn)
    assert fed.std() > 0.1
