"""What can go wrong, in the user's words: what happened, what was found, what was wanted, what to do."""

from __future__ import annotations

from typing import ClassVar


class T1T2Error(Exception):
    """Base of every error this package raises on purpose.

    `kind` names the error across process borders, `exit_code` is what the command line returns.
    """

    kind: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, remedy: str = ""):
        super().__init__(message, remedy)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class UnsuitableVolume(T1T2Error, ValueError):
    """The image is not a scan that can be translated."""

    kind = "unsuitable-volume"
    exit_code = 3


class UnsuitableModel(T1T2Error, ValueError):
    """The model is missing, damaged or not one of ours."""

    kind = "unsuitable-model"
    exit_code = 4


class UnsuitableOutput(T1T2Error, OSError):
    """The result cannot be written where it was asked for."""

    kind = "unsuitable-output"
    exit_code = 5

    def __str__(self) -> str:  # OSError would print its arguments as (errno, strerror)
        return T1T2Error.__str__(self)


class DeviceFailure(T1T2Error, RuntimeError):
    """The compute device asked for does not work and no other was allowed."""

    kind = "device-failure"
    exit_code = 6


class UnsuitableTrainingData(T1T2Error, ValueError):
    """A recipe or a data list cannot be trained on."""

    kind = "unsuitable-training-data"
    exit_code = 7


class Cancelled(T1T2Error):
    """Raised from a progress callback to stop; nothing was written."""

    kind = "cancelled"
    exit_code = 130

    def __init__(self, message: str = "Cancelled.", remedy: str = ""):
        super().__init__(message, remedy)


KINDS: dict[str, type[T1T2Error]] = {
    error.kind: error
    for error in (
        T1T2Error,
        UnsuitableVolume,
        UnsuitableModel,
        UnsuitableOutput,
        DeviceFailure,
        UnsuitableTrainingData,
        Cancelled,
    )
}
