"""The section "Help": a report about this installation on the clipboard, made in a process of its own."""

import sys
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _
from T1T2TranslationLib import doctor
from T1T2TranslationLib.worker_process import library_process

from .section import Section


class DoctorSection(Section):
    """`t1t2 doctor` runs beside Slicer, which stays usable; its report gets what only Slicer knows."""

    uiFile = "Doctor.ui"

    def setup(self):
        self._process = None
        self.ui.doctorButton.connect("clicked()", self.onReport)
        self.ui.doctorLabel.setVisible(False)

    def cleanup(self):
        if self._process is not None:
            self._process.disconnect("finished(int,QProcess::ExitStatus)", self.onFinished)  # or half a report is copied
            self._process.disconnect("errorOccurred(QProcess::ProcessError)", self.onFailed)
            self._process.kill()
            self._process.waitForFinished(1000)

    def onReport(self):
        self._process = library_process(qt)
        self._process.connect("finished(int,QProcess::ExitStatus)", self.onFinished)
        self._process.connect("errorOccurred(QProcess::ProcessError)", self.onFailed)
        self.ui.doctorButton.setEnabled(False)
        self._tell(_("Looking at the installation; this takes some seconds."))
        self._process.start(sys.executable, ["-m", "T1T2TranslationLib", "doctor"])

    def onFinished(self, code, status):
        text = self._process.readAllStandardOutput().data().decode(errors="replace")
        errors = self._process.readAllStandardError().data().decode(errors="replace")
        self._copy(text or doctor.without_names(errors))

    def onFailed(self, error):
        self._copy(doctor.without_names(self._process.errorString()))

    def _copy(self, text):
        facts = (
            f"3D Slicer: {slicer.app.applicationVersion}\nlast message: {doctor.without_names(self.panel.ui.messageLabel.text)}"
        )
        lines = "\n".join(f"  {doctor.without_names(line)}" for line in lastLogLines())
        qt.QApplication.clipboard().setText(f"{facts}\n{text}\nSlicer's log, without names, paths and numbers\n{lines}\n")
        self.ui.doctorButton.setEnabled(True)
        self._tell(_("The report is on the clipboard: paste it into your message."))

    def _tell(self, text):
        self.ui.doctorLabel.setText(text)
        self.ui.doctorLabel.setVisible(True)


def lastLogLines(count=30):
    """The last lines of Slicer's log that speak of this module."""
    path = Path(slicer.app.currentLogFile())
    if not path.is_file():
        return []
    return [line for line in path.read_text(errors="replace").splitlines() if "T1T2" in line][-count:]
