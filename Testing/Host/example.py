"""A scripted module with one panel, written into a folder, for the tests of the host."""

from __future__ import annotations

from pathlib import Path

UI = """<?xml version="1.0" encoding="UTF-8"?>
<ui version="4.0">
 <class>Example</class>
 <widget class="qMRMLWidget" name="Example">
  <layout class="QVBoxLayout" name="verticalLayout">
   <item>
    <widget class="ctkCollapsibleButton" name="inputsButton">
     <property name="text"><string>Inputs</string></property>
     <layout class="QFormLayout" name="formLayout">
      <item row="0" column="0">
       <widget class="QLabel" name="label"><property name="text"><string>Input:</string></property></widget>
      </item>
      <item row="0" column="1">
       <widget class="qMRMLNodeComboBox" name="inputSelector">
        <property name="nodeTypes"><stringlist><string>vtkMRMLScalarVolumeNode</string></stringlist></property>
        <property name="showChildNodeTypes"><bool>false</bool></property>
        <property name="addEnabled"><bool>false</bool></property>
        <property name="noneEnabled"><bool>true</bool></property>
        <property name="SlicerParameterName" stdset="0"><string>inputVolume</string></property>
       </widget>
      </item>
      <item row="1" column="1">
       <widget class="ctkSliderWidget" name="opacitySlider">
        <property name="SlicerParameterName" stdset="0"><string>opacity</string></property>
       </widget>
      </item>
      <item row="2" column="1">
       <widget class="QCheckBox" name="legendCheckBox">
        <property name="SlicerParameterName" stdset="0"><string>showLegend</string></property>
       </widget>
      </item>
      <item row="3" column="1">
       <widget class="QComboBox" name="deviceComboBox">
        <property name="SlicerParameterName" stdset="0"><string>device</string></property>
       </widget>
      </item>
     </layout>
    </widget>
   </item>
   <item><widget class="QPushButton" name="applyButton"><property name="text"><string>Apply</string></property></widget></item>
   <item><widget class="QProgressBar" name="progressBar"/></item>
  </layout>
 </widget>
 <customwidgets>
  <customwidget><class>qMRMLWidget</class><extends>QWidget</extends><header>qMRMLWidget.h</header><container>1</container></customwidget>
  <customwidget><class>qMRMLNodeComboBox</class><extends>QWidget</extends><header>qMRMLNodeComboBox.h</header></customwidget>
  <customwidget><class>ctkSliderWidget</class><extends>QWidget</extends><header>ctkSliderWidget.h</header></customwidget>
  <customwidget>
   <class>ctkCollapsibleButton</class><extends>QWidget</extends><header>ctkCollapsibleButton.h</header><container>1</container>
  </customwidget>
 </customwidgets>
 <resources/>
 <connections>
  <connection>
   <sender>Example</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal>
   <receiver>inputSelector</receiver><slot>setMRMLScene(vtkMRMLScene*)</slot>
  </connection>
 </connections>
</ui>
"""

CODE = """
import enum
from typing import Annotated

import qt
import slicer
from slicer import vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import *
from slicer.util import VTKObservationMixin


class Example(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Example")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Examples")]
        slicer.app.connect("startupCompleted()", self.afterStartup)

    def afterStartup(self):
        import SampleData

        SampleData.SampleDataLogic.registerCustomSampleDataSource(category="Example", sampleName="One", uris="file:///none")


@parameterNodeWrapper
class ExampleParameterNode:
    inputVolume: vtkMRMLScalarVolumeNode | None
    opacity: Annotated[float, WithinRange(0, 1)] = 0.5
    showLegend: bool = True
    device: Annotated[str, Choice(["auto", "cpu"])] = "auto"


class ExampleWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/Example.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = ExampleLogic()
        self.applied = 0
        self.ui.applyButton.connect("clicked(bool)", self.onApply)
        self.parameterNode = ExampleParameterNode(self.logic.getParameterNode())
        self.parameterNode.connectGui(self.ui)

    def onApply(self):
        self.applied += 1
        self.ui.progressBar.value = 40

    def cleanup(self):
        self.removeObservers()


class ExampleLogic(ScriptedLoadableModuleLogic):
    pass


class ExampleTest(ScriptedLoadableModuleTest):
    def runTest(self):
        self.setUp()
        self.test_nothing()

    def test_nothing(self):
        self.delayDisplay("Nothing to see")
"""


def write_example(folder: Path) -> Path:
    """The path of the module's file."""
    (folder / "Resources" / "UI").mkdir(parents=True)
    (folder / "Resources" / "UI" / "Example.ui").write_text(UI)
    (folder / "Example.py").write_text(CODE)
    return folder / "Example.py"
