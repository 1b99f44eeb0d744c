"""Fit clouds to the input spec of a student."""

import warnings
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from torch import Tensor

from mmkd3d.checkpoints import InputSpec
from mmkd3d.checkpoints.input_spec import NORMALIZE
from mmkd3d.datasets.transforms.geometry import center_and_scale
from mmkd3d.ops import farthest_point_sample, gather

from .units import likely_unit, too_high

# Sampling moves the centre and the radius of a cloud by some hundredths.
TOLERANCE = 0.1
METRES = (0.1, 200.0)  # plausible extents of a scan in metres


class InputFit:
    """Sample and normalise clouds as in training; warn once about each difference.

    Args:
        spec: Input spec of the student.
        channels: Columns of a point that the student reads.
        num_points, normalize: See :class:`FeatureExtractor`.

    Raises:
        ValueError: Invalid ``num_points`` or ``normalize``.
    """

    def __init__(
        self, spec: InputSpec, channels: int, num_points: int | str | None, normalize: str
    ):
        if normalize == 'spec' and spec.normalize is None:
            warnings.warn(
                'The checkpoint does not record whether the student was trained '
                'on normalised clouds, so clouds are not normalised. Set '
                f'normalize={", ".join(map(repr, NORMALIZE))}.',
                stacklevel=2,
            )
        if num_points == 'spec':
            num_points = spec.points
        if normalize == 'spec':
            normalize = spec.normalize or 'none'
        if num_points is not None and (not isinstance(num_points, int) or num_points < 1):
            raise ValueError(
                f"num_points is 'spec', a number from 1 on or None, got {num_points!r}."
            )
        if normalize not in NORMALIZE:
            raise ValueError(
                f"normalize is 'spec' or one of {', '.join(NORMALIZE)}, got {normalize!r}."
            )
        self.spec = spec._replace(channels=channels)
        self.channels = channels
        self.num_points, self.normalize = num_points, normalize
        self.warned: set[str] = set()

    def __call__(
        self, points: Tensor, names: Sequence[str], *, prepared: bool = False, up: str | None = None
    ) -> tuple[Tensor, Tensor]:
        """Fit clouds of one size.

        Args:
            points: (B, N, C).
            names: Of the clouds, for errors.
            prepared: Only choose the channels.
            up: Axis that points up, if known.

        Returns:
            (B, M, channels), the input of the student, and (B, N, 3), all
            points in the same coordinates.
        """
        N = points.shape[1]
        number = N if prepared else self.num_points or N
        mode = 'none' if prepared else self.normalize
        self.compare(points, number, mode, up)
        points = self.choose_channels(points)
        inputs = sample(points, number)
        if mode == 'none':
            return inputs, points[..., :3]
        columns = inputs[..., :3].mT.double().cpu().contiguous().numpy()
        found = center_and_scale(columns, mode)
        center, scale = (torch.from_numpy(x).mT.to(points.device) for x in found)
        if not (scale > 0).all():
            first = int((scale <= 0).flatten().nonzero()[0])
            raise ValueError(
                f'{names[first]}: all points coincide, there is no scale to '
                "normalise. Leave it out, or use normalize='none'."
            )
        queries, xyz = (((x[..., :3].double() - center) / scale).float() for x in (points, inputs))
        return torch.cat([xyz, inputs[..., 3:]], dim=-1), queries

    def compare(self, points: Tensor, number: int, mode: str, up: str | None) -> None:
        """Warn about differences from the training data and how they are handled."""
        N = points.shape[1]
        action = dict(
            points='they are used as they are'
            if number == N
            else f'{number} of them are sampled'
            if number < N
            else f'they are repeated up to {number}',
            channels='missing ones are filled with zeros',
            normalize='it is used as it is'
            if mode == 'none'
            else f'it is normalised here ({mode})',
            unit='it is used as it is',
            up='they are not rotated',
        )
        for field, text in differences(points, self.spec, up).items():
            if field not in self.warned:
                self.warned.add(field)
                warnings.warn(f'{text}: {action[field]}.', stacklevel=2)

    def choose_channels(self, points: Tensor) -> Tensor:
        """Select the columns that the student reads, (B, N, channels)."""
        wanted, found = self.channels, points.shape[2]
        if found > wanted and 'extra channels' not in self.warned:
            self.warned.add('extra channels')
            print_log(
                f'The student reads {wanted} of {found} channels; the others are dropped.',
                'current',
            )
        return F.pad(points, (0, max(wanted - found, 0)))[..., :wanted]


def sample(points: Tensor, number: int) -> Tensor:
    """Sample the farthest points of clouds (B, N, C); repeat too few.

    The same as :class:`~mmkd3d.datasets.transforms.geometry.SamplePoints`
    with ``method='fps'``.
    """
    N = points.shape[1]
    if number < N:
        return gather(points, farthest_point_sample(points[..., :3].contiguous(), number))
    if number > N:
        return points[:, torch.arange(number, device=points.device) % N]
    return points


def differences(points: Tensor, spec: InputSpec, up: str | None = None) -> dict[str, str]:
    """Compare clouds with the input spec of a student.

    Compares centre, radius and extent of the coordinates; the unit is only
    checked by whether the extent, and the height if it is known, are plausible
    for a room in metres.

    Args:
        points: (B, N, C).
        spec: Fields that are None are not compared.
        up: Axis of the clouds that points up, if known.

    Returns:
        For each field that differs, a sentence with both values.
    """
    found = {}
    N, C = points.shape[1:]
    if spec.points not in (None, N):
        found['points'] = f'The clouds have {N} points, the student was trained on {spec.points}'
    if spec.channels is not None and C < spec.channels:
        found['channels'] = (
            f'The points have {C} channels, the student was trained on {spec.channels}'
        )
    if spec.normalize not in (None, 'none'):
        other = scale_difference(points[..., :3], spec.normalize)
        if other:
            found['normalize'] = other
    if spec.unit == 'm':
        other = unit_difference(points, up or spec.up)
        if other:
            found['unit'] = other
    if up is not None and spec.up not in (None, up):
        found['up'] = f'The clouds have +{up} up, the student was trained with +{spec.up} up'
    return found


def extent_of(points: Tensor) -> Tensor:
    """Longest side of the bounding box, (B,)."""
    xyz = points[..., :3]
    return (xyz.amax(dim=1) - xyz.amin(dim=1)).amax(dim=1)


def unit_difference(points: Tensor, up: str | None) -> str | None:
    """A sentence about the largest of clouds (B, N, C) that seems not to be in metres."""
    sides = points[..., :3].amax(dim=1) - points[..., :3].amin(dim=1)
    for side in sorted(sides.tolist(), key=max, reverse=True):
        height = side.pop('xyz'.index(up)) if up else None
        longest = max(side) if height is None else max(*side, height)
        odd = longest > 0 and not METRES[0] <= longest <= METRES[1]
        if odd or (height is not None and too_high(height, min(side))):
            name, metres = likely_unit(longest, height)
            size = f'an extent of {longest:.4g}' if odd else f'a height of {height:.4g}'
            return (
                f'A cloud has {size}, the student was trained on metres (if these are {name}, '
                f'multiply the coordinates by {metres:g})'
            )
    return None


def scale_difference(xyz: Tensor, mode: str) -> str | None:
    """A sentence about the worst of clouds (B, N, 3) if one is not normalised."""
    if mode == 'unit_cube':
        center = (xyz.amin(dim=1) + xyz.amax(dim=1)) / 2
        size, what = extent_of(xyz) / 2, 'half side'
    else:
        center = xyz.mean(dim=1)
        size, what = xyz.norm(dim=2).amax(dim=1), 'radius'
    offset = center.norm(dim=1)  # (B,)
    if mode == 'center':
        wrong = offset / size.clamp(min=1e-12)
    else:
        wrong = offset.maximum((size - 1).abs())
    worst = wrong.argmax()
    if wrong[worst] <= TOLERANCE:
        return None
    given = f'A cloud has its centre {offset[worst]:.3g} from the origin'
    if mode == 'center':
        return f'{given}, the student was trained on 0 (center)'
    return f'{given} and a {what} of {size[worst]:.3g}, the student was trained on 0 and 1 ({mode})'
