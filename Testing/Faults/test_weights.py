"""A hostile model folder: nothing in it is executed, nothing outside it is read, and memory stays bounded; else a refusal.

That altered, truncated, foreign and pickled weights are refused is in Engine/test_model.py.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import T1T2TranslationLib
import torch
from givens import save_untrained_model
from T1T2TranslationLib.catalog import METADATA, WEIGHTS, find_model, list_models
from T1T2TranslationLib.errors import UnsuitableModel
from T1T2TranslationLib.model import INFERENCE, load_model

pytestmark = pytest.mark.faults("hostile models")

# Loads the models named on stdin; tells of every file that Python opened, process it started and code it ran meanwhile.
_WATCHED = """
import json, sys
from T1T2TranslationLib import model
from T1T2TranslationLib.errors import UnsuitableModel
model.load_model(sys.argv[1])  # whatever is imported late is imported now
watched = ("open", "exec", "compile", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect",
           "pickle.find_class", "os.mkdir", "os.remove", "shutil.rmtree", "import")
seen = []
sys.addaudithook(lambda event, arguments: seen.append((event, str(arguments[0]))) if event in watched else None)
for line in sys.stdin:
    seen.clear()
    try:
        model.load_model(line.rstrip("\\n"))
        outcome = "loaded"
    except UnsuitableModel as error:
        outcome = str(error)
    print(json.dumps({"outcome": outcome, "seen": list(seen)}), flush=True)
"""


@pytest.fixture
def a_bundle(tmp_path) -> Path:
    torch.manual_seed(3)
    return save_untrained_model(tmp_path / "models" / "small")


@pytest.fixture(scope="module")
def watcher(tmp_path_factory):
    """A process that loads models under watch; one for all tests, since it has to load torch."""
    good = save_untrained_model(tmp_path_factory.mktemp("warm") / "warm")
    environment = {"PYTHONPATH": str(Path(T1T2TranslationLib.__file__).parents[1]), "PATH": "/usr/bin:/bin", "HOME": "/nowhere"}
    command = [sys.executable, "-c", _WATCHED, str(good)]
    process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield process
    process.stdin.close()
    process.wait()


def edit(path: Path, change) -> None:
    table = json.loads(path.read_text())
    change(table)
    path.write_text(json.dumps(table))


def watch(bundle: Path, watcher: subprocess.Popen) -> tuple[str, list[tuple[str, str]]]:
    """What came of loading a bundle, and what was opened and run."""
    watcher.stdin.write(f"{bundle}\n")
    watcher.stdin.flush()
    answer = json.loads(watcher.stdout.readline())
    return answer["outcome"], [tuple(pair) for pair in answer["seen"]]


def opened_elsewhere(seen: list[tuple[str, str]], bundle: Path) -> list[str]:
    """Files that were opened outside the bundle, other than those of the shipped models, which the list names."""
    shipped = Path(T1T2TranslationLib.__file__).parent
    allowed = (bundle.resolve(), shipped, shipped.parents[1] / "models")
    return [name for event, name in seen if event == "open" and not any(Path(name).is_relative_to(place) for place in allowed)]


@pytest.mark.faults("hostile models", 0)
def test_a_good_bundle_opens_its_own_files_alone_and_runs_nothing(a_bundle, watcher):
    outcome, seen = watch(a_bundle, watcher)
    assert outcome == "loaded"
    assert opened_elsewhere(seen, a_bundle) == []
    assert [Path(name).name for event, name in seen if event == "open" and Path(name).is_relative_to(a_bundle)].count(
        "model.pt"
    ) == 1
    assert {event for event, _ in seen} <= {"open", "import"}


def test_what_a_bundle_tells_monai_to_run_is_not_run(a_bundle, watcher, tmp_path):
    trace = tmp_path / "executed"
    code = f"$__import__('os').mkdir({str(trace)!r})"

    def plant(table):
        table["imports"].append(code)
        table.update(run=[code], initialize=[code], model=code)
        table["network_def"]["_target_"] = "os.mkdir"

    edit(a_bundle / INFERENCE, plant)
    outcome, seen = watch(a_bundle, watcher)
    assert outcome == "loaded"
    assert {event for event, _ in seen} <= {"open", "import"}
    assert not trace.exists()


@pytest.mark.parametrize("place", ["/etc/passwd", "../../../../../../etc/passwd", "..\\..\\secret", "file:///etc/passwd"])
def test_paths_in_the_metadata_lead_nowhere(a_bundle, watcher, place):
    def plant(table):
        table["t1t2"].update(weights=place, weights_file=place, recipe=place, preprocessing_file=place)
        table.update(name=place, weights=place, _meta_=place, changelog={place: place})

    edit(a_bundle / METADATA, plant)
    edit(a_bundle / INFERENCE, lambda table: table.update(bundle_root=place, ckpt=place, input=place, load_path=place))
    outcome, seen = watch(a_bundle, watcher)
    assert outcome == "loaded"
    assert opened_elsewhere(seen, a_bundle) == []


@pytest.mark.parametrize("part", [METADATA, INFERENCE, WEIGHTS, "configs", "models"])
def test_a_link_out_of_the_bundle_is_refused_unread(a_bundle, watcher, tmp_path, part):
    outside = tmp_path / "outside"
    shutil.move(a_bundle / part, outside)
    (a_bundle / part).symlink_to(outside)
    outcome, seen = watch(a_bundle, watcher)
    assert "is a link to somewhere else" in outcome
    assert opened_elsewhere(seen, a_bundle) == []
    assert str(outside) not in outcome


def test_links_in_a_circle_and_to_devices_are_refused(a_bundle):
    for target in (a_bundle / WEIGHTS, Path("/dev/zero")):
        (a_bundle / WEIGHTS).unlink(missing_ok=True)
        (a_bundle / WEIGHTS).symlink_to(target)
        with pytest.raises(UnsuitableModel):
            load_model(a_bundle)


@pytest.mark.parametrize("name", ["../secret/small", "small/../../secret", "/etc", "models/small\0", "~root", ""])
def test_a_models_name_leads_to_no_other_folder(tmp_path, a_bundle, monkeypatch, name):
    monkeypatch.setenv("T1T2_MODELS", str(a_bundle.parent))
    monkeypatch.chdir(a_bundle)
    with pytest.raises(UnsuitableModel):
        find_model(name)


def publish(bundle: Path, content: bytes) -> None:
    """Replace the weights by somebody who also knows how to write their hash."""
    (bundle / WEIGHTS).write_bytes(content)
    edit(bundle / METADATA, lambda table: table["t1t2"].update(weights_sha256=hashlib.sha256(content).hexdigest()))


def test_weights_that_inflate_to_gigabytes_are_refused_before_they_do(a_bundle):
    """A megabyte of zip whose one tensor is a gigabyte of zeros, its hash as announced."""
    source, target = io.BytesIO((a_bundle / WEIGHTS).read_bytes()), io.BytesIO()
    with zipfile.ZipFile(source) as good, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as bomb:
        for entry in good.infolist():
            if not entry.filename.endswith("data/0"):
                bomb.writestr(entry.filename, good.read(entry))
            else:
                with bomb.open(entry.filename, "w") as file:
                    for _ in range(300):
                        file.write(bytes(1 << 20))
    publish(a_bundle, target.getvalue())
    assert len(target.getvalue()) < 1 << 20
    with pytest.raises(UnsuitableModel, match=r"would take 3\d\d MB"):
        load_model(a_bundle)


def test_a_folder_of_hostile_bundles_is_listed_with_a_problem_each_and_hides_no_good_one(tmp_path, a_bundle):
    for number, content in enumerate(
        [b"[" * 100_000, b'{"t1t2": 5}', b"\xff\xfe", b'{"t1t2": {"scores": [1]}}', b"null", b'"x"']
    ):
        broken = shutil.copytree(a_bundle, a_bundle.parent / f"broken-{number}")
        (broken / METADATA).write_bytes(content)
    cards = list_models(a_bundle.parent)
    assert [card.name for card in cards if card.usable] == ["small"]
    assert len([card for card in cards if card.problem]) == 6
