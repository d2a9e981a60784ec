"""`Section`: a part of the panel with a file of its own in Resources/UI, which a class of its own fills with life."""

import slicer


class Section:
    """Base of the panel's sections, which `sections.SECTIONS` lists from top to bottom.

    A derived class names its file in `uiFile` and overrides what it needs of `setup`, `update`, `reasonNotToApply`,
    `onSceneClosing` and `cleanup`.
    It finds its widgets in `self.ui` and the panel's parameter node in `self.parameters`. A widget of its file with a
    `SlicerParameterName` is tied to that parameter by the panel.
    """

    uiFile = ""

    def __init__(self, panel):
        self.panel, self.logic = panel, panel.logic
        self.widget = slicer.util.loadUI(panel.resourcePath(f"UI/{self.uiFile}"))
        panel.ui.sectionsWidget.layout().addWidget(self.widget)
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self.widget.setMRMLScene(slicer.mrmlScene)
        self.setup()

    @property
    def parameters(self):
        """The panel's parameter node; None while a scene is being closed or read."""
        return self.panel._parameterNode

    def setup(self):
        """Connect the widgets; called once, before there is a parameter node."""

    def update(self):
        """Show what is chosen and what is there; called often, always with a parameter node: be quick."""

    def reasonNotToApply(self):
        """Why the chosen input would be refused as things are chosen; "" if it would not, or nobody knows yet."""
        return ""

    def onSceneClosing(self):
        """Let go of every node; called before the scene is closed."""

    def cleanup(self):
        """Take back observers, shortcuts and processes; called before the panel goes."""
