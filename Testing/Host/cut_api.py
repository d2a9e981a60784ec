"""Cuts from a full introspection of Slicer the part that the host stands in: `python cut_api.py FULL.json slicer_api.json`."""

import json
import sys
from pathlib import Path

from api import words

CLASSES = words(
    "QAction QCheckBox QComboBox QDialog QDoubleSpinBox QFileDialog QFormLayout QGroupBox QLabel "
    "QLineEdit QMessageBox QPlainTextEdit QProcess QProgressBar QPushButton QRadioButton QSettings "
    "QSpinBox QTabWidget QTableWidget QTextBrowser QTextEdit QTimer QToolButton QVBoxLayout QWidget "
    "ctkCollapsibleButton ctkCollapsibleGroupBox ctkComboBox ctkDoubleSpinBox ctkFittedTextBrowser "
    "ctkMessageBox ctkPathLineEdit ctkSliderWidget qMRMLLayoutManager qMRMLNodeComboBox qMRMLSliceView qMRMLSliceWidget "
    "qMRMLWidget qSlicerApplication qSlicerMainWindow"
)
MODULES = ["slicer.util", "slicer.parameterNodeWrapper", "slicer.i18n", "slicer.ScriptedLoadableModule"]


def cut(full: dict) -> dict:
    """The classes and modules of the lists above, and the names of the modules `slicer`, `qt` and `ctk`."""
    return {
        "about": full["about"],
        "versions": full["versions"],
        "classes": {name: full["classes"][name] for name in CLASSES},
        "modules": {name: full["modules"][name] for name in MODULES},
        "names": full["names"],
    }


def dump(part: dict) -> str:
    """JSON with one line a class's section, so that a difference between two versions can be read."""
    lines = []
    for section, value in part.items():
        if isinstance(value, str):
            lines.append(f"{json.dumps(section)}: {json.dumps(value)}")
            continue
        entries = ",\n".join(f"  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in value.items())
        lines.append(f"{json.dumps(section)}: {{\n{entries}\n}}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    source, destination = map(Path, sys.argv[1:])
    destination.write_text(dump(cut(json.loads(source.read_text()))))
