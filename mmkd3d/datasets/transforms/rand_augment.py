"""RandAugment in the variant of FixMatch, on PIL images.

Cubuk et al. 2020; Sohn et al. 2020, appendix D; numbers of ReCon (spec: ReCon,
section 4). Random choices use numpy's global generator.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

LEVELS = 10  # a level is one of 1..9
GRAY = (127, 127, 127)


@dataclass(frozen=True)
class Operation:
    """``apply(image, magnitude)``; magnitude = level * span / 10 + bias.

    If ``signed``, it is negative with a probability of 0.5.
    """

    apply: Callable[[Image.Image, float], Image.Image]
    span: float = 0.0
    bias: float = 0.0
    signed: bool = False

    def __call__(self, image: Image.Image, level: int) -> Image.Image:
        magnitude = level * self.span / LEVELS + self.bias
        if self.signed and np.random.random() < 0.5:
            magnitude = -magnitude
        return self.apply(image, magnitude)


def _enhance(kind: type) -> Operation:
    """Enhance by a factor below 1, which reduces contrast, colour, ..."""
    return Operation(lambda i, m: kind(i).enhance(m), 0.9, 0.05)


def _affine(image: Image.Image, *matrix: float) -> Image.Image:
    """Fill with black, sample the nearest pixels, as published."""
    return image.transform(image.size, Image.Transform.AFFINE, matrix)


OPERATIONS = dict(
    AutoContrast=Operation(lambda i, m: ImageOps.autocontrast(i)),
    Brightness=_enhance(ImageEnhance.Brightness),
    Color=_enhance(ImageEnhance.Color),
    Contrast=_enhance(ImageEnhance.Contrast),
    Equalize=Operation(lambda i, m: ImageOps.equalize(i)),
    Identity=Operation(lambda i, m: i),
    Posterize=Operation(lambda i, m: ImageOps.posterize(i, int(m)), 4, 4),
    Rotate=Operation(lambda i, m: i.rotate(m), 30, signed=True),
    Sharpness=_enhance(ImageEnhance.Sharpness),
    ShearX=Operation(lambda i, m: _affine(i, 1, m, 0, 0, 1, 0), 0.3, signed=True),
    ShearY=Operation(lambda i, m: _affine(i, 1, 0, 0, m, 1, 0), 0.3, signed=True),
    Solarize=Operation(lambda i, m: ImageOps.solarize(i, 256 - m), 256),
    TranslateX=Operation(lambda i, m: _affine(i, 1, 0, m * i.width, 0, 1, 0), 0.3, signed=True),
    TranslateY=Operation(lambda i, m: _affine(i, 1, 0, 0, 0, 1, m * i.height), 0.3, signed=True),
)


def rand_augment(image: Image.Image, num_ops: int = 2, cutout: int = 16) -> Image.Image:
    """Draw operations with replacement, run each with p 0.5, and cut out.

    Args:
        image: RGB.
        num_ops: Operations to draw.
        cutout: Side of the grey square; its centre is anywhere in the image,
            and a square beyond the left or top border is moved inside.

    Returns:
        A new image of the same size.
    """
    names = tuple(OPERATIONS)
    for which in np.random.randint(len(names), size=num_ops):
        level = np.random.randint(1, LEVELS)
        if np.random.random() < 0.5:
            image = OPERATIONS[names[which]](image, level)
    left, top = (int(max(0, np.random.uniform(0, length) - cutout / 2)) for length in image.size)
    image = image.copy()
    # the last row and column belong to the rectangle
    ImageDraw.Draw(image).rectangle((left, top, left + cutout - 1, top + cutout - 1), fill=GRAY)
    return image
