"""Pictures: PNG files that others decode to the very colours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from grubridge.report.html.palettes import DIFFERENCE, FRACTION, SIGNED, Palette, difference_position
from grubridge.report.html.png import data_uri, indexed_png

LUMA = np.array([0.2126, 0.7152, 0.0722])


def test_tensorflow_decodes_the_same_pixels(tensorflow: Any) -> None:
    pixels = np.random.default_rng(0).integers(0, len(SIGNED.colours), (37, 91)).astype(np.uint8)
    decoded = tensorflow.io.decode_png(indexed_png(pixels, SIGNED.colours), channels=3).numpy()

    np.testing.assert_array_equal(decoded, np.array(SIGNED.colours)[pixels])


def test_a_picture_is_small() -> None:
    assert len(indexed_png(np.zeros((60, 120), np.uint8), FRACTION.colours)) < 400
    assert data_uri(b"\x89PNG").startswith("data:image/png;base64,iVBORw")


def test_what_is_not_finite_has_a_colour_of_its_own() -> None:
    indices = FRACTION.indices(np.array([[np.nan, -1.0, 0.0, 0.5, 1.0, 2.0, np.inf]]))

    assert indices.tolist() == [[0, 1, 1, 32, 63, 63, 0]]
    assert FRACTION.colours[0] not in FRACTION.colours[1:]


@pytest.mark.parametrize("palette", [SIGNED, DIFFERENCE], ids=lambda palette: palette.name)
def test_the_middle_of_a_diverging_palette_is_the_lightest(palette: Palette) -> None:
    light = np.array(palette.colours[1:]) @ LUMA

    assert int(light.argmax()) == 31
    assert (np.diff(light[:32]) > 0).all()
    assert (np.diff(light[31:]) < 0).all()


def test_the_sequential_palette_grows_lighter() -> None:
    assert (np.diff(np.array(FRACTION.colours[1:]) @ LUMA) > 0).all()


def test_differences_stand_on_a_logarithmic_scale_on_both_sides() -> None:
    differences = np.array([0.0, 1e-9, 1e-6, -1e-6, 1e-3, -1e-3, 1.0, np.nan])
    places = difference_position(differences, 1e-6, 1.0)

    np.testing.assert_allclose(places[:-1], [0.5, 0.5, 0.5, 0.5, 0.75, 0.25, 1.0])
    assert np.isnan(places[-1])
