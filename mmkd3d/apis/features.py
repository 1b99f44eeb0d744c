"""Features of point clouds by a frozen student."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.device import get_device
from mmengine.logging import print_log
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mmkd3d.checkpoints import InputSpec, read_checkpoint, spec_of_config, stored_spec
from mmkd3d.checkpoints.input_spec import NORMALIZE
from mmkd3d.datasets.readers import CloudInputs, is_dataset, read_clouds
from mmkd3d.datasets.transforms.geometry import center_and_scale
from mmkd3d.models.backbones.base import LEVELS
from mmkd3d.models.layers.patches import PatchGroup
from mmkd3d.ops import farthest_point_sample, gather

from .load import ConfigLike, find_config, load_student

# Sampling moves the centre and the radius of a cloud by some hundredths.
TOLERANCE = 0.1
METRES = (0.1, 200.0)  # plausible extents of a scan in metres


class FeatureExtractor:
    """Extract features of clouds with the student of a checkpoint.

    By default clouds get the number of points and the scale used in training
    (the checkpoint's input spec): they are sampled (farthest points, or
    repeated if there are too few), then normalised. If a cloud differs from
    the training data, a warning with both values is given once. Samples of a
    data set are used unchanged. Extra columns are dropped, missing ones are
    filled with zeros.

    Args:
        checkpoint: One of ours, whole or exported, or a published one; None:
            random weights.
        config: See :func:`load_student`; None: the one in the checkpoint.
        level: ``'global'``, ``'token'`` or ``'point'``, see
            :class:`BasePointBackbone`. ``'point'`` interpolates to all given
            points, also those that were not sampled.
        layer: Last block to run (of a :class:`PointM2AE`: last level), from
            0, or from the end if negative; None: all.
        num_points: Points that the student gets: ``'spec'`` as in training,
            if the checkpoint has a spec; a number; or None for all.
        normalize: ``'spec'``, a mode of :class:`NormalizePoints`, or
            ``'none'``.
        up: Axis of the clouds that points up; a warning is given if it
            differs from training. Data sets may have it in
            ``metainfo['up_axis']``.
        batch_size: Clouds per forward pass.
        device: None: a GPU if there is one.
        trust: See :func:`~mmkd3d.checkpoints.read_checkpoint`.

    Attributes:
        model: See :func:`load_student`, truncated after ``layer``.
        spec: Input spec of the student.

    Raises:
        FileNotFoundError, ValueError: See :func:`load_student`; an unknown
            level, layer or option.
    """

    def __init__(
        self,
        checkpoint: str | Path | None,
        config: ConfigLike = None,
        *,
        level: str = 'global',
        layer: int | None = None,
        num_points: int | str | None = 'spec',
        normalize: str = 'spec',
        up: str | None = None,
        batch_size: int = 32,
        device: str | torch.device | None = None,
        trust: bool = False,
    ):
        if level not in LEVELS:
            raise ValueError(f'level is one of {LEVELS}, got {level!r}.')
        if up not in (None, 'x', 'y', 'z'):
            raise ValueError(f"up is 'x', 'y', 'z' or None, got {up!r}.")
        if batch_size < 1:
            raise ValueError(f'batch_size is 1 or more, got {batch_size}.')
        content = read_checkpoint(checkpoint, trust=trust) if checkpoint else None
        cfg = find_config(config, content, checkpoint)
        self.spec = stored_spec(content, cfg) if content else spec_of_config(cfg)
        self.device = torch.device(device or get_device())
        self.model: Any = load_student(cfg, content, device=self.device)
        self.level, self.up, self.batch_size = level, up, batch_size
        self.student = self._cut_student(layer)
        channels = getattr(self.student, 'in_channels', 3)
        self.fit = InputFit(self.spec, channels, num_points, normalize)

    def __call__(
        self, inputs: CloudInputs, *, key: str | None = None, load_dim: int | None = None
    ) -> Tensor | list[Tensor]:
        """Extract features.

        Args:
            inputs: See :func:`~mmkd3d.datasets.readers.read_clouds`.
            key, load_dim: For files, see
                :func:`~mmkd3d.datasets.readers.read_file`.

        Returns:
            On the CPU, float32: ``'global'`` (B, D), ``'token'`` (B, G, D),
            ``'point'`` (B, N, D) for an array of clouds, otherwise a list of
            (N, D). No B for a single cloud (N, C) or a file with one cloud.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: An unusable cloud, or one with fewer points than a
                patch; the message names it. Or there is no cloud at all.
        """
        prepared = is_dataset(inputs)
        up = (getattr(inputs, 'metainfo', None) or {}).get('up_axis') if prepared else None
        clouds = read_clouds(inputs, key=key, load_dim=load_dim)
        feats = [rows for _, rows in self.stream(clouds, prepared=prepared, up=up)]
        if not feats:
            raise ValueError('There is no cloud in the inputs.')
        if isinstance(inputs, (np.ndarray, Tensor)):
            return feats[0] if inputs.ndim == 2 else torch.stack(feats)
        if isinstance(inputs, (str, Path)) and Path(inputs).is_file() and len(feats) == 1:
            return feats[0]
        return feats if self.level == 'point' else torch.stack(feats)

    def stream(
        self,
        clouds: Iterable[tuple[str, np.ndarray]],
        *,
        prepared: bool = False,
        up: str | None = None,
    ) -> Iterator[tuple[str, Tensor]]:
        """Extract features of any number of clouds, ``batch_size`` at a time.

        Args:
            clouds: Names and points (N, C), see
                :func:`~mmkd3d.datasets.readers.read_clouds`.
            prepared: Neither sample nor normalise.
            up: Axis that points up, if known.

        Yields:
            Name and features of each cloud.
        """
        clouds = iter(clouds)
        while batch := list(islice(clouds, self.batch_size)):
            names = [name for name, _ in batch]
            points = [torch.from_numpy(points) for _, points in batch]
            yield from zip(names, self._extract(points, names, prepared, up or self.up))

    @torch.no_grad()
    def _extract(
        self, clouds: list[Tensor], names: list[str], prepared: bool, up: str | None
    ) -> list[Tensor]:
        """Features of clouds (N_i, C) of any sizes."""
        inputs: dict[int, Tensor] = {}
        queries: dict[int, Tensor] = {}
        feats: dict[int, Tensor] = {}
        for index in same_shapes(clouds):
            points = torch.stack([clouds[i] for i in index]).to(self.device)
            self._check_size(points.shape[1], names[index[0]])
            fitted = self.fit(points, [names[i] for i in index], prepared=prepared, up=up)
            for i, seen, given in zip(index, *fitted):
                inputs[i], queries[i] = seen, given
        for index in same_shapes([inputs[i] for i in range(len(clouds))]):
            points = torch.stack([inputs[i] for i in index])
            feats.update(zip(index, self._forward(points, [queries[i] for i in index])))
        return [feats[i] for i in range(len(clouds))]

    def _forward(self, points: Tensor, queries: list[Tensor]) -> list[Tensor]:
        """Features of a batch (B, N, C), for 'point' at queries (N_i, 3)."""
        if self.level != 'point':
            return list(self.model.extract_feat(points, self.level).cpu())
        padded = pad_sequence(queries, batch_first=True)
        feats = self.model.extract_feat(points, 'point', padded).cpu()
        return [rows[: len(xyz)].clone() for rows, xyz in zip(feats, queries)]

    def _check_size(self, num_points: int, name: str) -> None:
        # of several levels the first one, the finest
        size = next(m.group_size for m in self.student.modules() if isinstance(m, PatchGroup))
        if num_points < size:
            raise ValueError(
                f'{name}: a cloud of {num_points} points is too small, the '
                f'student cuts patches of {size} points.'
            )

    def _cut_student(self, layer: int | None) -> Any:
        student = getattr(self.model, 'backbone', self.model)
        name = type(student).__name__
        if not hasattr(student, 'extract_feat'):
            raise ValueError(
                f'{name} has no extract_feat(points, level): '
                'features are those of students of mmkd3d.'
            )
        if student is self.model and (layer is not None or self.level == 'point'):
            raise ValueError(
                f'{name} has no layers to choose and no features '
                "of points: take level='global' or 'token'."
            )
        if layer is not None:
            student.truncate(layer)
        if getattr(student, 'index_zero_visible', False):
            # features must not depend on the position of a cloud in its batch
            student.index_zero_visible = False
        return student


def same_shapes(clouds: Sequence[Tensor]) -> list[list[int]]:
    """Indices of clouds, grouped by shape."""
    groups: dict = {}
    for i, cloud in enumerate(clouds):
        groups.setdefault(cloud.shape, []).append(i)
    return list(groups.values())


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
        center, scale = center_and_scale(inputs[..., :3].double(), mode)
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
    checked by whether the extent is plausible in metres.

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
        low, high = extent_of(points).aminmax()
        if not (METRES[0] <= low and high <= METRES[1]):
            odd = low if low < METRES[0] else high
            found['unit'] = f'A cloud has an extent of {odd:.4g}, the student was trained on metres'
    if up is not None and spec.up not in (None, up):
        found['up'] = f'The clouds have +{up} up, the student was trained with +{spec.up} up'
    return found


def extent_of(points: Tensor) -> Tensor:
    """Longest side of the bounding box, (B,)."""
    xyz = points[..., :3]
    return (xyz.amax(dim=1) - xyz.amin(dim=1)).amax(dim=1)


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
