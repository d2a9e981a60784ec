"""The one self-contained HTML page about an evaluation: where it comes from, every group's section, what the words mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..card_page import score_table
from ..catalog import weak_kinds
from ..measures import MEASURES, REGIONS
from ..subjects import SEQUENCES
from ..translation import DISCLAIMER, MARK
from .baselines import PREDICTORS
from .card_scores import scores_by_kind
from .markup import Html, markup, table
from .results import Evaluation
from .sections import section, trust_section

_SHORT_HASH = 12
_STYLE = """
:root { color-scheme: light; --ink: #1d2328; --soft: #5c6670; --paper: #fbfbf9; --line: #dcdfe2; --mark: #9a4a00; }
body { margin: 0 auto; max-width: 70rem; padding: 1.5rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { margin: 0.2rem 0; font-size: 1.7rem; font-weight: 600; overflow-wrap: anywhere; }
h2 { margin: 2.5rem 0 0.4rem; padding-top: 1rem; font-size: 1.35rem; font-weight: 600; border-top: 1px solid var(--line); }
h3 { margin: 1.8rem 0 0.3rem; font-size: 1.05rem; font-weight: 600; }
p { margin: 0.3rem 0 0.6rem; max-width: 60rem; }
.mark { display: inline-block; margin: 0; padding: 0.05rem 0.6rem; border: 1.5px solid; border-radius: 0.3rem;
  color: var(--mark); font-weight: 700; letter-spacing: 0.12em; font-size: 0.8rem; }
.warning { padding: 0.5rem 0.8rem; border-left: 3px solid #b26a00; background: #fdf4e3; }
.table { overflow-x: auto; margin: 0.5rem 0 1rem; }
table { border-collapse: collapse; font-size: 0.88rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.25rem 0.8rem 0.25rem 0; border-bottom: 1px solid var(--line); text-align: right; font-weight: 400;
  vertical-align: top; }
th[scope=row], .words td, .words th, .facts td { text-align: left; }
thead th:first-child, .rules thead th:nth-child(-n+3) { text-align: left; }
.facts td { overflow-wrap: anywhere; }
thead th { color: var(--soft); max-width: 9rem; vertical-align: bottom; }
thead th[title] { text-decoration: underline dotted; text-underline-offset: 3px; cursor: help; }
.rules td:nth-child(2), .rules td:nth-child(3) { text-align: left; max-width: 17rem; }
tr.model > * { background: #eef4fb; font-weight: 600; }
small { color: var(--soft); font-weight: 400; }
img { display: block; max-width: 100%; margin: 0.4rem 0; border-radius: 0.25rem; }
figure { margin: 0.8rem 0; }
figcaption, summary { color: var(--soft); font-size: 0.9rem; }
summary { cursor: pointer; }
code { font-size: 0.85rem; overflow-wrap: anywhere; }
@media print { img, tr { break-inside: avoid; } h2, h3 { break-after: avoid; } }
"""


def page_of(
    evaluation: Evaluation,
    facts: Mapping[str, Any],
    figures: Mapping[str, Mapping[str, bytes]],
    trust_curves: bytes,
    galleries: Mapping[str, bytes],
) -> str:
    """The page. facts: what stands in scores.json too. figures: group -> name -> PNG; galleries: subject's id -> PNG.

    trust_curves: the figure about the predicted error, PNG; empty without subjects.
    """
    source, target = (SEQUENCES.get(name, name) for name in (evaluation.source, evaluation.target))
    title = f"{facts['model']}: {source} to {target}, protocol {evaluation.protocol}"
    head = markup(
        "head",
        Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        markup("title", title),
        Html(f"<style>{_STYLE}</style>"),
    )
    body = markup(
        "body",
        markup("p", MARK, class_="mark"),
        markup("h1", title),
        markup("p", _summary(evaluation, facts)),
        *_warnings(evaluation),
        *_in_short(evaluation),
        *(section(group, results, figures[group], galleries) for group, results in evaluation.groups().items()),
        *([trust_section(evaluation.results, trust_curves)] if evaluation.results else []),
        *_words(),
        *_origin(facts),
    )
    return "<!DOCTYPE html>\n" + markup("html", head, "\n", body, lang="en") + "\n"


def _summary(evaluation: Evaluation, facts: Mapping[str, Any]) -> str:
    return (
        f"{len(evaluation.results)} subjects of {facts['data list']}, judged on {facts['date'][:10]}. Unit of all "
        "intensities and errors: 1 is the 99.5th percentile of the real image over the brain (1000 in the files). Every score is "
        f"taken per subject in 3D; subjects, not slices, are the samples. What the words mean stands at the end. {DISCLAIMER}"
    )


def _in_short(evaluation: Evaluation) -> list[Html]:
    """The scores as they would stand in the model's card, and where a look-up table is no worse."""
    kinds = scores_by_kind(evaluation.results)
    if not kinds:
        return []
    parts = [markup("h2", "In short"), table(*score_table(kinds))]
    weak = weak_kinds(kinds)
    if weak:
        said = f"No better than a look-up table, which knows next to nothing: {', '.join(weak)}."
        parts.append(markup("p", said, class_="warning"))
    return parts


def _warnings(evaluation: Evaluation) -> list[Html]:
    found = []
    known = evaluation.learnt_from()
    if known:
        text = f"In the model's own training, so that their scores flatter: {', '.join(known)}."
        found.append(markup("p", markup("b", "Learnt by heart. "), text, class_="warning"))
    if evaluation.left_out:
        reasons = [markup("li", f"{name}: {reason}") for name, reason in evaluation.left_out.items()]
        found.append(markup("div", markup("b", "Left out"), markup("ul", *reasons), class_="warning"))
    return found


def _words() -> list[Html]:
    measures = [[name, one.meaning, one.unit, one.better] for name, one in MEASURES.items()]
    return [
        markup("h2", "What the words mean"),
        markup("div", table(["measure", "what it is", "unit", "better"], measures), class_="words"),
        markup("div", table(["predictor", "what it is"], PREDICTORS.items()), class_="words"),
        markup("div", table(["region", "what it is"], REGIONS.items()), class_="words"),
    ]


def _origin(facts: Mapping[str, Any]) -> list[Html]:
    hashes = [f"{name}: {value[:_SHORT_HASH]}…" for name, value in facts["weights_sha256"].items()]
    rows = [
        ["command", markup("code", facts["command"])],
        ["weights, SHA-256", "; ".join(hashes)],
        *([name, str(facts[name])] for name in ("data list", "protocol", "software", "date")),
    ]
    return [markup("h2", "Where this comes from"), markup("div", table(["", ""], rows), class_="facts")]
