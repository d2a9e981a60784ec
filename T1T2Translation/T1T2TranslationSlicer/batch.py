"""The section "Batch": volumes of the scene and scans on disk, translated one after another in a worker of their own."""

from pathlib import Path

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from T1T2TranslationLib.catalog import find_model
from T1T2TranslationLib.errors import Cancelled, T1T2Error, UnsuitableVolume
from T1T2TranslationLib.file_translation import FileTranslation
from T1T2TranslationLib.io import find_scans, read_volume
from T1T2TranslationLib.translation import MARK
from T1T2TranslationLib.work_queue import Item, State, WorkQueue
from T1T2TranslationLib.worker_process import WorkerProcess

from .section import Section

RESULTS_FOLDER = f"T1T2_{MARK}"
_ENDED = (State.DONE, State.DONE_BEFORE, State.REFUSED, State.FAILED, State.CANCELLED)
_SUBJECT_LEVELS = ("Patient", "Study", "Folder")


class BatchSection(Section):
    """Shows a `WorkQueue` and feeds it to a worker process, which ends when nothing waits any more."""

    uiFile = "Batch.ui"

    def setup(self):
        self.queue, self._files, self._shown = WorkQueue(), {}, None
        self.worker = WorkerProcess(qt, slicer.app.temporaryPath)
        table = self.ui.batchTable
        table.setHorizontalHeaderLabels([_("Volume"), _("State"), _("Note")])
        table.horizontalHeader().setStretchLastSection(True)
        self.ui.subjectSelector.addItem(_("Add a subject..."), 0)
        self.ui.addSceneButton.connect("clicked()", self.onAddScene)
        self.ui.addFolderButton.connect("clicked()", self.onAddFolder)
        self.ui.subjectSelector.connect("activated(int)", self.onSubjectChosen)
        self.ui.startButton.connect("clicked()", self.onStart)
        self.ui.pauseButton.connect("clicked()", self.onPause)
        self.ui.cancelBatchButton.connect("clicked()", self.onCancel)
        self.ui.retryButton.connect("clicked()", self.onRetry)
        self.ui.clearButton.connect("clicked()", self.onClear)
        self.ui.batchCollapsibleButton.connect("contentsCollapsed(bool)", self.onCollapsed)
        self.queue.is_paused = True  # until Start is pressed
        self._isClosed = False
        self.show()

    def cleanup(self):
        self._isClosed = True
        self.queue.cancel_all()
        self.worker.close()

    def update(self):
        if self.queue.running is None and not self.queue.is_idle:  # the scene was closed between two volumes
            self.next()

    def onSceneClosing(self):
        """What lies on disk goes on; nodes are gone."""
        running = self.queue.running
        if running is not None and running.source not in self._files:
            self.worker.talk.drop()
        self.queue.items = [item for item in self.queue.items if item.source in self._files]
        self.show()

    def onCollapsed(self, isCollapsed):
        if isCollapsed:
            return
        hierarchy = _hierarchy()
        self.ui.subjectSelector.clear()
        self.ui.subjectSelector.addItem(_("Add a subject..."), 0)
        for item in _items(hierarchy):
            if hierarchy.GetItemLevel(item) in _SUBJECT_LEVELS:
                self.ui.subjectSelector.addItem(f"{hierarchy.GetItemLevel(item)}: {hierarchy.GetItemName(item)}", item)

    # ---- what is to be done

    def onAddScene(self):
        self._addNodes(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"))

    def onSubjectChosen(self, index):
        hierarchy, item = _hierarchy(), self.ui.subjectSelector.itemData(index)
        if item:
            below = [hierarchy.GetItemDataNode(each) for each in _items(hierarchy, item)]
            self._addNodes([node for node in below if node is not None])
        self.ui.subjectSelector.setCurrentIndex(0)

    def _addNodes(self, found):
        fresh = [node for node in found if node.GetNodeTagName() == "Volume" and not node.GetAttribute("T1T2.Provenance")]
        self.queue.add([Item(node.GetID(), node.GetName()) for node in fresh])
        self.show()

    def onAddFolder(self):
        folder = qt.QFileDialog.getExistingDirectory(None, _("Folder with scans"))
        if folder:
            self.addFolder(folder)

    def addFolder(self, folder):
        """Put every scan of a folder on disk into the list; results go into its sub-folder."""
        try:
            scans = [scan for scan in find_scans(folder) if not scan.name.startswith(RESULTS_FOLDER)]
        except (T1T2Error, OSError) as error:
            self.panel.showMessage(str(error), isError=True)
            return
        for scan in scans:
            self._files[scan.source] = Path(folder) / RESULTS_FOLDER / scan.name
        self.queue.add([Item(scan.source, scan.name) for scan in scans])
        if not scans:
            self.panel.showMessage(_("The folder '{name}' holds no scan.").format(name=Path(folder).name), isError=True)
        self.show()

    # ---- buttons

    def onStart(self):
        self.queue.is_paused = False
        self.next()

    def onPause(self):
        self.queue.is_paused = True
        self.show()

    def onCancel(self):
        for item in self._selected():
            self._cancel(item)
        self.show()

    def _cancel(self, item):
        """The worker answers for the one that runs."""
        if item.state is State.RUNNING:
            self.worker.cancel()
        else:
            self.queue.cancel(item)

    def onRetry(self):
        self.queue.retry(self._selected())
        self.next()

    def onClear(self):
        self.queue.clear()
        self.show()

    def _selected(self):
        """The selected items, or all."""
        table = self.ui.batchTable
        chosen = [item for row, item in enumerate(self.queue.items) if table.item(row, 0).isSelected()]
        return chosen or list(self.queue.items)

    # ---- the work

    def next(self):
        """Begin with what waits first, unless something runs or it is paused."""
        item = self.queue.start_next()
        self.show()
        if item is None:
            if self.queue.running is None:
                self.worker.close()
                counts = ", ".join(f"{count} {_(state.value)}" for state, count in self.queue.summary().items())
                self.panel.showMessage(_("Batch: {counts}.").format(counts=counts))
            return
        try:
            self._begin(item)
        except (T1T2Error, OSError) as error:
            self._end(item, error)

    def _begin(self, item):
        model, device, force = self.parameters.model, self.parameters.device, self.parameters.acceptAnyInput
        card = find_model(model)
        if item.source in self._files:
            job = _job(item.source, self._files[item.source], card)
            job.check_outputs()
            if job.is_finished(job.request(card, force)):
                self._end(item, None, State.DONE_BEFORE)
                return
            arguments = {"volume": read_volume(item.source)}

            def keep(translation):
                job.save(arguments["volume"], translation, card, force)
        else:
            node = slicer.mrmlScene.GetNodeByID(item.source)
            if node is None:
                raise UnsuitableVolume(_("The volume '{name}' was removed.").format(name=item.name))
            arguments = self.logic.volumes(node)

            def keep(translation):
                self._show(translation, node)

        arguments = arguments | {"model": model, "device": device, "accept_any_input": force}
        self.worker.translate(
            arguments,
            lambda fraction, message: self.onProgress(item, fraction),
            lambda translation: self.onDone(item, translation, keep),
            lambda error: self._end(item, error),
        )

    def onProgress(self, item, fraction):
        ended = sum(each.state in _ENDED for each in self.queue.items)
        self.ui.batchProgressBar.setValue(int(100 * (ended + fraction) / max(1, len(self.queue.items))))

    def onDone(self, item, translation, keep):
        try:
            keep(translation)
        except (T1T2Error, OSError) as error:
            self._end(item, error)
        else:
            notes = [check.message for check in translation.checks if check.level != "green"]
            self._end(item, None, State.DONE, " ".join(notes))

    def _show(self, translation, node):
        if not slicer.mrmlScene.IsNodePresent(node):
            raise UnsuitableVolume(_("The volume was removed meanwhile."))
        self.logic.showTranslation(translation, node)

    def _end(self, item, error, state=State.DONE, note=""):
        """Say what became of an item, and go on when the event loop is back."""
        if isinstance(error, Cancelled):
            state = State.CANCELLED
        elif error is not None:
            state, note = State.REFUSED if isinstance(error, UnsuitableVolume) else State.FAILED, str(error)
        self.queue.finish(item, state, note)
        self.show()
        qt.QTimer.singleShot(0, self._afterwards)

    def _afterwards(self):
        if self.parameters is not None and not self._isClosed:
            self.next()

    # ---- what is seen

    def show(self):
        """The list as a table, and which buttons make sense."""
        rows = [(item.name, _(item.state.value), item.note) for item in self.queue.items]
        if rows != self._shown:
            self._shown = rows
            table = self.ui.batchTable
            table.setRowCount(len(rows))
            for row, cells in enumerate(rows):
                for column, text in enumerate(cells):
                    cell = qt.QTableWidgetItem(text)
                    cell.setToolTip(text)
                    table.setItem(row, column, cell)
        isRunning = self.queue.running is not None
        ended = sum(item.state in _ENDED for item in self.queue.items)
        self.ui.batchProgressBar.setValue(int(100 * ended / max(1, len(rows))))
        self.ui.startButton.setEnabled(bool(self.queue.waiting) and (self.queue.is_paused or not isRunning))
        self.ui.pauseButton.setEnabled(not self.queue.is_paused and (isRunning or bool(self.queue.waiting)))
        self.ui.cancelBatchButton.setEnabled(isRunning or bool(self.queue.waiting))
        self.ui.retryButton.setEnabled(any(item.state in _ENDED[2:] for item in self.queue.items))
        self.ui.clearButton.setEnabled(ended > 0)


def _job(source, place, card):
    """Which files a scan's result goes to, beside each other in the results' folder."""
    stem = f"{place.name}_{MARK}_{card.target}"
    return FileTranslation(
        source=source,
        synthetic=place.with_name(f"{stem}.nii.gz"),
        predicted_error=place.with_name(f"{stem}_error.nii.gz"),
    )


def _hierarchy():
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)


def _items(hierarchy, parent=None):
    """Every item below `parent`, by default below the scene."""
    found = vtk.vtkIdList()
    hierarchy.GetItemChildren(hierarchy.GetSceneItemID() if parent is None else parent, found, True)
    return [found.GetId(index) for index in range(found.GetNumberOfIds())]
