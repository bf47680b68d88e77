"""Colours: their source, the contrast of text, and what colour-blind people see."""

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab
from tiny import LABELS

from fer_edge.draw import colour_of, contrast, text_colour_on
from fer_edge.draw.style import COLOURS, DIM, GREY, WHITE

# "Color Universal Design", RGB: orange, sky blue, bluish green, yellow, blue, vermilion, reddish purple.
OKABE_ITO = {(230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0)}
OKABE_ITO |= {(204, 121, 167)}
# Machado, Oliveira and Fernandes, "A physiologically-based model for simulation of color vision deficiency"
# (2009), severity 1, for linear RGB.
DEFICIENCIES = {
    "none": (1, 0, 0, 0, 1, 0, 0, 0, 1),
    "protanopia": (
        0.152286,
        1.052583,
        -0.204868,
        0.114503,
        0.786281,
        0.099216,
        -0.003882,
        -0.048116,
        1.051998,
    ),
    "deuteranopia": (
        0.367322,
        0.860646,
        -0.227968,
        0.280085,
        0.672501,
        0.047413,
        -0.01182,
        0.04294,
        0.968881,
    ),
    "tritanopia": (1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.3039),
}


def test_the_colours_are_those_of_okabe_and_ito_and_white() -> None:
    assert {colour[::-1] for colour in COLOURS.values()} == OKABE_ITO | {WHITE}
    assert tuple(COLOURS) == LABELS


def test_contrast_is_that_of_wcag() -> None:
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast((255, 255, 255), (0, 0, 0)) == pytest.approx(21)
    # Known borderline greys: #767676 passes 4.5 on white, #777777 does not.
    assert contrast((0x76,) * 3, WHITE) == pytest.approx(4.54, abs=0.005)
    assert contrast((0x77,) * 3, WHITE) == pytest.approx(4.48, abs=0.005)
    # Pure red and blue on white; the arguments are BGR.
    assert contrast((0, 0, 255), WHITE) == pytest.approx(4.0, abs=0.005)
    assert contrast((255, 0, 0), WHITE) == pytest.approx(8.59, abs=0.005)


@pytest.mark.parametrize("colour", [*COLOURS.values(), GREY])
def test_text_and_bars_are_readable(colour: tuple[int, int, int]) -> None:
    assert contrast(text_colour_on(colour), colour) >= 4.5
    # The ground of a chart is a picture at an eighth of its brightness.
    assert contrast(colour, (255 >> 3,) * 3) >= 3
    assert contrast(DIM, (255 >> 3,) * 3) >= 4.5


@pytest.mark.parametrize("matrix", DEFICIENCIES.values(), ids=DEFICIENCIES)
def test_colour_blind_people_tell_the_colours_apart(matrix: tuple[float, ...]) -> None:
    rgb = np.array([colour[::-1] for colour in (*COLOURS.values(), GREY)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(matrix).reshape(3, 3).T, 0, 1)
    lab = rgb2lab(np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055))
    distance = deltaE_ciede2000(lab[:, None], lab[None])[np.triu_indices(len(rgb), 1)]
    # 1 is about the smallest difference that people see side by side.
    assert distance.min() >= 10


def test_labels_of_another_model_have_colours_too() -> None:
    labels = [f"label {number}" for number in range(20)]
    assert [colour_of(label, labels) for label in labels[:8]] == list(COLOURS.values())
    assert colour_of("label 19", labels) == COLOURS["sadness"]
    # The same expression has the same colour, wherever it is in the list.
    assert colour_of("fear", ["fear", "joy"]) == COLOURS["fear"]
