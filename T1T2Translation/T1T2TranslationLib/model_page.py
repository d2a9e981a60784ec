"""What a model's card says, as a page to read in the panel: facts, scores, then the card that its makers wrote."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from .catalog import ModelCard, bundle_file
from .errors import UnsuitableModel

Translator = Callable[[str], str]

CARD = "docs/README.md"
_CARD_LIMIT_BYTES = 1 << 18


def as_markdown(_: Translator, card: ModelCard) -> str:
    """The page of one model; a broken one says what is wrong with it."""
    if not card.usable:
        return f"# {card.name}\n\n" + _("This model cannot be used: {reason}").format(reason=card.problem)
    facts = [
        (_("translates"), f"{card.source} → {card.target}"),
        (_("version"), card.version),
        (_("licence"), card.licence or _("not stated")),
        (_("training"), card.trained),
        (_("judged"), card.judged),
        ("SHA-256", f"`{card.sha256[:16]}…`"),
    ]
    head, *rest = (f"| {name} | {value} |\n" for name, value in facts)
    warning = "" if card.scores else "**" + _("Not evaluated: nobody knows how wrong it is.") + "**\n\n"
    return f"# {card.title}\n\n{warning}{card.description}\n\n{head}|---|---|\n{''.join(rest)}\n{_own_card(_, card)}"


def fitting(cards: Sequence[ModelCard], lights: Mapping[str, str]) -> list[str]:
    """The names of the usable models that would take the input; `lights`: source sequence -> colour of the input's light."""
    return [card.name for card in cards if card.usable and lights.get(card.source, "green") != "red"]


def _own_card(_: Translator, card: ModelCard) -> str:
    """The card in the bundle without its headline."""
    try:
        text = bundle_file(card.folder, CARD, _CARD_LIMIT_BYTES).read_text(encoding="utf-8", errors="replace")
    except (UnsuitableModel, OSError):
        return _("Its makers wrote no card.")
    lines = text.splitlines()
    return "\n".join(lines[1:] if lines and lines[0].startswith("# ") else lines)
