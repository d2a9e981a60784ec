"""No part of the program uses a network while it works; a process that asks for one ends at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import T1T2TranslationLib
from givens import a_head, save_untrained_model
from T1T2TranslationLib import protocol
from T1T2TranslationLib.io import write_volume
from T1T2TranslationLib.job import Job
from T1T2TranslationLib.samples import phantom

LIB_PARENT = Path(T1T2TranslationLib.__file__).parents[1]

# Python runs it at each start. Allowed are the name of this machine, and a socket that is tied to this machine alone and never
# used: urllib3, which pydicom brings along, finds out so as it is imported whether there is IPv6.
_SITECUSTOMIZE = """
import os, sys
def refuse(event, arguments):
    if not event.startswith("socket.") or event in ("socket.gethostname", "socket.__new__"):
        return
    if event == "socket.bind" and arguments[1][:2] == ("::1", 0):
        return
    print("a network was asked for:", event, arguments, file=sys.stderr, flush=True)
    os._exit(99)
sys.addaudithook(refuse)
"""


@pytest.fixture(scope="module")
def offline(tmp_path_factory) -> dict[str, str]:
    """The environment of a process without sockets, and of all its children."""
    folder = tmp_path_factory.mktemp("offline")
    (folder / "sitecustomize.py").write_text(_SITECUSTOMIZE)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(LIB_PARENT)]), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def alone() -> list[str]:
    """What starts a process in a network of its own with nobody in it, so that native code finds nobody either."""
    command = [shutil.which("unshare") or "", "-n"]
    can = command[0] and not subprocess.run([*command, "true"], capture_output=True, check=False).returncode
    return command if can else []


@pytest.fixture(scope="module")
def a_model(tmp_path_factory) -> Path:
    return save_untrained_model(tmp_path_factory.mktemp("models") / "untrained")


@pytest.fixture
def t1t2(offline, alone, tmp_path):
    """`t1t2` offline, in a folder of its own; the test fails unless it ends well."""

    def run(*arguments: object) -> str:
        command = [*alone, sys.executable, "-m", "T1T2TranslationLib", *map(str, arguments)]
        done = subprocess.run(command, env=offline, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=280)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.mark.parametrize(
    "use",
    [
        "socket.create_connection(('127.0.0.1', 9))",
        "socket.getaddrinfo('localhost', 80)",
        "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))",
        "socket.socket().bind(('', 0))",
    ],
)
def test_a_process_that_asks_for_a_network_ends(offline, use):
    done = subprocess.run(
        [sys.executable, "-c", f"import socket; {use}"], env=offline, capture_output=True, text=True, check=False
    )
    assert done.returncode == 99
    assert "a network was asked for" in done.stderr


def test_nothing_is_sent_or_fetched_over_a_network(t1t2, a_model, tmp_path):
    write_volume(phantom("T1", spacing_mm=(4, 4, 4)), tmp_path / "t1.nii.gz")
    options = ["--report", "new.html", "--error-map", "error.nii.gz", "--dicom", "--model", a_model, "--device", "cpu", "--force"]
    t1t2("translate", "t1.nii.gz", "-o", "new.nii.gz", *options)
    assert (tmp_path / "new_dicom").is_dir()
    assert "://" not in (tmp_path / "new.html").read_text("utf-8").replace("http://www.w3.org", "")  # base64 has no colon


def test_looking_listing_and_helping_need_no_network(t1t2, tmp_path):
    write_volume(phantom("T1"), tmp_path / "scans" / "a_t1.nii.gz")
    assert "t1_to_t2" in t1t2("models")
    assert "a_t1" in t1t2("check", "scans")
    assert "torch" in t1t2("doctor").lower()
    t1t2("datalist", "scans", "-o", "datalist.json")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_training_and_judging_need_no_network(t1t2, tmp_path):
    from training_givens import SMALL_TOML, save_aligned_data

    datalist = save_aligned_data(tmp_path / "data")
    (tmp_path / "recipe.toml").write_text(SMALL_TOML.replace("steps = 20", "steps = 2"))
    t1t2("train", "recipe.toml", datalist, "-o", "model", "--device", "cpu")
    t1t2("evaluate", "model", datalist, "-o", "judged")
    assert (tmp_path / "judged" / "report.html").is_file()


def test_the_worker_needs_no_network(offline, alone, a_model, tmp_path):
    command = [*alone, sys.executable, "-m", "T1T2TranslationLib.worker"]
    job = Job({"volume": a_head(), "model": str(a_model), "device": "cpu", "accept_any_input": True}, tmp_path)
    with subprocess.Popen(command, env=offline, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
        worker.stdin.write(protocol.encode(job.request))
        worker.stdin.flush()
        events = (protocol.decode(line) for line in worker.stdout)
        assert next(event["event"] for event in events if event["event"] in ("done", "error")) == "done"
        worker.stdin.close()
    assert worker.returncode == 0
    job.remove()
