"""The traffic light of an input as a reader sees it: one line with a colour, a word and the reasons; all checks on request."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence

from .checks import light_of
from .translation import Check

Translator = Callable[[str], str]

# The check that is red where an input cannot be translated at all, whoever insists.
UNUSABLE = "volume"
# Colours that stand out on light and dark ground; a word beside each says the same without colour.
_COLORS = {"green": "#2e9e44", "amber": "#d98c00", "red": "#d0312d"}


def as_html(_: Translator, checks: Sequence[Check], insists: bool = False) -> str:
    """The light, its word, and the sentences of the checks that caused it.

    insists: whether the user wants to translate what the checks refuse.
    """
    light = light_of(tuple(checks))
    words = {
        "green": _("Suitable."),
        "amber": _("It will be translated and marked:"),
        "red": _("It is refused, unless you insist under Advanced:"),
    }
    if light == "red" and insists:
        words["red"] = _("It will be translated since you insist; do not trust the result:")
    if _is_unusable(checks):
        words["red"] = _("It cannot be translated:")
    order = sorted((check for check in checks if check.level != "green"), key=lambda check: check.level != "red")
    reasons = [check.message for check in order]
    return f"<span style='color:{_COLORS[light]}'>&#9679;</span> {html.escape(' '.join([words[light], *reasons]))}"


def as_tooltip(checks: Sequence[Check]) -> str:
    """Every check in a line of its own, with its colour in words."""
    rows = "".join(f"<li>{html.escape(check.level)}: {html.escape(check.message)}</li>" for check in checks)
    return f"<ul>{rows}</ul>"


def refusal(_: Translator, checks: Sequence[Check], insists: bool) -> str:
    """Why an input is refused, in sentences; "" where it is not, or the user insists on what can be insisted on."""
    reasons = " ".join(check.message for check in checks if check.level == "red")
    if not reasons or _is_unusable(checks):
        return reasons
    insist = _("Choose a suitable scan, or insist under Advanced.")
    return "" if insists else f"{reasons} {insist}"


def _is_unusable(checks: Sequence[Check]) -> bool:
    return any(check.name == UNUSABLE and check.level == "red" for check in checks)
