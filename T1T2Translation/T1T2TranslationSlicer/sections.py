"""Which sections the panel has below its results, from top to bottom: a new one is one more line here."""

from .batch import BatchSection
from .help import HelpSection
from .input_check import InputCheckSection
from .measuring import MeasuresSection
from .models import ModelsSection
from .record import RecordSection
from .suspicious import SuspiciousPlacesSection
from .viewing import ViewingSection

SECTIONS = (
    InputCheckSection,
    ViewingSection,
    SuspiciousPlacesSection,
    MeasuresSection,
    RecordSection,
    BatchSection,
    ModelsSection,
    HelpSection,
)
