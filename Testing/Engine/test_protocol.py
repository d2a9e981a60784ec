"""What leaves one process arrives unchanged in the other, and nothing else gets in."""

from __future__ import annotations

import math

import numpy as np
import pytest
from T1T2TranslationLib import protocol
from T1T2TranslationLib.errors import KINDS, T1T2Error, UnsuitableOutput, UnsuitableVolume
from T1T2TranslationLib.translation import Check, Comparison, Translation
from T1T2TranslationLib.volume import Volume

OBLIQUE = np.array([[0.9, 0.0, 0.0, -7.5], [0.0, 0.72, -1.8, 3.25], [0.0, 0.54, 2.4, 1 / 3], [0, 0, 0, 1]])


def a_volume(value: int = 0, dtype: type = np.int16, name: str = "Kopf é") -> Volume:
    array = (np.arange(17 * 19 * 23).reshape(17, 19, 23) % 1201 + value).astype(dtype)
    return Volume(array, OBLIQUE, name)


def a_translation(comparison: Comparison | None = None) -> Translation:
    return Translation(
        synthetic=a_volume(1),
        predicted_error=a_volume(2),
        checks=(Check("contrast", "amber", "Grey matter is brighter than usual."),),
        warnings=("The mask was resampled.",),
        provenance={"model": "t1_to_t2", "seconds": 1.25, "versions": {"torch": "2"}},
        comparison=comparison,
    )


def assert_same_volume(found: Volume, wanted: Volume) -> None:
    assert found.array.dtype == wanted.array.dtype
    np.testing.assert_array_equal(found.array, wanted.array)
    np.testing.assert_array_equal(found.affine, wanted.affine)  # bit for bit: JSON keeps every digit of a double
    assert found.name == wanted.name


def over_the_pipe(message: dict) -> dict:
    line = protocol.encode(message)
    assert line.endswith("\n")
    assert line.count("\n") == 1
    assert line.isascii()
    return protocol.decode(line.encode())


def test_a_request_arrives_as_the_arguments_of_translate(tmp_path):
    request = protocol.translate_request(
        "7",
        tmp_path,
        a_volume(),
        mask=a_volume(3, np.uint8),
        region=a_volume(4, np.uint8),
        model="t1_to_t2",
        device="cpu",
        accept_any_input=True,
    )
    arguments = protocol.translate_arguments(over_the_pipe(request))
    assert_same_volume(arguments["volume"], a_volume())
    assert_same_volume(arguments["mask"], a_volume(3, np.uint8))
    assert_same_volume(arguments["region"], a_volume(4, np.uint8))
    del arguments["volume"], arguments["mask"], arguments["region"]
    assert arguments == {"reference": None, "model": "t1_to_t2", "device": "cpu", "accept_any_input": True}


def test_a_translation_without_reference_arrives_unchanged(tmp_path):
    message = over_the_pipe(protocol.done_event("7", a_translation(), tmp_path))
    found, wanted = protocol.read_done(message, tmp_path), a_translation()
    assert message["id"] == "7"
    assert_same_volume(found.synthetic, wanted.synthetic)
    assert_same_volume(found.predicted_error, wanted.predicted_error)
    assert (found.checks, found.warnings, found.provenance) == (wanted.checks, wanted.warnings, wanted.provenance)
    assert found.comparison is None


def test_a_comparison_arrives_with_its_metrics_even_where_they_are_infinite(tmp_path):
    metrics = {"brain": {"PSNR": math.inf, "MAE": 0.0}}
    comparison = Comparison(a_volume(4), a_volume(5), a_volume(6), metrics, registered=True)
    message = over_the_pipe(protocol.done_event("7", a_translation(comparison), tmp_path))
    found = protocol.read_done(message, tmp_path).comparison
    assert_same_volume(found.reference, a_volume(4))
    assert_same_volume(found.signed_error, a_volume(5))
    assert_same_volume(found.absolute_error, a_volume(6))
    assert found.metrics == metrics
    assert found.registered is True


def test_progress_arrives_and_never_leaves_its_range():
    assert protocol.read_progress(over_the_pipe(protocol.progress_event("7", np.float32(0.25), "Translating"))) == (
        0.25,
        "Translating",
    )
    assert protocol.read_progress(protocol.progress_event("7", 1.5, "")) == (1.0, "")
    with pytest.raises(protocol.UnreadableMessage, match="incomplete"):
        protocol.read_progress({"event": "progress", "id": "7", "fraction": None, "message": ""})


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_an_error_is_raised_again_as_its_class(kind):
    with pytest.raises(KINDS[kind]) as caught:
        protocol.raise_error(over_the_pipe(protocol.error_to_message(KINDS[kind]("What.", "Do this."), "7")))
    assert type(caught.value) is KINDS[kind]
    assert (caught.value.message, caught.value.remedy) == ("What.", "Do this.")


def test_an_error_of_an_unknown_kind_is_still_an_error():
    with pytest.raises(T1T2Error, match=r"Odd\."):
        protocol.raise_error({"event": "error", "kind": "from-the-future", "message": "Odd.", "remedy": ""})


@pytest.mark.parametrize("line", ["", "Traceback (most recent call last):", "[1, 2]", "3", '{"neither": 1}', b"\xff\xfe"])
def test_a_line_that_is_no_message_is_refused(line):
    with pytest.raises(protocol.UnreadableMessage):
        protocol.decode(line)


def test_an_image_outside_the_jobs_folder_is_refused(tmp_path):
    job = tmp_path / "job"
    job.mkdir()
    message = protocol.volume_to_message(a_volume(), tmp_path, "elsewhere")
    with pytest.raises(protocol.UnreadableMessage, match="does not lie in the job's folder"):
        protocol.volume_from_message(message, job)
    with pytest.raises(protocol.UnreadableMessage, match="does not lie in the job's folder"):
        protocol.volume_from_message({**message, "array": str(job / ".." / "elsewhere.npy")}, job)


def test_a_pickled_image_is_refused(tmp_path):
    np.save(tmp_path / "array.npy", np.array([{"code": "evil"}], dtype=object), allow_pickle=True)
    message = {"array": str(tmp_path / "array.npy"), "affine": OBLIQUE.tolist(), "name": "x"}
    with pytest.raises(protocol.UnreadableMessage, match="cannot be read"):
        protocol.volume_from_message(message, tmp_path)


def test_a_truncated_image_is_refused(tmp_path):
    message = protocol.volume_to_message(a_volume(), tmp_path, "array")
    whole = (tmp_path / "array.npy").read_bytes()
    for length in (0, 40, len(whole) // 2):
        (tmp_path / "array.npy").write_bytes(whole[:length])
        with pytest.raises(protocol.UnreadableMessage, match="cannot be read"):
            protocol.volume_from_message(message, tmp_path)


def test_an_incomplete_request_or_result_is_refused(tmp_path):
    request = protocol.translate_request("7", tmp_path, a_volume(), model="t1_to_t2")
    for key in ("folder", "input", "mask", "model", "device"):
        with pytest.raises(protocol.UnreadableMessage, match="incomplete"):
            protocol.translate_arguments({name: value for name, value in request.items() if name != key})
    with pytest.raises(protocol.UnreadableMessage, match="incomplete"):
        protocol.read_done({"event": "done", "id": "7"}, tmp_path)


def test_an_unsuitable_image_in_a_request_keeps_its_own_error(tmp_path):
    message = protocol.volume_to_message(a_volume(), tmp_path, "array")
    with pytest.raises(UnsuitableVolume):
        protocol.volume_from_message({**message, "affine": np.zeros((4, 4)).tolist()}, tmp_path)


def test_a_folder_that_cannot_be_written_says_so(tmp_path):
    with pytest.raises(UnsuitableOutput, match="cannot be written"):
        protocol.volume_to_message(a_volume(), tmp_path / "gone", "array")
