"""One self-contained HTML page about one translation: what went in, what came out, and how far to trust it."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

import numpy as np

from .colors import color_table, overlay_table
from .head import find_head
from .interval import interval_of
from .layers import LOOKS, Look
from .measures import MEASURES
from .output import staged_files
from .pictures import AXIAL, PLANES, Plane, View, legend_of, png_of, view_of_head, worst_axial
from .translation import DISCLAIMER, MARK, UNIT, Check, Translation
from .volume import Volume

# What the levels of a check mean to a reader.
_LEVELS = {"green": "suitable", "amber": "translated, but look", "red": "translated in spite of it"}
_SAID_ABOVE = ("mark", "disclaimer")
_SIGNS = "; blue: synthetic too dark, red: too bright"


class Html(str):
    """Text that is already HTML; everything else that enters the page is escaped."""


@dataclass(frozen=True)
class _Column:
    """One image of every row of pictures, and how it is coloured."""

    title: str
    volume: Volume
    look: Look
    unit: str
    mark: str = ""  # written into every picture: a picture may be cut out of the page

    @property
    def table(self) -> np.ndarray:
        """(256, 3) uint8 over the window: an error map is black where there is none."""
        is_error = bool(self.look.title)
        return overlay_table(self.look.colors, self.look.window, 0)[:, :3] if is_error else color_table(self.look.colors)


def write_report(volume: Volume, translation: Translation, path: str | Path) -> None:
    """Write the page about `translation` of `volume`, complete or not at all. Raises UnsuitableOutput."""
    with staged_files() as staging:
        staging.add_text(render_report(volume, translation), path)


def render_report(volume: Volume, translation: Translation) -> str:
    """The page as HTML: no links, no scripts, no patient data beyond the volume's name."""
    provenance = translation.provenance
    source, target = str(provenance.get("source_sequence", "T1")), str(provenance.get("target_sequence", "T2"))
    view = view_of_head(volume)
    columns = _columns(volume, translation, source, target)
    return _fill(
        _PAGE,
        style=Html(_STYLE),
        mark=MARK,
        disclaimer=DISCLAIMER,
        name=volume.name,
        source=source,
        target=target,
        made_by=f"{provenance.get('model', 'unknown model')} {provenance.get('model_version', '')}".strip(),
        date=str(provenance.get("date", "")).replace("T", " ").replace("+00:00", " UTC"),
        facts=_facts(view, translation),
        interval=_interval(translation),
        notes=_join(_fill("<p class=note>$text</p>", text=warning) for warning in translation.warnings),
        count=len(columns),
        legends=_join(map(_legend, columns)),
        rows=_join(_rows(view, columns, translation)),
        checks=_join(map(_check, translation.checks)),
        metrics=_metrics(translation),
        provenance=_join(_row(_words(key), _plain(value)) for key, value in provenance.items() if key not in _SAID_ABOVE),
        unit=f"{UNIT} = 99.5th percentile of {target} over the brain",
    )


# ---- pictures


def _columns(volume: Volume, translation: Translation, source: str, target: str) -> list[_Column]:
    """As the panel shows them: the same for every patient, so that colours can be compared."""
    unit = f"1/{UNIT} of {target}"
    comparison = translation.comparison
    scan = LOOKS["synthetic"]._replace(window=_window_of_tissue(volume))
    found = [
        _Column(source, volume, scan, "as scanned"),
        _Column(f"{MARK} {target}", translation.synthetic, LOOKS["synthetic"], unit, MARK),
    ]
    if comparison:
        found.append(_Column(f"real {target}", comparison.reference, LOOKS["alignedReference"], unit))
    errors = {"predictedError": translation.predicted_error}
    if comparison:
        errors |= {"absoluteError": comparison.absolute_error, "signedError": comparison.signed_error}
    return found + [
        _Column(LOOKS[key].title.lower(), error, LOOKS[key], f"{unit}{_SIGNS * LOOKS[key].is_signed}")
        for key, error in errors.items()
    ]


def _window_of_tissue(volume: Volume) -> tuple[float, float]:
    """From air to half as bright again as white matter: scalp fat must not darken the brain."""
    head = find_head(volume)
    return head.air, head.air + 1.5 * (head.level - head.air)


def _rows(view: View, columns: list[_Column], translation: Translation) -> Iterable[Html]:
    for plane in PLANES:
        yield _picture_row(f"{plane.name}, through the middle of the head", view, plane, view.centre[plane.normal], columns)
    worst = worst_axial(view, translation.predicted_error.array)
    yield _picture_row("axial, where most error is predicted", view, AXIAL, worst, columns)


def _picture_row(title: str, view: View, plane: Plane, index: int, columns: list[_Column]) -> Html:
    return _fill(
        '<h3>$title</h3><div class="pictures" style="--count: $count">$pictures</div>',
        title=title,
        count=len(columns),
        pictures=_join(_picture(view, plane, index, column) for column in columns),
    )


def _picture(view: View, plane: Plane, index: int, column: _Column) -> Html:
    width, height = view.size_mm(plane)
    return _fill(
        _PICTURE,
        width=f"{width:.1f}",
        height=f"{height:.1f}",
        source=png_of(view.cut(column.volume.array, plane, index), column.look.window, column.table),
        text=f"{column.title}, {plane.name}",
        left=plane.left,
        right=plane.right,
        top=plane.top,
        bottom=plane.bottom,
        mark=_fill("<b>$mark</b>", mark=column.mark) if column.mark else "",
    )


def _legend(column: _Column) -> Html:
    return _fill(
        _LEGEND,
        title=column.title,
        source=legend_of(column.table),
        low=_end(column.look.window[0]) + " and less" * column.look.is_signed,
        high=f"{_end(column.look.window[1])} and more",
        unit=column.unit,
    )


def _end(value: float) -> str:
    """A value at the end of a legend; a scan may reach to thousands, or to one."""
    return f"{value:.0f}" if value == 0 or abs(value) >= 10 else f"{value:.2g}"


# ---- words and numbers


def _facts(view: View, translation: Translation) -> Html:
    """The few numbers to see first; errors predicted and measured are means over the same voxels."""
    where = view.head & (view.oriented(translation.predicted_error.array) > 0)  # outside a mask nothing was translated
    place = "all that is shown"
    comparison = translation.comparison
    if comparison:
        where &= view.oriented((comparison.reference.array > 0) | (comparison.absolute_error.array > 0))
        place = "all that was compared"
    facts = [("mean error predicted", f"{_mean(view, translation.predicted_error, where):.0f}", f"of {UNIT}, {place}")]
    if comparison:
        region, scores = next(iter(comparison.metrics.items()), ("", {}))
        within = f"; {region}: {UNIT * scores['MAE']:.0f}" if "MAE" in scores else ""
        measured = _mean(view, comparison.absolute_error, where)
        facts.append(("mean error measured", f"{measured:.0f}", f"of {UNIT}, {place}{within}"))
        facts += [(name, _number(scores[name]), region) for name in ("PSNR", "SSIM") if name in scores]
    worst = [level for level in ("red", "amber", "green") if any(check.level == level for check in translation.checks)]
    if worst:
        facts.append(("input checks", _LEVELS[worst[0]], f"{len(translation.checks)} made"))
    return _join(
        _fill("<div><dt>$name</dt><dd>$value</dd><small>$detail</small></div>", name=name, value=value, detail=detail)
        for name, value, detail in facts
    )


def _mean(view: View, errors: Volume, where: np.ndarray) -> float:
    """The mean of an error map over the voxels `where` (R, A, S)."""
    return float(view.oriented(errors.array)[where].mean()) if where.any() else 0.0


def _interval(translation: Translation) -> Html:
    """One sentence; nothing of a model that states no interval."""
    interval = interval_of(translation.provenance)
    if interval is None:
        return Html("")
    return _fill("<p class=interval>$text</p>", text=interval.sentence(str, translation.predicted_error.array))


def _check(check: Check) -> Html:
    return _fill(
        '<li class="$level"><b>$name</b> <span>$message</span> <small>$meaning</small></li>',
        level=check.level,
        name=check.name,
        message=check.message,
        meaning=_LEVELS[check.level],
    )


def _metrics(translation: Translation) -> Html:
    if translation.comparison is None:
        return Html("<p>No real image was given to compare with.</p>")
    metrics = translation.comparison.metrics
    measures = list(dict.fromkeys(measure for scores in metrics.values() for measure in scores))
    head = _join(_fill("<th scope=col>$measure</th>", measure=measure) for measure in measures)
    words = _join(
        _fill("<div><dt>$name</dt><dd>$meaning$better</dd></div>", name=name, meaning=one.meaning, better=_better(one.better))
        for name in measures
        if (one := MEASURES.get(name))
    )
    rows = _join(
        _fill(
            "<tr><th scope=row>$region</th>$cells</tr>",
            region=region,
            cells=_join(_fill("<td>$value</td>", value=_number(scores.get(measure))) for measure in measures),
        )
        for region, scores in metrics.items()
    )
    how = "was registered to the input first" if translation.comparison.registered else "lies on the input's own grid"
    return _fill(
        '<div class="wide"><table><thead><tr><th scope=col>region</th>$head</tr></thead><tbody>$rows</tbody></table></div>'
        "<p>Protocol T2P-1; intensities in units of the real image's 99.5th percentile over the brain: "
        "an MAE of 0.1 is $tenth in the pictures. "
        "The real image, $name, $how.</p><dl class=words>$words</dl>",
        name=translation.comparison.reference.name,
        tenth=UNIT // 10,
        words=words,
        head=head,
        rows=rows,
        how=how,
    )


def _better(better: str) -> str:
    return f"; better: {better}" if better else ""


def _row(name: str, value: str) -> Html:
    return _fill("<tr><th scope=row>$name</th><td>$value</td></tr>", name=name, value=value)


def _words(key: str) -> str:
    return key.replace("_", " ")


def _plain(value: object) -> str:
    return json.dumps(value) if isinstance(value, (Mapping, list, tuple, bool)) else str(value)


def _number(value: float | None) -> str:
    return "" if value is None or np.isnan(value) else f"{value:.3g}"


# ---- the page


def _fill(template: str, **values: object) -> Html:
    """`template` with its $names replaced; values are escaped unless they are `Html`."""
    safe = {name: value if isinstance(value, Html) else html.escape(str(value)) for name, value in values.items()}
    return Html(Template(template).substitute(safe))


def _join(parts: Iterable[Html]) -> Html:
    return Html("\n".join(parts))


_PICTURE = """<figure style="aspect-ratio: $width / $height"><img src="$source" alt="$text">
<i class="left">$left</i><i class="right">$right</i><i class="top">$top</i><i class="bottom">$bottom</i>$mark</figure>"""

_LEGEND = """<div><b>$title</b><img src="$source" alt="from $low to $high"><span>$low</span><span>$high</span>
<small>$unit</small></div>"""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$mark $target of $name</title>
<style>$style</style>
</head>
<body>
<header>
<p class="mark">$mark</p>
<h1>$target from $source: $name</h1>
<p>$disclaimer Made by $made_by. <time>$date</time></p>
</header>
<main>
<dl class="facts">$facts</dl>
$interval
$notes
<section class="images">
<h2>Images</h2>
<div class="pictures legends" style="--count: $count">$legends</div>
$rows
<p>Radiological convention: the patient's right is on the left of axial and coronal pictures. The pictures show the grid as it was
scanned, in its true proportions; a tilted grid is not straightened. Unit of the synthetic image and the errors: $unit.</p>
</section>
<section>
<h2>Input checks</h2>
<ul class="checks">$checks</ul>
</section>
<section>
<h2>Against the real image</h2>
$metrics
</section>
<section>
<h2>Provenance</h2>
<div class="wide"><table class="provenance"><tbody>$provenance</tbody></table></div>
</section>
</main>
<footer>$disclaimer</footer>
</body>
</html>
"""

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2328; --soft: #5c6670; --paper: #fbfbf9; --line: #dcdfe2;
  --mark: #9a4a00; --green: #2e7d4f; --amber: #b26a00; --red: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7ea; --soft: #9aa4ae; --paper: #14181b; --line: #30363c;
  --mark: #ffb068; --green: #6fcf97; --amber: #f2b84b; --red: #ff8a80; } }
@media print {
  :root { color-scheme: light; --ink: #000; --soft: #444; --paper: #fff; --line: #bbb;
    --mark: #9a4a00; --green: #2e7d4f; --amber: #b26a00; --red: #b3261e; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .pictures, tr, li { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { margin: 0.2rem 0; font-size: 1.7rem; font-weight: 600; overflow-wrap: anywhere; }
h2 { margin: 2.2rem 0 0.6rem; font-size: 1.15rem; font-weight: 600; }
h3 { margin: 1.2rem 0 0.3rem; font-size: 0.85rem; font-weight: 400; color: var(--soft); }
header p, footer, small, section > p { color: var(--soft); margin: 0; }
section > p { margin-top: 0.8rem; font-size: 0.85rem; max-width: 60rem; }
header .mark { display: inline-block; padding: 0.05rem 0.6rem; border: 1.5px solid; border-radius: 0.3rem;
  color: var(--mark); font-weight: 700; letter-spacing: 0.12em; font-size: 0.8rem; }
.facts { display: flex; flex-wrap: wrap; gap: 1rem 2.5rem; margin: 1.4rem 0; padding: 1rem 0;
  border: solid var(--line); border-width: 1px 0; }
.facts dt, .facts small { color: var(--soft); font-size: 0.8rem; }
.facts dd { margin: 0; font-size: 1.5rem; font-variant-numeric: tabular-nums; }
.interval { margin: 0 0 1rem; color: var(--soft); max-width: 60rem; }
.note { margin: 0.4rem 0; padding: 0.5rem 0.8rem; border-left: 3px solid var(--amber); }
.pictures { display: grid; grid-template-columns: repeat(var(--count), 1fr); gap: 0.4rem; align-items: start; }
figure { position: relative; margin: 0; background: #000; border-radius: 0.25rem; overflow: hidden; }
figure img { display: block; width: 100%; height: 100%; }
figure i { position: absolute; color: #fff; font: 600 0.7rem/1 system-ui, sans-serif; text-shadow: 0 0 3px #000, 0 0 2px #000; }
figure b { position: absolute; left: 0.35rem; top: 0.3rem; color: #ffbf4d; font: 700 0.6rem/1 system-ui, sans-serif;
  text-shadow: 0 0 3px #000, 0 0 2px #000; }
i.left { left: 0.35rem; top: 50%; transform: translateY(-50%); }
i.right { right: 0.35rem; top: 50%; transform: translateY(-50%); }
i.top { top: 0.3rem; left: 50%; transform: translateX(-50%); }
i.bottom { bottom: 0.3rem; left: 50%; transform: translateX(-50%); }
.legends div { display: grid; grid-template-columns: 1fr auto; font-size: 0.75rem; font-variant-numeric: tabular-nums; }
.legends b { grid-column: 1 / 3; font-size: 0.9rem; font-weight: 600; }
.legends img { grid-column: 1 / 3; width: 100%; height: 0.55rem; border-radius: 0.2rem; border: 1px solid var(--line); }
.legends small { grid-column: 1 / 3; }
.checks { list-style: none; margin: 0; padding: 0; }
.checks li { padding: 0.35rem 0 0.35rem 1.4rem; border-bottom: 1px solid var(--line); position: relative; }
.checks li::before { content: ""; position: absolute; left: 0.1rem; top: 0.8rem; width: 0.65rem; height: 0.65rem;
  border-radius: 50%; background: var(--level); }
.green { --level: var(--green); } .amber { --level: var(--amber); } .red { --level: var(--red); }
.checks b { display: inline-block; min-width: 8.5rem; font-weight: 600; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.3rem 1rem 0.3rem 0; border-bottom: 1px solid var(--line); text-align: right; font-weight: 400; }
th[scope=row], .provenance td, thead th:first-child { text-align: left; }
thead th, .provenance th { color: var(--soft); }
.provenance td { overflow-wrap: anywhere; }
.words { display: grid; grid-template-columns: repeat(auto-fill, minmax(24rem, 1fr)); gap: 0.1rem 2rem; font-size: 0.8rem; }
.words div { display: flex; gap: 0.6rem; }
.words dt { min-width: 5rem; }
.words dd { margin: 0; color: var(--soft); }
footer { margin-top: 2.5rem; padding-top: 0.8rem; border-top: 1px solid var(--line); font-size: 0.85rem; }
@media (max-width: 40rem) { .pictures { grid-template-columns: repeat(2, 1fr); } }
"""
