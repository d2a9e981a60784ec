"""HTML of tables, numbers and pictures; whatever enters is escaped unless it is `Html` already."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Sequence
from html import escape

from ..measures import MEASURES
from .statistics import FEWEST_SUBJECTS, Estimate

_DIGITS = {"PSNR": 1, "slices": 0, "total MAE": 2, "total MSE": 3, "MSE": 4}
_USUAL_DIGITS = 3


class Html(str):
    """Text that is HTML already."""


DASH = Html("&ndash;")


def markup(tag: str, *content: str, **attributes: str) -> Html:
    """An element around its content, which is escaped where it is no `Html`; `class_` is the attribute class."""
    named = "".join(f' {name.rstrip("_")}="{escape(value)}"' for name, value in attributes.items() if value)
    return Html(f"<{tag}{named}>{''.join(_safe(part) for part in content)}</{tag}>")


def table(header: Sequence[str], rows: Iterable[Sequence[str]], highlight: str = "", caption: str = "") -> Html:
    """A table whose first column names its rows; the row of that name stands out. Measures explain themselves on hovering."""
    head = markup("tr", *(_head(name) for name in header))
    body = (
        markup(
            "tr",
            markup("th", row[0], scope="row"),
            *(markup("td", cell) for cell in row[1:]),
            class_="model" if highlight and row[0] == highlight else "",
        )
        for row in rows
    )
    title = [markup("caption", caption)] if caption else []
    return markup("div", markup("table", *title, markup("thead", head), markup("tbody", *body)), class_="table")


def mean_with_interval(metric: str, value: Estimate | None) -> Html:
    """The mean, its interval below; the mean alone where subjects are too few for one."""
    if value is None or value.n == 0:
        return DASH
    digits = digits_of(metric)
    if value.n < FEWEST_SUBJECTS:
        return Html(f"{value.mean:.{digits}f}")
    return Html(f"{value.mean:.{digits}f}<br><small>{value.low:.{digits}f} to {value.high:.{digits}f}</small>")


def number(value: float | None, digits: int = _USUAL_DIGITS) -> str:
    """A dash where there is no finite number."""
    return DASH if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def digits_of(metric: str) -> int:
    """How many digits of a measure are worth reading."""
    return _DIGITS.get(metric, _USUAL_DIGITS)


def picture(png: bytes, alternative: str) -> Html:
    """A PNG inside the page."""
    source = "data:image/png;base64," + base64.b64encode(png).decode("ascii")
    return Html(f'<img src="{source}" alt="{escape(alternative)}">')


def _head(name: str) -> Html:
    measure = MEASURES.get(name)
    if measure is None:
        return markup("th", name, scope="col")
    return markup("th", name, scope="col", title=f"{measure.meaning}; better: {measure.better or 'neither'}")


def _safe(part: str) -> str:
    return part if isinstance(part, Html) else escape(part)
