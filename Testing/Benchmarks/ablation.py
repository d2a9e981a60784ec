"""What each ingredient of a recipe gives: its variants, trained alike, judged on patients held out; a table and bars.

    python Testing/Benchmarks/ablation.py VARIANTS DATA --fold 0 --from MODEL --minutes 4 -o FOLDER

VARIANTS is a TOML file such as ablation.toml beside this one. Each variant is a `t1t2 train` and a `t1t2 evaluate`, whose
commands, model and page lie in a folder of its own. Stopped at any moment, the same command goes on: what is done stays done.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ablation_page
from T1T2TranslationLib.catalog import WEIGHTS, find_model, read_metadata
from T1T2TranslationLib.training import recipe as recipes
from T1T2TranslationLib.training.run import CHECKPOINT

_T1T2 = [sys.executable, "-m", "T1T2TranslationLib"]
_RECIPE, _MODEL, _JUDGED, _START = "recipe.toml", "model", "judged", "start"
_LEFT_SOMEBODY_OUT = 3  # exit code of `t1t2 evaluate`


@dataclass(frozen=True)
class Plan:
    """An ablation. variants: name -> the whole recipe as a TOML table, the first is what the others are compared with."""

    variants: Mapping[str, Mapping[str, Any]]
    data: Path
    fold: int
    start: str | None
    minutes: float | None

    def train(self, place: Path) -> list[str]:
        """The arguments of the variant's training in the folder `place`, but for --resume."""
        words = ["train", str(place / _RECIPE), str(self.data), "--fold", str(self.fold), "-o", str(place / _MODEL)]
        words += ["--from", self.start] if self.start else []
        return words + (["--minutes", f"{self.minutes:g}"] if self.minutes else [])

    def evaluate(self, model: str, place: Path) -> list[str]:
        """The arguments of a judging of `model` on the patients held out."""
        recipe = next(iter(self.variants.values()))
        images = ["--source", recipe.get("source", "t1n"), "--target", recipe.get("target", "t2w")]
        return ["evaluate", model, str(self.data), "--fold", str(self.fold), *images, "-o", str(place / _JUDGED)]


def main() -> None:
    """Train and judge what is not done yet, and write the table anew after each."""
    options = _options()
    plan = Plan(read_variants(options.variants), options.data, options.fold, options.start, options.minutes)
    options.output.mkdir(parents=True, exist_ok=True)
    if plan.start:
        _judge(plan, plan.start, options.output / _START) or sys.exit(f"'{plan.start}' could not be judged.")
        _refuse_known_patients(options.output / _START)
    left = [name for name in plan.variants if not _train_and_judge(plan, name, options.output)]
    if left:
        sys.exit(f"Could not be trained or judged: {', '.join(left)}. The same command tries them again.")
    print((options.output / "ablation.md").read_text(encoding="utf-8"))


def _train_and_judge(plan: Plan, name: str, folder: Path) -> bool:
    """Whether it is done; a variant that fails does not stop the others."""
    place = folder / _slug(name)
    if not (_train(plan, name, place) and _judge(plan, str(place / _MODEL), place)):
        return False
    write_tables(plan, folder, shlex.join(sys.argv))
    return True


def _slug(name: str) -> str:
    return re.sub(r"\W+", "-", name)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variants", type=Path, help="a TOML file: recipe, lines for all, and each variant's changed lines")
    parser.add_argument("data", type=Path, help="a data list or folder, as t1t2 train takes it")
    parser.add_argument("--fold", type=int, required=True, help="the patients of this fold are held out and judged")
    parser.add_argument("--from", dest="start", metavar="MODEL", help="every variant starts here; it must not know the fold")
    parser.add_argument("--minutes", type=float, help="of training for each; otherwise the recipe's minutes or steps")
    parser.add_argument("-o", "--output", type=Path, required=True)
    return parser.parse_args()


# ---- variants


def read_variants(path: Path) -> dict[str, dict[str, Any]]:
    """Name -> recipe: the one that the file names, changed by its [common] lines, then by the variant's own."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    shipped = Path(recipes.__file__).with_name("recipes") / f"{table['recipe']}.toml"
    base = tomllib.loads((shipped if shipped.exists() else path.parent / table["recipe"]).read_text(encoding="utf-8"))
    base = _changed(base, table.get("common", {}))
    return {name: _changed(base, lines) for name, lines in table["variants"].items()}


def _changed(table: Mapping[str, Any], lines: Mapping[str, Any]) -> dict[str, Any]:
    inner = {key: _changed(table.get(key, {}), value) for key, value in lines.items() if isinstance(value, dict)}
    return {**table, **lines, **inner}


def as_toml(table: Mapping[str, Any]) -> str:
    """A recipe as a file: plain values first, then its sections."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in table.items() if not isinstance(value, dict)]
    for name, section in table.items():
        if isinstance(section, dict):
            lines += [f"\n[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in section.items())]
    return "\n".join(lines) + "\n"


# ---- one variant


def _train(plan: Plan, name: str, place: Path) -> bool:
    """Train unless it is done; go on where it was stopped. A folder made by another command or recipe is not touched."""
    place.mkdir(exist_ok=True)
    words = plan.train(place)
    text = f"# {name}: t1t2 {shlex.join(words)}\n{as_toml(plan.variants[name])}"
    file = place / _RECIPE
    if file.exists() and file.read_text(encoding="utf-8") != text:
        sys.exit(f"'{place}' was trained by another recipe or command than '{name}' is now: remove it, or rename the variant.")
    file.write_text(text, encoding="utf-8")
    model = place / _MODEL
    if (model / WEIGHTS).exists() and not (model / CHECKPOINT).exists():
        return True
    return _run(words + (["--resume"] if (model / CHECKPOINT).exists() else []), f"Training '{name}'") == 0


def _judge(plan: Plan, model: str, place: Path) -> bool:
    """Judge unless that was done since the model was trained."""
    scores = place / _JUDGED / "scores.json"
    if scores.exists() and scores.stat().st_mtime > find_model(model).weights.stat().st_mtime:
        return True
    return _run(plan.evaluate(model, place), f"Judging '{model}'") in (0, _LEFT_SOMEBODY_OUT)


def _run(words: Sequence[str], what: str) -> int:
    """The exit code of a `t1t2` command."""
    print(f"{what}: t1t2 {shlex.join(words)}", flush=True)
    return subprocess.run([*_T1T2, *words], check=False).returncode


def _refuse_known_patients(place: Path) -> None:
    document = json.loads((place / _JUDGED / "scores.json").read_text(encoding="utf-8"))
    known = [subject["id"] for subject in document["subjects"] if subject["was learnt from"]]
    if known:
        sys.exit(f"{document['model']} knows {', '.join(known)} from its training: start from a model of the same fold.")


# ---- all of them


def write_tables(plan: Plan, folder: Path, command: str) -> None:
    """ablation.md, ablation.csv and ablation.png, of the start and the variants that are judged by now."""
    rows = []
    if plan.start:
        rows.append(ablation_page.Row(_START, 0, _document(folder / _START)))
    for name in plan.variants:
        place = folder / _slug(name)
        if (place / _JUDGED / "scores.json").exists():
            steps = read_metadata(place / _MODEL)["t1t2"]["training"]["steps"]
            rows.append(ablation_page.Row(name, steps, _document(place)))
    reference = next(iter(plan.variants))
    if reference not in {row.name for row in rows}:
        return  # there is nothing to compare with yet
    (folder / "ablation.md").write_text(ablation_page.markdown(rows, reference, command), encoding="utf-8")
    (folder / "ablation.png").write_bytes(ablation_page.bars(rows, reference))
    table = ablation_page.table(rows, reference)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(key for line in table for key in line)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    (folder / "ablation.csv").write_text(text.getvalue(), encoding="utf-8")


def _document(place: Path) -> dict[str, Any]:
    return json.loads((place / _JUDGED / "scores.json").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
