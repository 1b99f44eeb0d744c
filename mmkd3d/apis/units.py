"""Tell the unit of a scan of a room by its size."""

import math
from typing import NamedTuple

SMALLEST, LARGEST = 0.3, 100.0  # metres: plausible lengths of a scan indoors
TALLEST = 4.0  # metres: rooms are seldom higher
HALL = 6.5  # metres: two storeys; 8 to 12 high is a room in feet
ROOM = (6.0, 2.6)  # metres: length and height of a common room


class Unit(NamedTuple):
    """Name of a unit and its length in metres."""

    name: str
    metres: float


UNITS = (
    Unit('kilometres', 1000.0),
    Unit('feet', 0.3048),
    Unit('inches', 0.0254),
    Unit('centimetres', 0.01),
    Unit('millimetres', 0.001),
)


def likely_unit(longest: float, height: float | None = None) -> Unit:
    """The unit, other than metres, in which a scan comes closest to a common room.

    Args:
        longest: Longest side of the scan.
        height: Its extent along the axis that is up, if known.
    """
    sides = [(longest, ROOM[0])] + ([(height, ROOM[1])] if height else [])
    return min(
        UNITS, key=lambda u: sum(abs(math.log(x * u.metres / wanted)) for x, wanted in sides)
    )


def too_high(height: float, width: float) -> bool:
    """Whether a scan is too high for a room in metres, though not for its own width.

    Args:
        height: Extent along the axis that is up.
        width: The shorter of the other two.
    """
    return HALL < height <= 1.5 * width
