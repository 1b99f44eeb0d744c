"""Features of point clouds by a frozen student."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mmkd3d.checkpoints import read_checkpoint, spec_of_config, stored_spec
from mmkd3d.datasets.readers import CloudInputs, attempt, is_dataset, read_clouds
from mmkd3d.models.backbones import LEVELS
from mmkd3d.models.layers.patches import PatchGroup

from .input_fit import InputFit
from .load import ConfigLike, device_of, find_config, load_student


class FeatureExtractor:
    """Extract features of clouds with the student of a checkpoint.

    By default clouds get the number of points and the scale used in training
    (the checkpoint's input spec): they are sampled (farthest points, or
    repeated if there are too few), then normalised. If a cloud differs from
    the training data, a warning with both values is given once. Samples of a
    data set are used unchanged. Extra columns are dropped, missing ones are
    filled with zeros.

    Clouds far from zero, e.g. in map coordinates, are moved to an origin of
    their own in double precision, see
    :func:`~mmkd3d.datasets.coordinates.origin_of`. For a student of normalised
    clouds this changes nothing but the precision. A student of clouds that are
    not normalised reads positions: it gets them relative to that origin, the
    centre of the cloud in whole units. Subtract an origin of your own first
    (in float64), if another place shall be zero.

    Args:
        checkpoint: One of ours, whole or exported, or a published one; None:
            random weights, with a warning.
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
        trust: See :func:`load_student`.

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
        cfg = find_config(config, content, checkpoint, trust=trust)
        self.spec = stored_spec(content, cfg, str(checkpoint)) if content else spec_of_config(cfg)
        self.device = device_of(device)
        self.model: Any = load_student(
            None if config is None else cfg,
            content,
            device=self.device,
            trust=trust,
            name=checkpoint,
        )
        self.level, self.up, self.batch_size = level, up, batch_size
        self.student = self._cut_student(layer)
        channels = getattr(self.student, 'in_channels', 3)
        self.fit = InputFit(self.spec, channels, num_points, normalize)

    def __call__(
        self,
        inputs: CloudInputs,
        *,
        columns: Sequence[str] | None = None,
        key: str | None = None,
        load_dim: int | None = None,
        drop_nan: bool = False,
    ) -> Tensor | list[Tensor]:
        """Extract features.

        Args:
            inputs: See :func:`~mmkd3d.datasets.readers.read_clouds`.
            columns, key, load_dim: For files, see
                :func:`~mmkd3d.datasets.readers.read_file`.
            drop_nan: Drop points with a NaN or infinite value; ``'point'`` has
                no rows for them.

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
        clouds = read_clouds(inputs, columns=columns, key=key, load_dim=load_dim, drop_nan=drop_nan)
        feats = [rows for _, rows in self.stream(clouds, prepared=prepared, up=up)]
        if not feats:
            raise ValueError('There is no cloud in the inputs.')
        if isinstance(inputs, (np.ndarray, Tensor)):
            alike = len({rows.shape for rows in feats}) == 1  # if no points were dropped
            return feats[0] if inputs.ndim == 2 else torch.stack(feats) if alike else feats
        if isinstance(inputs, (str, Path)) and Path(inputs).is_file() and len(feats) == 1:
            return feats[0]
        return feats if self.level == 'point' else torch.stack(feats)

    def stream(
        self,
        clouds: Iterable[tuple[str, np.ndarray]],
        *,
        prepared: bool = False,
        up: str | None = None,
        bad: list[str] | None = None,
    ) -> Iterator[tuple[str, Tensor]]:
        """Extract features of any number of clouds, ``batch_size`` at a time.

        Args:
            clouds: Names and points (N, C), see
                :func:`~mmkd3d.datasets.readers.read_clouds`.
            prepared: Neither sample nor normalise.
            up: Axis that points up, if known.
            bad: Errors about clouds without features, such as too few points,
                are appended to this list, and the others are done; None: they
                are raised.

        Yields:
            Name and features of each cloud.
        """
        clouds = iter(clouds)
        while batch := list(islice(clouds, self.batch_size)):
            names = [name for name, _ in batch]
            points = [torch.from_numpy(points) for _, points in batch]
            extract = partial(self._extract, prepared=prepared, up=up or self.up)
            refused: list[str] | None = None if bad is None else []
            for feats in attempt(refused, extract, points, names):
                yield from zip(names, feats)
            if refused:  # find the bad ones of the batch
                for cloud, name in zip(points, names):
                    for feats in attempt(bad, extract, [cloud], [name]):
                        yield name, feats[0]

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
