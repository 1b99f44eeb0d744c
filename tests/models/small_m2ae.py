"""Small configs of Point-M2AE and I2P-MAE."""

import torch

from mmkd3d.registry import MODELS

from .stub_teachers import DENSE

# Sizes of up to four levels; tests pass changes as arguments.
DIMS = (6, 12, 18, 24)
GROUPS = (64, 32, 16, 8)
SIZES = (8, 4, 4, 4)


def student(num_levels: int = 3, **kwargs) -> dict:
    """Config of a student; all students share the coarsest levels."""
    cfg = dict(
        type='mmkd3d.PointM2AE',
        level_dims=DIMS[-num_levels:],
        depths=(1,) * num_levels,
        num_heads=3,
        num_groups=GROUPS[-num_levels:],
        group_sizes=SIZES[:num_levels],
        patch_dims=(8, 16),
        drop_path_rate=0.0,
    )
    return dict(cfg, **kwargs)


def decoder(num_stages: int = 2, **kwargs) -> dict:
    """Config of a decoder that matches the student."""
    cfg = dict(
        type='mmkd3d.M2AEDecoder',
        stage_dims=DIMS[::-1][:num_stages],
        depths=(1,) * num_stages,
        num_heads=3,
        propagation_depths=(1,) * (num_stages - 1),
        drop_path_rate=0.0,
    )
    return dict(cfg, **kwargs)


def m2ae(num_levels: int = 3, num_stages: int = 2, **kwargs) -> dict:
    """Config of Point-M2AE."""
    cfg = dict(
        type='mmkd3d.M2AE',
        backbone=student(num_levels),
        decoder=decoder(num_stages),
        masker=dict(type='mmkd3d.RandomMasker', ratio=0.6),
        losses=dict(chamfer=dict(type='mmkd3d.ChamferLoss')),
    )
    return dict(cfg, **kwargs)


def i2p_mae(num_levels: int = 3, num_stages: int = 2, semantic=True, **kwargs) -> dict:
    """Config of I2P-MAE with a stub teacher."""
    cfg = m2ae(
        num_levels,
        num_stages,
        type='mmkd3d.I2PMAE',
        target=DENSE,
        masker=dict(type='mmkd3d.SaliencyMasker', ratio=0.6),
    )
    cfg['losses']['semantic'] = dict(type='mmkd3d.L2Loss') if semantic else None
    return dict(cfg, **kwargs)


def build(cfg: dict, seed: int = 0):
    """Model with weights initialised from a seed."""
    torch.manual_seed(seed)
    return MODELS.build(cfg)


def clouds(num: int = 3, size: int = 96, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(num, size, 3, generator=generator)
