"""What a model's card says, as a page to read in the panel: where not to trust it first, facts, scores, limits, the rest."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from .catalog import TABLE_MAE, ModelCard, bundle_file
from .errors import UnsuitableModel
from .translation import UNIT

Translator = Callable[[str], str]

CARD = "docs/README.md"
_CARD_LIMIT_BYTES = 1 << 18
# What a reader of a card wants to know before data, training and sources.
_FIRST = ("Scores", "Limits")


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
    listed = "  \n".join(f"{name}: {value}" for name, value in facts)  # a line each
    return "\n\n".join([f"# {card.title}", *warnings(_, card), card.description, listed, _own_card(_, card)])


def warnings(_: Translator, card: ModelCard) -> list[str]:
    """What stands first on the page, in bold: that nobody judged the model, or where it was no better than a look-up table."""
    if not card.scores:
        return ["**" + _("Not evaluated: nobody knows how wrong it is.") + "**"]
    sentence = _(
        "Do not rely on it here: {kind}. Its mean error was {own} of {unit} there, that of a mere look-up table {table}."
    )
    errors = {kind: (card.scores[kind]["MAE"], card.scores[kind][TABLE_MAE]) for kind in card.weak_at}
    return [
        "**" + sentence.format(kind=kind, own=round(UNIT * own), unit=UNIT, table=round(UNIT * table)) + "**"
        for kind, (own, table) in errors.items()
    ]


def fitting(cards: Sequence[ModelCard], lights: Mapping[str, str]) -> list[str]:
    """The names of the usable models that would take the input; `lights`: source sequence -> colour of the input's light."""
    return [card.name for card in cards if card.usable and lights.get(card.source, "green") != "red"]


def _own_card(_: Translator, card: ModelCard) -> str:
    """The card in the bundle without its headline, what its readers look for first."""
    try:
        text = bundle_file(card.folder, CARD, _CARD_LIMIT_BYTES).read_text(encoding="utf-8", errors="replace")
    except (UnsuitableModel, OSError):
        return _("Its makers wrote no card.")
    opening, *sections = re.split(r"^(?=## )", re.sub(r"\A# .*", "", text), flags=re.MULTILINE)
    first = [section for title in _FIRST for section in sections if section.startswith(f"## {title}\n")]
    rest = [section for section in sections if section not in first]
    return "\n\n".join(part.strip() for part in (*first, opening, *rest))
