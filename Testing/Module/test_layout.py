"""The panel on a small screen and under a keyboard: at 1366 x 768 Slicer leaves a module about 420 x 600 pixels."""

from __future__ import annotations

import pytest
from Module.conftest import section
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel, QWidget
from T1T2TranslationLib import panel as sentences

WIDTH, HEIGHT = 420, 600


def parts(panel) -> list:
    return [panel, *panel.sections]


def laid_out(host, panel) -> QWidget:
    """The panel as wide as it may be and as high as it wants."""
    QApplication.setStyle("Fusion")
    widget = panel.parent._unwrap()
    widget.setFixedWidth(WIDTH)
    host.process_events(50)
    widget.setFixedHeight(widget.layout().totalHeightForWidth(WIDTH))
    host.process_events(50)
    return widget


def top_of(widget: QWidget, panel: QWidget) -> int:
    return widget.mapTo(panel, QPoint(0, 0)).y()


@pytest.fixture
def busy(slicer_host, results):
    """The panel with a light, a message, notes and results, while another job runs."""
    results.worker.talk._job = object()  # what is_busy asks for
    results.update()
    slicer_host.wait_until(lambda: results.sections[0].ui.lightLabel.visible, 10)
    yield results
    results.worker.talk._job = None


def test_the_main_job_fits_on_a_small_screen_without_scrolling(slicer_host, busy):
    widget = laid_out(slicer_host, busy)
    view = next(part.ui for part in busy.sections if hasattr(part.ui, "overlaySelector"))
    needed = [busy.ui.inputSelector, busy.ui.applyButton, busy.ui.progressBar, busy.ui.cancelButton, busy.ui.messageLabel]
    needed += [busy.ui.reportLabel, view.compareButton, view.overlaySelector, view.overlayCheckBox, view.opacitySlider]
    needed += [view.thresholdSlider, view.lensSlider]
    assert all(control.visible for control in needed)
    lowest = max(top_of(control._unwrap(), widget) + control.height for control in needed)
    assert lowest <= HEIGHT
    assert widget.layout().minimumSize().width() <= WIDTH


@pytest.fixture
def unfolded(slicer_host, results):
    """Every section open."""
    for part in parts(results):
        for widget in vars(part.ui).values():
            if widget.className() == "ctkCollapsibleButton":
                widget.collapsed = False
    results.update()
    slicer_host.wait_until(lambda: section(results, "SuspiciousPlacesSection").ui.placesLabel.text, 30)
    return results


def test_no_text_is_cut_off(slicer_host, unfolded):
    panel = laid_out(slicer_host, unfolded)
    cut = []
    for widget in panel.findChildren(QWidget):
        if not widget.isVisible() or not isinstance(widget, (QLabel, QAbstractButton)) or not widget.text():
            continue
        wraps = isinstance(widget, QLabel) and widget.wordWrap()
        needed = widget.heightForWidth(widget.width()) if wraps else widget.sizeHint().width()
        if needed > (widget.height() if wraps else widget.width()):
            cut.append((widget.objectName(), widget.text()[:40]))
    assert cut == []
    assert panel.layout().minimumSize().width() <= WIDTH


def test_the_tab_key_goes_through_the_panel_from_top_to_bottom(slicer_host, unfolded):
    panel = laid_out(slicer_host, unfolded)
    chain, widget = [], unfolded.ui.inputsCollapsibleButton._unwrap()
    while widget not in chain:
        chain.append(widget)
        widget = widget.nextInFocusChain()
    reached = [
        found for found in chain if found.isVisible() and found.isEnabled() and found.focusPolicy() & Qt.FocusPolicy.TabFocus
    ]
    inside = [found for found in reached if panel.isAncestorOf(found)]
    assert len(inside) > 15
    tops = [top_of(found, panel) for found in inside]
    backwards = [found.objectName() for found, above, here in zip(inside[1:], tops, tops[1:], strict=False) if here < above - 12]
    assert backwards == []


def test_the_folded_title_says_what_counts_all_the_same(slicer_host, ready, head):
    import slicer

    title = ready.ui.advancedCollapsibleButton
    assert title.text == "Advanced"
    ready._parameterNode.maskNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Brain")
    ready._parameterNode.acceptAnyInput = True
    assert title.text == "Advanced (mask, any input)"


def test_a_long_name_keeps_its_beginning_and_its_end():
    long = "sub-017_ses-2_acq-mprage_T1w_brain"
    assert sentences.shortened("T1") == "T1"
    assert sentences.shortened(long) == "sub-017_ses-2…T1w_brain"[:13] + "…" + long[-12:]
    assert len(sentences.shortened(long)) == 26
