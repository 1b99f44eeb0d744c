"""Shapes in the coordinates of mmdetection3d's indoor models."""

from dataclasses import dataclass

import numpy as np

from mmkd3d.registry import TRANSFORMS


@TRANSFORMS.register_module()
@dataclass
class ToDepthCoordinates:
    """Turn shapes from y up to mmdetection3d's depth coordinates, and add the height.

    (x, y, z) becomes (x, -z, y): x right, y forward, z up. Stock PointNet++
    backbones of VoteNet also read the height above the floor, the column
    behind the coordinates, as with ``LoadPointsFromFile(shift_height=True)``.

    Args:
        size: Diameter of the unit sphere after scaling, in metres, like the
            radii of those backbones.
        height: Append the height.

    Raises:
        ValueError: No points, or columns besides the coordinates.
    """

    size: float = 2.0
    height: bool = True

    def __call__(self, results: dict) -> dict:
        points = results.get('points')
        if points is None or points.shape[1] != 3:
            got = 'none' if points is None else f'{points.shape[1]} columns'
            raise ValueError(
                f'ToDepthCoordinates needs points with 3 columns, got {got}. '
                'Put it after LoadPoints (channels=3) and NormalizePoints.'
            )
        x, y, z = points.T * (self.size / 2)
        columns = [x, -z, y]
        if self.height:
            # as mmdetection3d: its percentile is of a hundred, not of one
            columns.append(y - np.percentile(y, 0.99))
        results['points'] = np.stack(columns, 1).astype(np.float32)
        return results

    @staticmethod
    def spec_effect(step: dict, channels: int) -> dict:
        return dict(channels=channels + bool(step.get('height', True)), unit='m', up='z')
