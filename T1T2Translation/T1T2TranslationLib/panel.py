"""What the panel says and allows in each state, in sentences; `_` translates them into the user's language."""

from __future__ import annotations

from collections.abc import Callable

Translator = Callable[[str], str]

_LONGEST_NAME = 26  # letters; a title must not make the panel wider than 420 pixels


def setup_line(_: Translator, torch_version: str | None, has_installer: bool) -> str:
    """What is there of PyTorch, what is missing, and what to press."""
    if torch_version:
        return _("PyTorch {version} is installed.").format(version=torch_version)
    if has_installer:
        return _("PyTorch, which does the computing, is missing: press the button to install it.")
    return _("The extension PyTorch is missing: install it in the Extensions Manager (menu View) and restart Slicer.")


def reason_not_to_start(_: Translator, has_torch: bool, is_running: bool, missing_model: str, has_waiting: bool) -> str:
    """Why a batch cannot be started; "" if it can."""
    if is_running:
        return _("The batch is running.")
    if not has_waiting:
        return _("Nothing waits: add volumes of the scene or a folder, or press Retry.")
    return reason_not_to_apply(_, has_torch, False, missing_model, True)


def reason_not_to_apply(
    _: Translator, has_torch: bool, is_running: bool, missing_model: str, has_input: bool, refused: str = ""
) -> str:
    """Why Apply cannot be pressed; "" if it can. refused: why the input would be refused, "" where it would not."""
    if not has_torch:
        return _("PyTorch is missing: see the first line of this panel.")
    if is_running:
        return _("A translation is running.")
    if missing_model:
        return _("The model '{name}' is not installed: choose one under Advanced.").format(name=missing_model)
    if not has_input:
        return _("Choose a volume to translate first.")
    return refused


def advanced_title(_: Translator, has_mask: bool, has_region: bool, accepts_any_input: bool) -> str:
    """What counts although it is out of sight while "Advanced" is folded."""
    named = ((_("mask"), has_mask), (_("region"), has_region), (_("any input"), accepts_any_input))
    chosen = ", ".join(name for name, is_chosen in named if is_chosen)
    return _("Advanced") + (f" ({chosen})" if chosen else "")


def shortened(name: str) -> str:
    """A name that a title can hold: its beginning and its end."""
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME // 2]}…{name[1 - _LONGEST_NAME // 2 :]}"


def results_title(_: Translator, name: str, model: str, is_of_input: bool) -> str:
    """Whose results are shown. is_of_input: whether they are those of the chosen volume."""
    name = shortened(name)
    if is_of_input:
        return _("Results of '{name}' by {model}").format(name=name, model=model)
    return _("Results of '{name}', not of the chosen volume").format(name=name)


def refusal(_: Translator, name: str, kind: str, has_voxels: bool, is_synthetic: bool, is_frame: bool) -> tuple[str, str] | None:
    """Why an image in the scene can be neither translated nor compared with, and the remedy; None if it can.

    kind: "Volume" for a scalar volume, else what it is. is_frame: whether it shows one frame of a sequence.
    """
    remedy = _("Choose another volume.")
    if kind != "Volume":
        return _("'{name}' is a {kind}; a scalar volume is needed.").format(name=name, kind=kind), remedy
    if not has_voxels:
        return _("'{name}' holds no voxels.").format(name=name), remedy
    if is_synthetic:
        return _("'{name}' is itself synthetic.").format(name=name), remedy
    if is_frame:
        frame = _("'{name}' is one frame of a sequence.").format(name=name)
        return frame, _("Clone it in the module Data at the time point you want, and choose the clone.")
    return None
