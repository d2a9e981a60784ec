"""The colours of images and error maps: tables that the panel and the page share, clear where there is nothing to see."""

from __future__ import annotations

from functools import cache

import numpy as np

SIZE = 256
_LEAST = 2.0  # in the unit of the errors: a step on either side of 0 in a signed table
# Colour maps as polynomials of the share of the scale, a row a power, columns R, G, B (fits by Matt Zucker): 3D Slicer
# brings no matplotlib, which has them as tables.
_POLYNOMIALS = {
    "Inferno": (
        (0.0002189403691192265, 0.001651004631001012, -0.01948089843709184),
        (0.1065134194856116, 0.5639564367884091, 3.932712388889277),
        (11.60249308247187, -3.972853965665698, -15.9423941062914),
        (-41.70399613139459, 17.43639888205313, 44.35414519872813),
        (77.162935699427, -33.40235894210092, -81.80730925738993),
        (-71.31942824499214, 32.62606426397723, 73.20951985803202),
        (25.13112622477341, -12.24266895238567, -23.07032500287172),
    ),
    "Viridis": (
        (0.2777273272234177, 0.005407344544966578, 0.3340998053353061),
        (0.1050930431085774, 1.404613529898575, 1.384590162594685),
        (-0.3308618287255563, 0.214847559468213, 0.09509516302823659),
        (-4.634230498983486, -5.799100973351585, -19.33244095627987),
        (6.228269936347081, 14.17993336680509, 56.69055260068105),
        (4.776384997670288, -13.74514537774601, -65.35303263337234),
        (-5.435455855934631, 4.645852612178535, 26.3124352495832),
    ),
}
# Crameri's "berlin" (2018) at even steps, lines between: blue, black in the middle, red.
_BERLIN = (
    (0.62108, 0.69018, 0.99951),
    (0.47324, 0.67153, 0.92975),
    (0.31849, 0.62455, 0.82794),
    (0.21017, 0.52319, 0.67838),
    (0.15674, 0.40615, 0.52486),
    (0.11373, 0.29378, 0.37955),
    (0.07729, 0.18914, 0.24359),
    (0.06510, 0.10085, 0.12357),
    (0.09832, 0.04704, 0.03468),
    (0.16781, 0.05424, 0.00196),
    (0.25339, 0.07199, 0.00300),
    (0.35795, 0.11256, 0.03046),
    (0.49191, 0.20352, 0.11819),
    (0.61998, 0.31787, 0.24762),
    (0.74490, 0.43635, 0.38864),
    (0.87457, 0.55988, 0.53622),
    (0.99987, 0.68007, 0.67995),
)


@cache
def color_table(name: str) -> np.ndarray:
    """(256, 3) uint8 from low to high: "Grey", "Inferno", "Viridis" or "Berlin"; not to be written to."""
    share = np.linspace(0, 1, SIZE)[:, None]
    if name == "Grey":
        levels = share.repeat(3, axis=1)
    elif name == "Berlin":
        steps = np.linspace(0, 1, len(_BERLIN))
        levels = np.stack([np.interp(share[:, 0], steps, channel) for channel in np.transpose(_BERLIN)], axis=1)
    else:
        levels = np.power(share, np.arange(len(_POLYNOMIALS[name]))) @ np.array(_POLYNOMIALS[name])
    return np.rint(255 * np.clip(levels, 0, 1)).astype(np.uint8)


def overlay_table(name: str, window: tuple[float, float], threshold: float) -> np.ndarray:
    """(256, 4) uint8, RGBA from low to high, of an error map: clear, and black in a legend, nearer to 0 than `threshold`.

    window: the errors at the table's two ends. A slice view knows no half clear colours: whatever is not clear is opaque.
    """
    is_shown = np.abs(np.linspace(*window, SIZE)) >= max(threshold, _LEAST)
    return np.column_stack([color_table(name), np.full(SIZE, 255, np.uint8)]) * is_shown[:, None]
