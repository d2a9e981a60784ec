"""The page shows the patient's left and right where a radiologist expects them, needs no network, and trusts no text."""

from __future__ import annotations

import base64
import dataclasses
import io
import re
from html.parser import HTMLParser

import matplotlib.image
import numpy as np
import pytest
from givens import OBLIQUE
from T1T2TranslationLib.catalog import find_model
from T1T2TranslationLib.colors import color_table
from T1T2TranslationLib.errors import UnsuitableOutput
from T1T2TranslationLib.measures import MEASURES
from T1T2TranslationLib.pictures import AXIAL, CORONAL, SAGITTAL, png_of, view_of_head, worst_axial
from T1T2TranslationLib.report import render_report, write_report
from T1T2TranslationLib.translation import DISCLAIMER, Check, Comparison, Translation
from T1T2TranslationLib.volume import Volume

EVIL = '<script>alert("x")</script>&"\''
# RAS axes in every order a scanner may write them in: column c of the affine points along (axis, sign).
ORIENTATIONS = [
    ((0, 1), (1, 1), (2, 1)),
    ((0, -1), (1, -1), (2, 1)),
    ((1, -1), (2, 1), (0, 1)),
    ((2, -1), (0, -1), (1, 1)),
]


def a_head_with_a_mark(orientation, spacing_mm=(1.0, 2.0, 3.0)) -> Volume:
    """A block head with its patient's right, anterior, superior eighth bright, on a slightly tilted grid."""
    ras = np.zeros((40, 36, 32))
    ras[4:36, 4:32, 4:28] = 300
    ras[20:36, 18:32, 16:28] = 1000
    tilt = np.array([[np.cos(0.2), -np.sin(0.2), 0], [np.sin(0.2), np.cos(0.2), 0], [0, 0, 1]])
    affine = np.eye(4)
    for column, (axis, sign) in enumerate(orientation):
        affine[:3, column] = tilt[:, axis] * sign * spacing_mm[axis]
    flips = dict(orientation)
    for axis in range(3):
        ras = ras if flips[axis] == 1 else np.flip(ras, axis)
    return Volume(ras.transpose([axis for axis, _ in orientation]).astype(np.int16), affine, EVIL)


def a_translation(volume: Volume, *, compared: bool = False) -> Translation:
    metrics = {"brain": {"MAE": 0.041, "PSNR": float("inf")}, EVIL: {"MAE": float("nan"), "SSIM": 0.5}}
    comparison = Comparison(volume, volume, volume, metrics, registered=True) if compared else None
    return Translation(
        synthetic=volume,
        predicted_error=volume,
        checks=(Check("slices", "green", "Enough."), Check("contrast", "amber", EVIL), Check("kind", "red", "No.")),
        warnings=(EVIL,),
        provenance={"model": EVIL, "model_version": "1.0", "source_sequence": "T1", "target_sequence": "T2", "x": {"y": EVIL}},
        comparison=comparison,
    )


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize(
    ("plane", "shape", "bright_half"),
    [
        (AXIAL, (28, 32), (slice(0, 14), slice(0, 16))),  # anterior above, the patient's right on the left
        (CORONAL, (24, 32), (slice(0, 12), slice(0, 16))),  # superior above, the patient's right on the left
        (SAGITTAL, (24, 28), (slice(0, 12), slice(0, 14))),  # superior above, anterior on the left
    ],
)
def test_right_left_and_up_are_where_a_radiologist_expects_them(orientation, plane, shape, bright_half):
    volume = a_head_with_a_mark(orientation)
    view = view_of_head(volume)
    index = (24, 22, 20)[plane.normal]
    picture = view.cut(volume.array, plane, index)
    head = picture[np.ix_(picture.any(axis=1), picture.any(axis=0))]
    assert head.shape == shape
    expected = np.full(shape, 300)
    expected[bright_half] = 1000
    np.testing.assert_array_equal(head, expected)


def test_pictures_have_the_heads_proportions_in_millimetres():
    view = view_of_head(a_head_with_a_mark(ORIENTATIONS[2]))
    rows, columns = view.cut(a_head_with_a_mark(ORIENTATIONS[2]).array, CORONAL, 5).shape
    assert view.size_mm(CORONAL) == pytest.approx((columns * 1.0, rows * 3.0))


def test_the_worst_slice_is_found_inside_the_head():
    volume = a_head_with_a_mark(ORIENTATIONS[0])
    error = np.zeros(volume.shape, np.int16)
    error[10, 10, 21], error[0, 0, 5] = 50, 900
    assert worst_axial(view_of_head(volume), error) == 21


def test_an_image_without_contrast_is_shown_whole():
    volume = Volume(np.full((9, 8, 7), 5, np.int16), OBLIQUE)
    assert view_of_head(volume).cut(volume.array, AXIAL, 3).shape == (8, 9)


def test_a_picture_holds_one_pixel_per_voxel_between_black_and_white():
    uri = png_of(np.array([[0, 50, 100], [-9, 100, 900]]), (0, 100), color_table("Grey"))
    pixels = matplotlib.image.imread(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    np.testing.assert_allclose(pixels[..., 0], [[0, 0.5, 1], [0, 1, 1]], atol=0.01)


class _Page(HTMLParser):
    """Every tag and attribute of a page, and its text."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "action", "data", "poster")]

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize(("compared", "columns"), [(False, 3), (True, 6)])
def test_the_page_is_self_contained(compared, columns):
    volume = a_head_with_a_mark(ORIENTATIONS[1])
    page = _Page(render_report(volume, a_translation(volume, compared=compared)))
    assert page.tags.count("figure") == 4 * columns
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert not re.search(r"url\(|@import|http", page.text)


def test_the_page_says_what_must_be_known():
    volume = a_head_with_a_mark(ORIENTATIONS[1])
    text = _Page(render_report(volume, a_translation(volume, compared=True))).text
    for words in ("SYNTHETIC", DISCLAIMER, "Enough.", "translated in spite of it", "0.041", "inf", "registered", "Radiological"):
        assert words in text
    assert not re.search(r"\bnan\b", text)


def test_errors_predicted_and_measured_are_means_over_the_same_voxels():
    head = a_head_with_a_mark(ORIENTATIONS[0])
    inside = (head.array > 0) & (np.arange(head.shape[0])[:, None, None] >= 20)  # the mask: half of the head
    seen = (head.array > 0) & (np.arange(head.shape[1])[None, :, None] >= 18)  # the reference: another half
    predicted = head.with_array(np.where(inside, np.where(seen, 70, 1000), 0).astype(np.int16))
    measured = head.with_array(np.where(seen, np.where(inside, 90, 1000), 0).astype(np.int16))
    reference = head.with_array(np.where(seen, 500, 0).astype(np.int16), "T2 TSE")
    compared = Comparison(reference, measured, measured, {"brain": {"MAE": 0.2, "HFEN": 0.5}}, registered=False)
    made = dataclasses.replace(a_translation(head), predicted_error=predicted, comparison=compared)
    text = " ".join(_Page(render_report(head, made)).text.split())
    assert "mean error predicted70of 1000, all that was compared" in text
    assert "mean error measured90of 1000, all that was compared" in text
    assert "T2 TSE, lies on the input's own grid" in text
    assert MEASURES["HFEN"].meaning in text
    alone = dataclasses.replace(made, comparison=None)
    assert "all that is shown" in _Page(render_report(head, alone)).text


def test_the_interval_that_the_model_states_is_told():
    head = a_head_with_a_mark(ORIENTATIONS[0])
    made = a_translation(head)
    assert "voxels are expected within" not in _Page(render_report(head, made)).text
    card = find_model("t1_to_t2")
    made_by = {"weights_sha256": card.sha256, "error_factor": card.error_factor}
    page = _Page(render_report(head, dataclasses.replace(made, provenance={**made.provenance, **made_by})))
    assert "90\N{NO-BREAK SPACE}% of the brain's voxels are expected within" in page.text


def test_no_text_of_a_file_becomes_part_of_the_page():
    volume = a_head_with_a_mark(ORIENTATIONS[0])
    html = render_report(volume, a_translation(volume, compared=True))
    assert "<script" not in html
    assert _Page(html).text.count(EVIL) >= 5  # shown as it is: name, model, warning, check, region


def test_the_page_is_written_whole_or_not_at_all(tmp_path):
    volume = a_head_with_a_mark(ORIENTATIONS[0])
    write_report(volume, a_translation(volume), tmp_path / "pages" / "page.html")
    assert (tmp_path / "pages" / "page.html").read_text("utf-8").endswith("</html>\n")
    with pytest.raises(UnsuitableOutput):
        write_report(volume, a_translation(volume), tmp_path / "pages")
    assert [path.name for path in (tmp_path / "pages").iterdir()] == ["page.html"]
