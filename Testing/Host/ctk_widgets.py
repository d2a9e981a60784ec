"""The widgets of CTK that a panel uses, in PySide6; shown through proxies limited to what Slicer shows."""

from __future__ import annotations

from pathlib import Path

from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Property, Signal, Slot


class ctkCollapsibleButton(QtWidgets.QAbstractButton):
    """A header that shows and hides the widgets laid out in it."""

    contentsCollapsed = Signal(bool)

    def __init__(self, *arguments):
        title = arguments[0] if arguments and isinstance(arguments[0], str) else ""
        super().__init__(next((a for a in arguments if isinstance(a, QtWidgets.QWidget)), None))
        self._shown_children: list[QtWidgets.QWidget] = []
        self.setText(title)
        self.setCheckable(True)
        self.setChecked(True)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Preferred, QtWidgets.QSizePolicy.Policy.Preferred)
        self._header = self.fontMetrics().height() + 8
        self.setContentsMargins(0, self._header, 0, 0)
        self.toggled.connect(self._on_toggled)

    def _on_toggled(self, checked: bool) -> None:
        self._show_contents(checked)
        self.updateGeometry()
        self.contentsCollapsed.emit(not checked)

    def _show_contents(self, shown: bool) -> None:
        """Hide what is visible, or show that again; what the panel hid itself stays hidden."""
        if not shown:
            children = (child for child in self.children() if isinstance(child, QtWidgets.QWidget))
            self._shown_children += [child for child in children if not child.isHidden()]
        for child in self._shown_children:
            child.setVisible(shown)
        if shown:
            self._shown_children.clear()

    def showEvent(self, event) -> None:
        if not self.isChecked():
            self._show_contents(False)  # what was laid out in it while it was closed
        super().showEvent(event)

    @Slot(bool)
    def collapse(self, collapsed: bool) -> None:
        self.setChecked(not collapsed)

    def _collapsed(self) -> bool:
        return not self.isChecked()

    collapsed = Property(bool, _collapsed, collapse)

    def sizeHint(self) -> QtCore.QSize:
        inside = self.layout().sizeHint() if self.layout() and self.isChecked() else QtCore.QSize(0, 0)
        width = self.fontMetrics().horizontalAdvance(self.text()) + 40
        return QtCore.QSize(max(width, inside.width()), max(self._header, inside.height()))

    def minimumSizeHint(self) -> QtCore.QSize:
        return self.sizeHint()

    def paintEvent(self, event) -> None:
        painter = QtWidgets.QStylePainter(self)
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.rect = QtCore.QRect(0, 0, self.width(), self._header)
        option.text = ("\u25be " if self.isChecked() else "\u25b8 ") + self.text()
        painter.drawControl(QtWidgets.QStyle.ControlElement.CE_PushButton, option)

    def hitButton(self, position) -> bool:
        return position.y() < self._header


class ctkCollapsibleGroupBox(QtWidgets.QGroupBox):
    """A group box that closes."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.setCheckable(True)
        self.toggled.connect(self._on_toggled)

    def _on_toggled(self, checked: bool) -> None:
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget):
                child.setVisible(checked)

    def _collapsed(self) -> bool:
        return not self.isChecked()

    def _set_collapsed(self, collapsed: bool) -> None:
        self.setChecked(not collapsed)

    collapsed = Property(bool, _collapsed, _set_collapsed)


class ctkSliderWidget(QtWidgets.QWidget):
    """A slider and a spin box that hold one number."""

    valueChanged = Signal(float)
    valueIsChanging = Signal(float)
    decimalsChanged = Signal(int)
    _STEPS = 10000

    def __init__(self, parent: QtWidgets.QWidget | None = None):
        super().__init__(parent)
        self._spin = QtWidgets.QDoubleSpinBox(self)
        self._slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal, self)
        self._slider.setRange(0, self._STEPS)
        self._tracking = True
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider)
        layout.addWidget(self._spin)
        self._spin.valueChanged.connect(self._on_spin_changed)
        self._slider.valueChanged.connect(self._on_slider_moved)

    def _on_spin_changed(self, number: float) -> None:
        self._slider.blockSignals(True)
        extent = self._spin.maximum() - self._spin.minimum()
        self._slider.setValue(round((number - self._spin.minimum()) / extent * self._STEPS) if extent else 0)
        self._slider.blockSignals(False)
        self.valueChanged.emit(number)

    def _on_slider_moved(self, step: int) -> None:
        extent = self._spin.maximum() - self._spin.minimum()
        self._spin.setValue(self._spin.minimum() + extent * step / self._STEPS)

    @Slot(float)
    def setValue(self, number: float) -> None:
        self._spin.setValue(number)

    @Slot(int)
    def setDecimals(self, count: int) -> None:
        self._spin.setDecimals(count)
        self.decimalsChanged.emit(count)

    def _set_tracking(self, tracking: bool) -> None:
        self._tracking = tracking

    def _set_spin_box_visible(self, visible: bool) -> None:
        self._spin.setVisible(visible)

    value = Property(float, lambda self: self._spin.value(), setValue)
    minimum = Property(float, lambda self: self._spin.minimum(), lambda self, n: self._spin.setMinimum(n))
    maximum = Property(float, lambda self: self._spin.maximum(), lambda self, n: self._spin.setMaximum(n))
    singleStep = Property(float, lambda self: self._spin.singleStep(), lambda self, n: self._spin.setSingleStep(n))
    pageStep = Property(float, lambda self: float(self._slider.pageStep()), lambda self, n: self._slider.setPageStep(int(n)))
    decimals = Property(int, lambda self: self._spin.decimals(), setDecimals)
    prefix = Property(str, lambda self: self._spin.prefix(), lambda self, text: self._spin.setPrefix(text))
    suffix = Property(str, lambda self: self._spin.suffix(), lambda self, text: self._spin.setSuffix(text))
    tracking = Property(bool, lambda self: self._tracking, _set_tracking)
    spinBoxVisible = Property(bool, lambda self: not self._spin.isHidden(), _set_spin_box_visible)


class ctkPathLineEdit(QtWidgets.QWidget):
    """A line for a path."""

    currentPathChanged = Signal(str)
    validInputChanged = Signal(bool)

    def __init__(self, parent: QtWidgets.QWidget | None = None):
        super().__init__(parent)
        self._line = QtWidgets.QLineEdit(self)
        self._label, self._key, self._filters, self._show_browse = "", "", [], True
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._line)
        self._line.textChanged.connect(self._on_text_changed)

    def _on_text_changed(self, text: str) -> None:
        self.currentPathChanged.emit(text)
        self.validInputChanged.emit(Path(text).exists())

    @Slot(str)
    def setCurrentPath(self, path: str) -> None:
        self._line.setText(path)

    @Slot()
    def addCurrentPathToHistory(self) -> None:
        """Nothing to see of it here."""

    def _set(self, name: str, value) -> None:
        setattr(self, name, value)

    currentPath = Property(str, lambda self: self._line.text(), setCurrentPath)
    label = Property(str, lambda self: self._label, lambda self, text: self._set("_label", text))
    settingKey = Property(str, lambda self: self._key, lambda self, text: self._set("_key", text))
    nameFilters = Property("QStringList", lambda self: self._filters, lambda self, texts: self._set("_filters", texts))
    showBrowseButton = Property(bool, lambda self: self._show_browse, lambda self, show: self._set("_show_browse", show))


class ctkComboBox(QtWidgets.QComboBox):
    """A combo box with a text for when nothing is chosen."""

    def _set_default_text(self, text: str) -> None:
        self.setPlaceholderText(text)

    defaultText = Property(str, lambda self: self.placeholderText(), _set_default_text)


class ctkFittedTextBrowser(QtWidgets.QTextBrowser):
    """A text browser as high as its text."""

    def sizeHint(self) -> QtCore.QSize:
        return self.document().size().toSize()


class ctkMessageBox(QtWidgets.QMessageBox):
    """A message box that can be told not to come back."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._dont_show_again_key = ""

    def _set_key(self, key: str) -> None:
        self._dont_show_again_key = key

    dontShowAgainSettingsKey = Property(str, lambda self: self._dont_show_again_key, _set_key)
