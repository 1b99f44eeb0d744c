"""Features of clouds in any form, by the student in any checkpoint."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import torch
import torch.nn as nn
from mmengine.device import get_device
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mmkd3d.checkpoints import read_checkpoint, spec_of_config, stored_spec
from mmkd3d.datasets.checks import check_points
from mmkd3d.models.backbones.base import LEVELS

from .cloud_inputs import Cloud, CloudInputs, read_inputs
from .input_fit import InputFit
from .students import ConfigLike, find_config, load_student


class FeatureExtractor:
    """The frozen student of a checkpoint, called on clouds.

    What differs from the clouds that it was trained on (the checkpoint's
    input spec) is a warning with both values, once each. By default clouds
    are brought to the points and the scale of the training: sampled first
    (farthest points; too few are repeated), then normalised. Data sets do
    that by themselves: their samples are taken as they come. Columns that the
    student does not read are left out, those that it lacks are zeros.

    Args:
        checkpoint: Ours, whole or exported, or a published one; None: random
            weights.
        config: See :func:`load_student`; None: the checkpoint's own.
        level: ``'global'``, ``'token'`` or ``'point'``, see
            :class:`BasePointBackbone`. All given points get features, also
            those that the student did not see.
        layer: Let the student end with this block (a :class:`PointM2AE`: with
            this level), from 0, or from the last one if negative; None: all.
        num_points: Points that the student sees: ``'spec'``: as in training,
            if the checkpoint says so; a number; None: all.
        normalize: ``'spec'``, or a mode of :class:`NormalizePoints`, or
            ``'none'``.
        up: Which axis of the clouds points up, to be told if the student
            knows another; data sets may say it in ``metainfo['up_axis']``.
        batch_size: Clouds at a time.
        device: None chooses.
        trust: See :func:`~mmkd3d.checkpoints.read_checkpoint`.

    Attributes:
        model: What :func:`load_student` gives, ending with ``layer``.
        spec: What the student was trained on.

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
        content = checkpoint and read_checkpoint(checkpoint, trust=trust)
        cfg = find_config(config, content, checkpoint)
        self.spec = stored_spec(content, cfg) if content else spec_of_config(cfg)
        self.device = torch.device(device or get_device())
        self.model = load_student(cfg, content, device=self.device)
        self.level, self.up, self.batch_size = level, up, batch_size
        self.student = self._cut_student(layer)
        self.fit = InputFit(
            self.spec, getattr(self.student, 'in_channels', 3), num_points, normalize
        )

    def __call__(
        self, inputs: CloudInputs, *, key: str | None = None, load_dim: int | None = None
    ) -> Tensor | list[Tensor]:
        """Features of what is given.

        Args:
            inputs: A cloud (N, C), clouds (B, N, C), arrays or tensors; a
                list of clouds of any sizes; a file, folder or pattern, or a
                list of these; a data set. See
                :func:`~mmkd3d.apis.cloud_inputs.read_inputs`.
            key, load_dim: Of files, see
                :func:`~mmkd3d.datasets.clouds.read_clouds`.

        Returns:
            On the CPU, float32: ``'global'`` (B, D), ``'token'`` (B, G, D),
            ``'point'`` (B, N, D) of an array of clouds, else a list of
            (N, D), in the order of the given points. Without B for one cloud
            and for a file that holds one.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: What is given is no cloud, has NaNs, or too few points
                for a patch; the message names it.
        """
        given = read_inputs(inputs, key=key, load_dim=load_dim)
        feats = list(self.stream(given.clouds, prepared=given.prepared, up=given.up))
        if not feats:
            raise ValueError('There is no cloud in what was given.')
        if given.form == 'one':
            return feats[0]
        if given.form == 'list' and self.level == 'point':
            return feats
        return torch.stack(feats)

    def stream(
        self, clouds: Iterable[tuple[str, Cloud]], *, prepared: bool = False, up: str | None = None
    ) -> Iterator[Tensor]:
        """Features of one cloud after another, of any number of clouds.

        Args:
            clouds: Their names, for errors, and points (N, C).
            prepared: Take them as they are: no sampling, no normalisation.
            up: Which axis points up, if known.
        """
        clouds = iter(clouds)
        while batch := list(islice(clouds, self.batch_size)):
            names = [name for name, _ in batch]
            given = [to_tensor(x, name) for name, x in batch]
            yield from self._extract(given, names, prepared, up or self.up)

    @torch.no_grad()
    def _extract(
        self, given: list[Tensor], names: Sequence[str], prepared: bool, up: str | None
    ) -> list[Tensor]:
        seen, places, feats = ([None] * len(given) for _ in range(3))
        for index in alike(given):
            points = torch.stack([given[i] for i in index]).to(self.device)
            of_these = [names[i] for i in index]
            self._check_size(points.shape[1], of_these[0])
            fitted = self.fit(points, of_these, prepared=prepared, up=up)
            for i, cloud, everywhere in zip(index, *fitted):
                seen[i], places[i] = cloud, everywhere
        for index in alike(seen):
            found = self._run(torch.stack([seen[i] for i in index]), [places[i] for i in index])
            for i, rows in zip(index, found):
                feats[i] = rows
        return feats

    def _run(self, points: Tensor, places: list[Tensor]) -> Iterator[Tensor]:
        """Features of a batch (B, N, C); the places are (N_i, 3) each."""
        if self.level != 'point':
            return iter(self.model.extract_feat(points, self.level).cpu())
        feats = self.model.extract_feat(
            points, 'point', pad_sequence(places, batch_first=True)
        ).cpu()
        return (rows[: len(x)].clone() for rows, x in zip(feats, places))

    def _check_size(self, num_points: int, name: str) -> None:
        group = self.student.group
        size = getattr(group, 'levels', [group])[0].group_size
        if num_points < size:
            raise ValueError(
                f'{name}: a cloud of {num_points} points is too small, the '
                f'student cuts patches of {size} points.'
            )

    def _cut_student(self, layer: int | None) -> nn.Module:
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
            student.cut_after(layer)
        if getattr(student, 'index_zero_visible', False):
            # features of a cloud are not to depend on its place in a batch
            student.index_zero_visible = False
        return student


def to_tensor(points: Cloud, name: str) -> Tensor:
    """Float32 points on the CPU, after checking that they are a cloud."""
    if isinstance(points, Tensor):
        points = points.detach().cpu().numpy()
    return torch.from_numpy(check_points(points, name))


def alike(clouds: Sequence[Tensor]) -> list[list[int]]:
    """The places of clouds of one shape, for each shape."""
    groups = {}
    for i, cloud in enumerate(clouds):
        groups.setdefault(cloud.shape, []).append(i)
    return list(groups.values())
