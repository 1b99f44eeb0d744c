"""RandAugment's operations against manual computations, and their frequencies."""

from collections import Counter
from dataclasses import replace

import numpy as np
from PIL import Image

from mmkd3d.datasets.transforms import rand_augment as module
from mmkd3d.datasets.transforms.rand_augment import OPERATIONS, rand_augment

# Magnitudes at levels 1 and 9, and whether the sign is random. Published
# (max, bias): (.9, .05), (4, 4), 30, .3, 256.
FADE, MOVE = (0.14, 0.86, False), (0.03, 0.27, True)
RANGES = dict(
    AutoContrast=(0, 0, False),
    Brightness=FADE,
    Color=FADE,
    Contrast=FADE,
    Equalize=(0, 0, False),
    Identity=(0, 0, False),
    Posterize=(4.4, 7.6, False),
    Rotate=(3, 27, True),
    Sharpness=FADE,
    ShearX=MOVE,
    ShearY=MOVE,
    Solarize=(25.6, 230.4, False),
    TranslateX=MOVE,
    TranslateY=MOVE,
)


def picture(size=(40, 30)):
    noise = np.random.RandomState(0).randint(0, 256, (*size[::-1], 3))
    return Image.fromarray(noise.astype(np.uint8))


def test_magnitudes_and_signs_of_the_fourteen_operations():
    assert set(OPERATIONS) == set(RANGES) and len(OPERATIONS) == 14
    for name, (low, high, signed) in RANGES.items():
        seen = []
        operation = replace(OPERATIONS[name], apply=lambda i, m: seen.append(m))
        for level in range(1, 10):
            for _ in range(40):
                operation(None, level)
            expected = low + (high - low) * (level - 1) / 8
            np.testing.assert_allclose(np.abs(seen[-40:]), expected, atol=1e-9)
        negative = np.mean(np.array(seen) < 0)
        assert 0.35 < negative < 0.65 if signed else negative == 0


def applied(name, magnitude):
    image = picture()
    out = OPERATIONS[name].apply(image, magnitude)
    return np.asarray(image).astype(int), np.asarray(out).astype(int)


def test_effects_equal_arithmetic():
    image, out = applied('Brightness', 0.5)
    np.testing.assert_allclose(out, image * 0.5, atol=1)
    gray = np.asarray(picture().convert('L')).astype(int)[..., None]
    image, out = applied('Color', 0.3)
    np.testing.assert_allclose(out, gray + (image - gray) * 0.3, atol=1)
    image, out = applied('Contrast', 0.3)
    mean = int(gray.mean() + 0.5)
    np.testing.assert_allclose(out, mean + (image - mean) * 0.3, atol=1)
    image, out = applied('Posterize', 4.8)
    np.testing.assert_array_equal(out, image // 16 * 16)
    image, out = applied('Solarize', 51.2)
    np.testing.assert_array_equal(out, np.where(image < 256 - 51.2, image, 255 - image))
    image, out = applied('Identity', 0)
    np.testing.assert_array_equal(out, image)


def test_what_moves_moves_by_shares_of_the_image():
    image, out = applied('TranslateX', 0.1)
    np.testing.assert_array_equal(out[:, :36], image[:, 4:])
    assert not out[:, 36:].any()
    image, out = applied('TranslateY', -0.1)
    np.testing.assert_array_equal(out[3:], image[:27])
    image, out = applied('ShearX', 0.21)
    for row in range(30):
        shift = int((row + 0.5) * 0.21 + 0.5)
        np.testing.assert_array_equal(out[row, : 40 - shift], image[row, shift:])
    image, out = applied('ShearY', -0.1)
    column = int(39.5 * 0.1 + 0.5)
    np.testing.assert_array_equal(out[column:, 39], image[: 30 - column, 39])
    bar = Image.new('L', (21, 21))
    bar.putpixel((18, 10), 255)
    turned = np.asarray(OPERATIONS['Rotate'].apply(bar, 27))
    rows, columns = turned.nonzero()
    angle = np.degrees(np.arctan2(10 - rows.mean(), columns.mean() - 10))
    assert abs(angle - 27) < 5  # counter-clockwise


def test_two_are_drawn_with_replacement_and_each_runs_in_half_of_the_cases(monkeypatch):
    np.random.seed(1)
    seen = []

    def recorder(name):
        def call(image, level):
            seen[-1].append((name, level))
            return image

        return call

    monkeypatch.setattr(module, 'OPERATIONS', {name: recorder(name) for name in OPERATIONS})
    image, runs = Image.new('RGB', (8, 8)), 6000
    for _ in range(runs):
        seen.append([])
        rand_augment(image)
    number = Counter(map(len, seen))
    for count, share in ((0, 0.25), (1, 0.5), (2, 0.25)):
        assert abs(number[count] / runs - share) < 0.03
    executed = [pair for pairs in seen for pair in pairs]
    for values, kinds in (
        ([n for n, _ in executed], list(OPERATIONS)),
        ([v for _, v in executed], range(1, 10)),
    ):
        counts = Counter(values)
        assert set(counts) == set(kinds)
        expected = runs / len(kinds)  # two draws with p = 0.5 each
        spread = 4.5 * np.sqrt(expected)
        assert all(abs(c - expected) < spread for c in counts.values())
    assert any(len(p) == 2 and p[0][0] == p[1][0] for p in seen)


def test_the_cutout_is_always_there():
    np.random.seed(2)
    image, seen = Image.new('RGB', (64, 48)), np.zeros((48, 64))
    whole = 0
    for _ in range(400):
        gray = np.asarray(rand_augment(image, num_ops=0))
        rows, columns = (gray == 127).all(-1).nonzero()
        assert np.isin(gray, (0, 127)).all() and len(rows)
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert len(rows) == height * width  # one full rectangle
        assert height == min(16, 48 - rows.min())
        assert width == min(16, 64 - columns.min())
        whole += len(rows) == 256
        seen[rows, columns] += 1
    assert 200 < whole < 400 and (seen > 0).all()
    assert not np.asarray(image).any()  # the input is unchanged


def test_one_seed_gives_one_picture():
    out = []
    for seed in (0, 0, 1):
        np.random.seed(seed)
        out.append(np.stack([rand_augment(picture()) for _ in range(5)]))
    np.testing.assert_array_equal(out[0], out[1])
    assert (out[0] != out[2]).any()
