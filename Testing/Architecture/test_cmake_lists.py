"""What CMake installs is what the folders hold: nothing missing in the package, nothing listed that does not exist."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "T1T2Translation"

# A Slicer that only copies: enough to configure, build and install a scripted module with the real CMake.
SLICER_CONFIG = """
set(Slicer_USE_FILE ${CMAKE_CURRENT_LIST_DIR}/use.cmake)
set(Slicer_QTSCRIPTEDMODULES_LIB_DIR lib/qt-scripted-modules)
set(Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR lib/qt-scripted-modules)
set(Slicer_EXTENSION_GENERATE_CONFIG ${CMAKE_CURRENT_LIST_DIR}/nothing.cmake)
set(Slicer_EXTENSION_CPACK ${CMAKE_CURRENT_LIST_DIR}/nothing.cmake)
macro(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(MY "WITH_GENERIC_TESTS" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  foreach(file ${MY_SCRIPTS} ${MY_RESOURCES})
    if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${file})
      message(FATAL_ERROR "nonexistent file '${file}'")
    endif()
    get_filename_component(folder ${file} DIRECTORY)
    install(FILES ${file} DESTINATION ${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}/${folder})
  endforeach()
endmacro()
macro(slicer_add_python_unittest)
  cmake_parse_arguments(MY "" "SCRIPT" "" ${ARGN})
  if(NOT EXISTS ${MY_SCRIPT})
    message(FATAL_ERROR "nonexistent test '${MY_SCRIPT}'")
  endif()
endmacro()
"""


def listed(name: str) -> list[str]:
    text = (MODULE / "CMakeLists.txt").read_text()
    block = re.search(rf"set\({name}\s(.*?)\)", text, re.DOTALL).group(1)
    return block.replace("${MODULE_NAME}", "T1T2Translation").split()


def present() -> list[str]:
    found = (path.relative_to(MODULE) for path in MODULE.rglob("*") if path.is_file())
    kept = (path for path in found if not any(part == "__pycache__" or part.startswith(".") for part in path.parts))
    return sorted(path.as_posix() for path in kept if path.name != "CMakeLists.txt")


def test_every_python_file_is_listed_once_and_exists():
    assert sorted(listed("MODULE_PYTHON_SCRIPTS")) == [path for path in present() if path.endswith(".py")]


def test_every_other_file_is_listed_once_and_exists():
    assert sorted(listed("MODULE_PYTHON_RESOURCES")) == [path for path in present() if not path.endswith(".py")]


def test_only_the_module_lies_directly_in_its_folder():
    assert [path.name for path in MODULE.glob("*.py")] == ["T1T2Translation.py"]  # Slicer loads every other one as a module


def test_the_extension_says_what_the_extensions_index_asks_for():
    text = (ROOT / "CMakeLists.txt").read_text()
    for field in ("HOMEPAGE", "CONTRIBUTORS", "DESCRIPTION", "ICONURL", "SCREENSHOTURLS"):
        assert re.search(rf'set\(EXTENSION_{field} "\S.*"\)', text), field
    assert 'set(EXTENSION_DEPENDS "PyTorch")' in text
    assert "project(T1T2Translation)" in text
    icon = re.search(r'ICONURL ".*?/main/(.*)"', text).group(1)
    assert (ROOT / icon).is_file()


@pytest.mark.skipif(shutil.which("cmake") is None, reason="CMake is not installed")
def test_the_installed_package_holds_the_module_the_engine_and_the_models(tmp_path):
    slicer, build, installed = tmp_path / "Slicer", tmp_path / "build", tmp_path / "installed"
    slicer.mkdir()
    (slicer / "SlicerConfig.cmake").write_text(SLICER_CONFIG)
    for name in ("use.cmake", "nothing.cmake"):
        (slicer / name).write_text("")
    configure = ["cmake", "-S", ROOT, "-B", build, f"-DSlicer_DIR={slicer}", "-DBUILD_TESTING=ON"]
    for command in (configure, ["cmake", "--build", build], ["cmake", "--install", build, "--prefix", installed]):
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    modules = installed / "lib" / "qt-scripted-modules"
    models = sorted(path.relative_to(ROOT / "models") for path in (ROOT / "models").rglob("*") if path.is_file())
    for place in (modules, build / "lib" / "qt-scripted-modules"):
        bundled = place / "T1T2TranslationLib" / "bundled"
        assert sorted(path.relative_to(bundled) for path in bundled.rglob("*") if path.is_file()) == models
    for path in present():
        assert (modules / path).is_file(), path
