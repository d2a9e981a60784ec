"""The section "Batch": volumes of the scene and scans on disk, translated one after another in a worker of their own."""

import json
from pathlib import Path

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from T1T2TranslationLib import panel, requirements
from T1T2TranslationLib.command_process import CommandProcess
from T1T2TranslationLib.errors import Cancelled, T1T2Error, UnsuitableVolume
from T1T2TranslationLib.translation import MARK
from T1T2TranslationLib.work_queue import Item, State, WorkQueue
from T1T2TranslationLib.worker_process import WorkerProcess

from . import result_nodes
from .section import Section

RESULTS_FOLDER = f"T1T2_{MARK}"
UNFINISHED = "T1T2Translation/UnfinishedBatch"  # setting: folders whose scans were not all done, as JSON
_SUBJECT_LEVELS = ("Patient", "Study", "Folder")


class BatchSection(Section):
    """Shows a `WorkQueue` and feeds it to a worker process, which ends when nothing waits any more.

    Scans on disk are searched, read and written by child processes: this one opens none of their files.
    """

    uiFile = "Batch.ui"

    def setup(self):
        self.queue, self._folders, self._searches, self._choices = WorkQueue(), {}, {}, {}
        self._shown, self._isInterrupted, self._isClosed = [], False, False
        self.queue.is_paused = True  # until Start is pressed
        self.worker = WorkerProcess(qt, slicer.app.temporaryPath)
        self._toResume = unfinishedFolders()
        self._remembered = list(self._toResume)
        self._startToolTip = self.ui.startButton.toolTip
        table = self.ui.batchTable
        table.setHorizontalHeaderLabels([_("Volume"), _("State"), _("Note")])
        table.horizontalHeader().setStretchLastSection(True)
        for column, width in enumerate((120, 76)):  # the notes need the rest
            table.setColumnWidth(column, width)
        table.connect("cellDoubleClicked(int,int)", self.onDoubleClicked)
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
        self.show()

    def cleanup(self):
        self._isClosed = True  # what waits on disk stays remembered
        for search in self._searches.values():
            search.close()
        self.worker.close()

    def update(self):
        if self._isInterrupted:
            self._isInterrupted = False
            self.next()
        if not self.ui.batchCollapsibleButton.collapsed:
            self.showButtons()

    def onSceneClosing(self):
        """What lies on disk goes on, when the next scene is there; nodes are gone."""
        running = self.queue.running
        if running is not None and running.source not in self._folders:
            self.worker.talk.drop()
            self._isInterrupted = True
        self.queue.items = [item for item in self.queue.items if item.source in self._folders]
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
        while self._toResume:
            self.addFolder(self._toResume.pop())
        self.showButtons()

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
        fresh = [node for node in found if node.GetNodeTagName() == "Volume" and not node.GetAttribute("T1T2.Kind")]
        self.queue.add([Item(node.GetID(), node.GetName()) for node in fresh])
        self.show()

    def onAddFolder(self):
        folder = qt.QFileDialog.getExistingDirectory(None, _("Folder with scans"))
        if folder:
            self.addFolder(folder)

    def addFolder(self, folder):
        """Put every scan of a folder on disk into the list, as soon as they are found; results go into its sub-folder."""
        if folder in self._searches and self._searches[folder].is_running:
            return
        self._searches[folder] = CommandProcess(qt, lambda text, errors: self.onSearched(folder, text, errors))
        self._searches[folder].start("scans", "--json", "--", folder)
        self.show()

    def onSearched(self, folder, text, errors):
        """text: what `t1t2 scans --json` found."""
        try:
            scans = json.loads(text)
        except ValueError:
            reason = (errors.strip().splitlines() or [""])[-1]
            what = _("The folder '{name}' cannot be searched: {reason}").format(name=Path(folder).name, reason=reason)
            self.panel.showMessage(what, isError=True)
        else:
            self._folders.update({scan["source"]: folder for scan in scans})
            self.queue.add([Item(scan["source"], scan["name"]) for scan in scans])
            if not scans:
                what = _("The folder '{name}' holds no scan.").format(name=Path(folder).name)
                self.panel.showMessage(what, isError=True)
        self.show()

    # ---- buttons

    def onStart(self):
        self.queue.is_paused = False
        self._choose()
        self.next()

    def _choose(self):
        """A batch keeps the model that it was started with, whatever is chosen in the panel meanwhile."""
        if self.queue.running is None:
            chosen = self.parameters
            self._choices = {"model": chosen.model, "device": chosen.device, "accept_any_input": chosen.acceptAnyInput}

    def onPause(self):
        self.queue.is_paused = True
        self.show()

    def onCancel(self):
        for search in self._searches.values():
            search.close()
        for item in self._selected():
            if item.state is State.RUNNING:
                self.worker.cancel()  # which answers for it
            else:
                self.queue.cancel(item)
        self.show()

    def onRetry(self):
        self.queue.retry(self._selected())
        self._choose()
        self.next()

    def onClear(self):
        self.queue.clear()
        self.show()

    def onDoubleClicked(self, row, column):
        """Take a volume of the scene as the panel's input, which shows what was made of it."""
        node = slicer.mrmlScene.GetNodeByID(self.queue.items[row].source)
        if node is not None and self.parameters is not None:
            self.panel.showResultsOf(node)

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
            if self.queue.is_idle:
                self.worker.close()
                self.panel.showMessage(_("Batch: {counts}.").format(counts=self._counts()))
            return
        self.ui.batchProgressBar.setFormat(f"%p%  {item.name}")
        begin = self._beginFile if item.source in self._folders else self._beginNode
        try:
            begin(item)
        except T1T2Error as error:
            self._end(item, error)

    def _beginFile(self, item):
        arguments = {
            "source": item.source,
            "name": item.name,
            "results": str(Path(self._folders[item.source]) / RESULTS_FOLDER),
            **self._choices,
        }
        self.worker.translate_file(arguments, *self._callbacks(item, self.onFilesDone))

    def _beginNode(self, item):
        node = slicer.mrmlScene.GetNodeByID(item.source)
        if node is None:
            raise UnsuitableVolume(_("The volume '{name}' was removed.").format(name=item.name))
        if "synthetic" in result_nodes.outputsOf(node, self._choices["model"]):
            again = _("Its result is in the scene; delete that to have it made again.")
            self._end(item, None, State.DONE_BEFORE, [again])
            return
        self.worker.translate(self.logic.volumes(node) | self._choices, *self._callbacks(item, self.onTranslated))

    def _callbacks(self, item, onDone):
        return (
            lambda fraction, message: self.onProgress(fraction),
            lambda result: onDone(item, result),
            lambda error: self._end(item, error),
        )

    def onProgress(self, fraction):
        self.ui.batchProgressBar.setValue(int(100 * (self.queue.ended + fraction) / max(1, len(self.queue.items))))

    def onFilesDone(self, item, done):
        self._end(item, None, State.DONE_BEFORE if done.were_there else State.DONE, done.notes)

    def onTranslated(self, item, translation):
        """Make nodes of a result; the panel's own choices, results and views stay as they are."""
        node = slicer.mrmlScene.GetNodeByID(item.source)
        if node is None:
            self._end(item, UnsuitableVolume(_("The volume was removed meanwhile.")))
            return
        result_nodes.store(translation, node)
        self._end(item, None, State.DONE, translation.notes)

    def _end(self, item, error, state=State.DONE, notes=()):
        """Say what became of an item, and go on when the event loop is back."""
        if isinstance(error, Cancelled):
            state = State.CANCELLED
        elif error is not None:
            state, notes = State.REFUSED if isinstance(error, UnsuitableVolume) else State.FAILED, [str(error)]
        self.queue.finish(item, state, " ".join(notes))
        self.show()
        qt.QTimer.singleShot(0, self._afterwards)

    def _afterwards(self):
        if self._isClosed:
            return
        if self.parameters is None:  # a scene is being closed or read
            self._isInterrupted = True
        else:
            self.next()

    # ---- what is seen

    def show(self):
        """The list as a table, and which buttons make sense."""
        rows = [(item.name, stateName(item.state), item.note) for item in self.queue.items]
        table, before = self.ui.batchTable, self._shown
        table.setRowCount(len(rows))
        for row, cells in enumerate(rows):
            if row >= len(before) or cells != before[row]:
                for column, text in enumerate(cells):
                    cell = qt.QTableWidgetItem(text)
                    cell.setToolTip(text)
                    table.setItem(row, column, cell)
        self._shown = rows
        self.ui.batchProgressBar.setVisible(bool(rows))
        self.ui.batchProgressBar.setValue(int(100 * self.queue.ended / max(1, len(rows))))
        self.showButtons()
        self._remember()

    def showButtons(self):
        """Which buttons make sense, and why nothing can be started."""
        queue, isRunning = self.queue, self.queue.running is not None
        isSearching = any(search.is_running for search in self._searches.values())
        reason = self._reasonNotToStart(isRunning and not queue.is_paused)
        self.ui.startButton.setEnabled(not reason)
        self.ui.startButton.setToolTip(reason or self._startToolTip)
        self.ui.pauseButton.setEnabled(not queue.is_paused and (isRunning or bool(queue.waiting)))
        self.ui.cancelBatchButton.setEnabled(isSearching or isRunning or bool(queue.waiting))
        self.ui.retryButton.setEnabled(queue.can_retry)
        self.ui.clearButton.setEnabled(queue.ended > 0)
        counts = f"{self._counts()}." if queue.items else ""
        searched = _("Looking for scans...") if isSearching else ""
        self.ui.batchLabel.setText(" ".join(filter(None, [counts, searched or ("" if isRunning else reason)])))

    def _reasonNotToStart(self, isRunning):
        chosen = "" if self.parameters is None else self.parameters.model
        missing = chosen if self.panel.ui.modelSelector.findData(chosen) < 0 else ""
        hasTorch = bool(requirements.torch_version())
        return panel.reason_not_to_start(_, hasTorch, isRunning, missing, bool(self.queue.waiting))

    def _counts(self):
        return ", ".join(f"{count} {stateName(state)}" for state, count in self.queue.summary().items())

    def _remember(self):
        """Which folders are to be in the list again if Slicer ends, or crashes, before they are done."""
        opened = [*self.queue.waiting, *filter(None, [self.queue.running])]
        searched = {folder for folder, search in self._searches.items() if search.is_running}
        folders = sorted(searched | {self._folders[item.source] for item in opened if item.source in self._folders})
        if folders != self._remembered and not self._toResume and not self._isClosed:
            self._remembered = folders
            slicer.app.userSettings().setValue(UNFINISHED, json.dumps(folders))
            slicer.app.userSettings().sync()


def unfinishedFolders():
    """The folders that were not done when Slicer ended."""
    try:
        found = json.loads(slicer.util.settingsValue(UNFINISHED, "[]", settings=slicer.app.userSettings()))
    except (TypeError, ValueError):  # the first where the settings file holds a list with commas
        return []
    return [folder for folder in found if isinstance(folder, str)] if isinstance(found, list) else []


def stateName(state):
    """What became of an item, in the user's language."""
    return {
        State.WAITING: _("waiting"),
        State.RUNNING: _("running"),
        State.DONE: _("done"),
        State.DONE_BEFORE: _("done before"),
        State.REFUSED: _("refused"),
        State.FAILED: _("failed"),
        State.CANCELLED: _("cancelled"),
    }[state]


def _hierarchy():
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)


def _items(hierarchy, parent=None):
    """Every item below `parent`, by default below the scene."""
    found = vtk.vtkIdList()
    hierarchy.GetItemChildren(hierarchy.GetSceneItemID() if parent is None else parent, found, True)
    return [found.GetId(index) for index in range(found.GetNumberOfIds())]
