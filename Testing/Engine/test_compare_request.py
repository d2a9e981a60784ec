"""A translation is compared with a real image by the worker, without the network."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from T1T2TranslationLib import layers, protocol, samples
from T1T2TranslationLib.reference import compare

T1, T2 = samples.phantom(), samples.phantom("T2")


@pytest.fixture
def request_in(tmp_path):
    made = samples.phantom_translation(T1)
    return protocol.compare_request("7", tmp_path, T1, translation=made, reference=T2), made


def test_a_compare_request_survives_the_pipe(request_in):
    message, made = request_in
    given = protocol.compare_arguments(protocol.decode(protocol.encode(message)))
    np.testing.assert_array_equal(given["translation"].synthetic.array, made.synthetic.array)
    np.testing.assert_array_equal(given["reference"].array, T2.array)
    assert given["mask"] is None
    assert given["translation"].checks == made.checks


def test_an_incomplete_compare_request_is_refused(request_in):
    message, _ = request_in
    del message["reference"]
    with pytest.raises(protocol.UnreadableMessage, match="compare request is incomplete"):
        protocol.compare_arguments(message)


def test_the_worker_answers_with_the_comparison_that_the_library_makes(request_in, tmp_path):
    message, made = request_in
    lines = protocol.encode(message).encode()
    with subprocess.Popen(
        [sys.executable, "-m", "T1T2TranslationLib.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as worker:
        worker.stdin.write(lines)
        worker.stdin.flush()
        events = iter(lambda: json.loads(worker.stdout.readline()), None)
        answer = next(event for event in events if event["event"] in ("done", "error"))
        worker.stdin.close()
    there = protocol.read_done(answer, tmp_path)
    here = compare(made.synthetic, T2, T1)
    np.testing.assert_array_equal(there.comparison.signed_error.array, here.signed_error.array)
    assert there.comparison.metrics == {region: dict(values) for region, values in here.metrics.items()}
    assert there.provenance == made.provenance


def test_a_translation_is_read_back_from_what_a_scene_keeps_of_it():
    made = samples.phantom_translation(T1, with_reference=True)
    volumes = {layer.key: layer.volume for layer in layers.layers_of(made)}
    again = layers.translation_of(layers.read_summary(layers.summarize(made)), volumes)
    assert (again.checks, again.warnings, dict(again.provenance)) == (made.checks, made.warnings, made.provenance)
    assert again.comparison.metrics == made.comparison.metrics
    del volumes["signedError"]
    assert layers.translation_of(layers.read_summary(layers.summarize(made)), volumes).comparison is None
