"""The host shows Qt as PythonQt does, not as PySide does: one test a rule."""

from functools import partial

import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("slicer_host")


@pytest.fixture
def qt(slicer_host):
    import qt

    return qt


@pytest.fixture
def button(qt):
    return qt.QPushButton("Apply")


def test_a_property_is_read_and_set_as_an_attribute(qt, button):
    button.enabled = False
    button.toolTip = "Choose a volume first"
    assert (button.enabled, button.toolTip, button.text) == (False, "Choose a volume first", "Apply")
    bar = qt.QProgressBar()
    bar.value = 5
    assert bar.value == 5


def test_a_property_is_no_method(button):
    with pytest.raises(TypeError, match="not callable"):
        button.text()


def test_an_unknown_attribute_cannot_be_read(button):
    with pytest.raises(AttributeError, match="foo"):
        button.foo  # noqa: B018


def test_an_unknown_attribute_cannot_be_set(button):
    with pytest.raises(AttributeError, match="foo"):
        button.foo = 1


def test_a_slot_cannot_be_overwritten(button):
    with pytest.raises(AttributeError):
        button.click = print


def test_a_read_only_property_cannot_be_set(qt):
    with pytest.raises(AttributeError, match="read-only"):
        qt.QComboBox().count = 3


@pytest.mark.parametrize("signature", ["klicked(bool)", "clicked(int)", "clicked"])
def test_a_wrong_signal_is_refused(button, signature):
    with pytest.raises(ValueError, match="no signal"):
        button.connect(signature, print)


def test_an_overloaded_signal_needs_its_full_signature(qt):
    with pytest.raises(ValueError, match="overloaded"):
        qt.QComboBox().activated.connect(print)


@pytest.mark.parametrize(
    ("make_slot", "expected"),
    [
        (lambda seen: lambda: seen.append(()), [()]),
        (lambda seen: lambda checked: seen.append(checked), [False]),
        (lambda seen: lambda name="default": seen.append(name), [False]),  # the signal's argument lands in the default
        (lambda seen: lambda *all_of_them: seen.append(all_of_them), [(False,)]),
        (lambda seen: partial(lambda *all_of_them: seen.append(all_of_them), 3), [(3, False)]),
    ],
)
def test_a_slot_gets_as_many_arguments_as_it_declares_and_a_partial_all(button, make_slot, expected):
    seen = []
    button.connect("clicked(bool)", make_slot(seen))
    button.click()
    assert seen == expected


def test_a_method_gets_as_many_arguments_as_it_declares(button):
    class Panel:
        pressed = 0

        def onApply(self):
            self.pressed += 1

    panel = Panel()
    button.clicked.connect(panel.onApply)
    button.click()
    assert panel.pressed == 1
    assert button.disconnect("clicked(bool)", panel.onApply)
    button.click()
    assert panel.pressed == 1


def test_an_exception_in_a_slot_is_recorded_and_the_loop_goes_on(slicer_host, button):
    button.connect("clicked()", lambda: 1 / 0)
    button.click()
    assert "ZeroDivisionError" in slicer_host.failures.pop()


def test_an_exception_in_an_observer_of_the_scene_is_recorded(slicer_host):
    import slicer

    tag = slicer.mrmlScene.AddObserver(slicer.vtkMRMLScene.NodeAddedEvent, lambda caller, event: 1 / 0)
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    slicer.mrmlScene.RemoveObserver(tag)
    assert "ZeroDivisionError" in slicer_host.failures.pop()


def test_none_becomes_the_text_none(qt):
    label = qt.QLabel()
    label.setText(None)
    assert label.text == "None"


@pytest.mark.parametrize("number", [np.float64(3), np.int64(3), np.bool_(True)])
def test_a_numpy_scalar_is_refused(qt, number):
    with pytest.raises(ValueError, match="numpy"):
        qt.QDoubleSpinBox().setValue(number)
    with pytest.raises(AttributeError):
        qt.QSpinBox().value = number


def test_keyword_arguments_are_refused(qt, button):
    with pytest.raises(ValueError, match="keyword"):
        qt.QPushButton("Apply", checkable=True)
    with pytest.raises(ValueError, match="keyword"):
        button.setText(text="Apply")


def test_wrong_arguments_are_a_value_error(qt):
    with pytest.raises(ValueError, match="wrong arguments"):
        qt.QPushButton(1, 2, 3)


def test_lists_from_qt_are_tuples(qt):
    environment = qt.QProcessEnvironment()
    environment.insert("A", "b")
    assert environment.toStringList() == ("A=b",)


def test_a_path_object_is_refused(qt):
    from pathlib import Path

    with pytest.raises(ValueError, match="Path"):
        qt.QIcon(Path("icon.png"))


def test_a_timer_is_made_single_shot_by_its_setter_only(qt):
    timer = qt.QTimer()
    with pytest.raises(AttributeError):
        timer.singleShot = True
    timer.setSingleShot(True)
    assert timer.isSingleShot()


def test_a_file_dialog_returns_a_string(slicer_host, qt):
    slicer_host.user.answers.append("/data/t1.nii.gz")
    assert qt.QFileDialog.getOpenFileName(None, "Open", "", "*.nii.gz") == "/data/t1.nii.gz"


def test_a_process_returns_its_output_as_bytes(slicer_host, qt):
    import sys

    process, codes = qt.QProcess(), []
    process.connect("finished(int,QProcess::ExitStatus)", lambda code, status: codes.append((code, status)))
    process.start(sys.executable, ["-c", "print('hello')"])
    slicer_host.wait_until(lambda: codes)
    assert codes == [(0, qt.QProcess.NormalExit)]
    assert process.readAllStandardOutput().data().decode().strip() == "hello"


def test_settings_take_no_type(slicer_host, qt):
    import slicer

    settings = qt.QSettings()
    settings.setValue("Example/On", "true")
    with pytest.raises(ValueError, match="keyword"):
        settings.value("Example/On", type=bool)
    assert slicer.util.settingsValue("Example/On", False, converter=slicer.util.toBool) is True


@pytest.mark.parametrize(("class_name", "name"), [("QCheckBox", "checkStateChanged"), ("QProcess", "startCommand")])
def test_names_of_qt_6_do_not_exist(qt, class_name, name):
    with pytest.raises(AttributeError):
        getattr(getattr(qt, class_name)(), name)


@pytest.mark.parametrize("name", ["Signal", "Slot", "QThreadPoolOfMine"])
def test_what_slicers_qt_lacks_does_not_exist(qt, name):
    with pytest.raises(AttributeError):
        getattr(qt, name)


def test_enumerators_are_unscoped_integers(qt):
    assert qt.Qt.WaitCursor == 3
    assert qt.QMessageBox.Ok | qt.QMessageBox.Cancel == 0x00400400
    with pytest.raises(AttributeError):
        qt.Qt.CursorShape  # noqa: B018


def test_an_item_of_a_table_is_no_qobject_and_has_methods(qt):
    table = qt.QTableWidget()
    table.setRowCount(1)
    table.setColumnCount(1)
    table.setItem(0, 0, qt.QTableWidgetItem("MAE"))
    assert (table.rowCount, table.item(0, 0).text()) == (1, "MAE")


def test_the_same_object_is_the_same_to_python(qt, button):
    box = qt.QWidget()
    layout = qt.QVBoxLayout(box)
    layout.addWidget(button)
    assert button.parent() is box
    assert box.findChildren("QPushButton") == (button,)


def test_a_destroyed_object_says_so(qt, button):
    button.delete()
    with pytest.raises(ValueError, match="destroyed"):
        button.text  # noqa: B018
    assert not button


def test_an_unexpected_modal_dialog_fails_instead_of_waiting(qt):
    from Host.dialogs import UnansweredDialog

    with pytest.raises(UnansweredDialog):
        qt.QDialog().exec_()


def test_a_derived_class_may_have_attributes_but_no_overrides(qt):
    class Row(qt.QWidget):
        pass

    row = Row()
    row.volume = "T1"
    assert row.volume == "T1"
    with pytest.raises(NotImplementedError, match="closeEvent"):
        type("Row", (qt.QWidget,), {"closeEvent": print})
