"""What the panel says and allows in each state, in sentences; `_` translates them into the user's language."""

from __future__ import annotations

from collections.abc import Callable

Translator = Callable[[str], str]


def setup_line(_: Translator, torch_version: str | None, has_installer: bool) -> str:
    """What is there of PyTorch, what is missing, and what to press."""
    if torch_version:
        return _("PyTorch {version} is installed.").format(version=torch_version)
    if has_installer:
        return _("PyTorch, which does the computing, is missing: press the button to install it.")
    return _("The extension PyTorch is missing: install it in the Extensions Manager (menu View) and restart Slicer.")


def reason_not_to_apply(_: Translator, has_torch: bool, is_running: bool, missing_model: str, has_input: bool) -> str:
    """Why Apply cannot be pressed; "" if it can."""
    if not has_torch:
        return _("PyTorch is missing: see the first line of this panel.")
    if is_running:
        return _("A translation is running.")
    if missing_model:
        return _("The model '{name}' is not installed: choose one under Advanced.").format(name=missing_model)
    if not has_input:
        return _("Choose a volume to translate first.")
    return ""


def refusal(_: Translator, name: str, kind: str, has_voxels: bool, is_synthetic: bool, is_frame: bool) -> str:
    """Why an image in the scene can be neither translated nor compared with; "" if it can.

    kind: "Volume" for a scalar volume, else what it is. is_frame: whether it shows one frame of a sequence.
    """
    if kind != "Volume":
        return _("'{name}' is a {kind}; a scalar volume is needed.").format(name=name, kind=kind)
    if not has_voxels:
        return _("'{name}' holds no voxels.").format(name=name)
    if is_synthetic:
        return _("'{name}' is itself synthetic.").format(name=name)
    if is_frame:
        return _("'{name}' is one frame of a sequence: clone it in the module Data and choose the clone.").format(name=name)
    return ""
