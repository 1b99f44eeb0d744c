"""Renderings of shapes, for image teachers."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from mmkd3d.datasets.readers import existing
from mmkd3d.registry import TRANSFORMS

from .rand_augment import rand_augment

ADVICE = (
    'Render the missing images, remove the shapes from the list, or let the model '
    'draw views (KeepViewPoints and ViewRenderer).'
)


@TRANSFORMS.register_module()
@dataclass
class LoadRendering:
    """Read the rendering of a shape, ``ROOT/STEM.png``, as ``image``.

    STEM is the stem of the shape's file, else the last part of its
    ``sample_id``; for ShapeNet it is SYNSET-MODEL. Transparent pixels become
    white. The image is a PIL image, or with ``views`` a list of them, until
    :class:`AugmentRendering`.

    Args:
        root: Folder of the images.
        suffix: End of their names.
        views: Suffixes of STEM for several images of a shape:
            ``('_001', '_002')``. Empty: there is one image.
        keep_alpha: Keep the alpha channel, the mask of the shape, as a fourth
            one. Without alpha the shape covers the whole image.
        channel_order: 'rgb', or 'bgr' to swap red and blue, as all published
            code does (it reads with OpenCV and treats the result as RGB;
            ReCon, section 4).

    Raises:
        FileNotFoundError: The folder or an image is missing.
        ValueError: An image that can't be decoded, or an unknown order.
    """

    root: str | Path
    suffix: str = '.png'
    views: Sequence[str] = ()
    keep_alpha: bool = False
    channel_order: str = 'rgb'

    def __post_init__(self):
        if self.channel_order not in ('rgb', 'bgr'):
            raise ValueError(
                f"LoadRendering: channel_order is 'rgb' or 'bgr', got {self.channel_order!r}."
            )

    def check_items(self, items: Sequence[dict]) -> None:
        """Fail early if shapes have no image."""
        root = existing(self.root, 'LoadRendering reads images there', 'Set root to their folder.')
        present = set(os.listdir(root))
        lacking = [
            [path.name for path in self._paths(item) if path.name not in present] for item in items
        ]
        missing = [names[0] for names in lacking if names]
        if missing:
            raise FileNotFoundError(
                f'{root}: no image for {len(missing)} of {len(items)} '
                f'shapes; the first: {", ".join(missing[:3])}. {ADVICE}'
            )

    def __call__(self, results: dict) -> dict:
        images = [self._read(path, results) for path in self._paths(results)]
        results['image'] = images if self.views else images[0]
        return results

    def _read(self, path: Path, results: dict) -> Image.Image:
        try:
            with Image.open(path) as stored:
                image = _on_white(stored, self.keep_alpha)
        except FileNotFoundError:
            raise FileNotFoundError(
                f'{path} is missing: LoadRendering needs an image of '
                f'{results.get("sample_id", "the shape")}. {ADVICE}'
            ) from None
        # decoders raise many kinds, down to SyntaxError
        except Exception as error:
            raise ValueError(
                f'{path}: cannot be decoded as an image ({error}). Get or render it again.'
            ) from error
        if self.channel_order == 'bgr':
            red, green, blue, *alpha = image.split()
            image = Image.merge(image.mode, (blue, green, red, *alpha))
        return image

    def _paths(self, results: dict) -> list[Path]:
        stem = (
            Path(results['path']).stem if 'path' in results else results['sample_id'].split('/')[-1]
        )
        return [Path(self.root) / f'{stem}{view}{self.suffix}' for view in self.views or ('',)]


def _on_white(image: Image.Image, keep_alpha: bool) -> Image.Image:
    """RGB of 8 bits, over white where the image is transparent.

    With ``keep_alpha`` RGBA, whose alpha is that of the image.
    """
    if 'A' not in image.getbands() and 'transparency' not in image.info:
        return image.convert('RGBA' if keep_alpha else 'RGB')
    image = image.convert('RGBA')
    alpha = image.getchannel('A')
    white = Image.new('RGBA', image.size, 'white')
    image = Image.alpha_composite(white, image).convert('RGB')
    if keep_alpha:
        image.putalpha(alpha)
    return image


@TRANSFORMS.register_module()
@dataclass(kw_only=True)
class AugmentRendering:
    """Turn a PIL image into a float32 (3, size, size) tensor in [0, 1].

    A list of V images becomes (V, 3, size, size); those with alpha have four
    channels.

    As published (spec: ReCon, section 4): resize to ``resize`` squared, flip
    with p 0.5, crop a part and resize it to ``size``, all bicubic, then
    RandAugment as in FixMatch. Mean and standard deviation are the teacher's
    business. Random choices use the global generators of numpy and torch,
    which are seeded in every worker.

    Args:
        size: H = W of the result.
        resize: Side before the crop.
        scale: Range of the share of the area that is cropped.
        ratio: Range of its aspect ratio.
        num_ops: Operations of RandAugment.
        cutout: Side of the grey square, in pixels.
        train: False only resizes to ``size``, for evaluation and for images
            whose features are cached.

    Raises:
        ValueError: No image, or one with alpha to be augmented: the colours
            would move away from it.
    """

    size: int = 224
    resize: int = 256
    scale: Sequence[float] = (0.64, 1.0)
    ratio: Sequence[float] = (3 / 4, 4 / 3)
    num_ops: int = 2
    cutout: int = 16
    train: bool = True

    def __post_init__(self):
        bicubic = InterpolationMode.BICUBIC
        first = self.resize if self.train else self.size
        steps = [transforms.Resize((first, first), interpolation=bicubic)]
        if self.train:
            steps += [
                transforms.RandomHorizontalFlip(0.5),
                transforms.RandomResizedCrop(
                    self.size, scale=self.scale, ratio=self.ratio, interpolation=bicubic
                ),
            ]
        self.frame = transforms.Compose(steps)

    def __call__(self, results: dict) -> dict:
        if 'image' not in results:
            raise ValueError(
                f"AugmentRendering needs 'image', got {sorted(results)}. Put "
                "dict(type='LoadRendering', root=...) before it."
            )
        image = results['image']
        if isinstance(image, list):
            results['image'] = torch.stack([self._one(i) for i in image])
        else:
            results['image'] = self._one(image)
        return results

    def _one(self, image: Image.Image) -> torch.Tensor:
        if image.mode == 'RGBA':
            if self.train:
                raise ValueError(
                    'AugmentRendering augments images without alpha: set '
                    'train=False here, or keep_alpha=False in LoadRendering.'
                )
            # PIL resizes both at once with colours weighted by alpha
            layers = image.convert('RGB'), image.getchannel('A')
            return torch.cat(
                [transforms.functional.to_tensor(self.frame(layer)) for layer in layers]
            )
        image = self.frame(image)
        if self.train:
            image = rand_augment(image, self.num_ops, self.cutout)
        return transforms.functional.to_tensor(image)
