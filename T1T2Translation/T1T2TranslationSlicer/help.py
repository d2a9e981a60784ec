"""The section "Help": a report about this installation on the clipboard, made in a process of its own."""

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _
from T1T2TranslationLib import doctor
from T1T2TranslationLib.command_process import CommandProcess

from .section import Section


class HelpSection(Section):
    """`t1t2 doctor` runs beside Slicer, which stays usable; its report gets what only Slicer knows."""

    uiFile = "Help.ui"

    def setup(self):
        self._command = CommandProcess(qt, self.onReported)
        self.ui.copyReportButton.connect("clicked()", self.onReport)
        self.ui.copyReportLabel.setVisible(False)

    def cleanup(self):
        self._command.close()  # or half a report is copied

    def onReport(self):
        self.ui.copyReportButton.setEnabled(False)
        self._tell(_("Looking at the installation; this takes some seconds."))
        self._command.start("doctor")

    def onReported(self, text, errors):
        message = doctor.without_names(self.panel.ui.messageLabel.text)
        facts = f"3D Slicer: {slicer.app.applicationVersion}\nlast message: {message}"
        lines = "\n".join(f"  {doctor.without_names(line)}" for line in lastLogLines())
        found = text or doctor.without_names(errors)
        qt.QApplication.clipboard().setText(f"{facts}\n{found}\nSlicer's log, without names, paths and numbers\n{lines}\n")
        self.ui.copyReportButton.setEnabled(True)
        self._tell(_("The report is on the clipboard: paste it into your message."))

    def _tell(self, text):
        self.ui.copyReportLabel.setText(text)
        self.ui.copyReportLabel.setVisible(True)


def lastLogLines(count=30):
    """The last lines of Slicer's log that speak of this module."""
    path = Path(slicer.app.currentLogFile())
    if not path.is_file():
        return []
    return [line for line in path.read_text(errors="replace").splitlines() if "T1T2" in line][-count:]
