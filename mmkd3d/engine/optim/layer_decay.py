"""Layer-wise learning-rate decay."""

import torch.nn as nn
from mmengine.optim import DefaultOptimWrapperConstructor

from mmkd3d.registry import OPTIM_WRAPPER_CONSTRUCTORS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Layer-wise learning-rate decay for ``model.backbone`` (BEiT).

    For a decay rate r and a backbone with n blocks, the learning rate is
    multiplied by r ** (n - i) in block i (counted from 0) and by r ** (n + 1)
    in the embeddings. The final norm and everything outside the backbone keep
    the full learning rate, as in mmpretrain. The other keys of mmengine's
    ``paramwise_cfg`` work as usual::

        optim_wrapper = dict(
            constructor='mmkd3d.LayerDecayOptimWrapperConstructor',
            paramwise_cfg=dict(layer_decay_rate=0.65, norm_decay_mult=0.))

    Args:
        optim_wrapper_cfg: As in mmengine; the optimizer must set ``lr``.
        paramwise_cfg: As in mmengine, plus ``layer_decay_rate`` in (0, 1].

    Raises:
        ValueError: ``layer_decay_rate`` or ``lr`` is missing or invalid, or
            ``model.backbone`` has no ``get_layer_depth``.
    """

    def _validate_cfg(self) -> None:
        super()._validate_cfg()
        rate = self.paramwise_cfg.get('layer_decay_rate')
        if not isinstance(rate, (int, float)) or not 0 < rate <= 1:
            raise ValueError(
                f'paramwise_cfg must set layer_decay_rate in (0, 1], e.g. 0.65, got {rate!r}.'
            )
        if self.base_lr is None:
            raise ValueError('layer_decay_rate requires an optimizer with a learning rate (lr).')

    def add_params(
        self,
        params: list[dict],
        module: nn.Module,
        prefix: str = '',
        is_dcn_module: bool | None = None,
    ) -> None:
        """Add one group per parameter, as mmengine does, and scale its learning rate."""
        super().add_params(params, module, prefix, is_dcn_module)
        if prefix:  # mmengine calls this method recursively; scale at the root only
            return
        scales = self.lr_scales(module)
        for group in params:
            scale = scales.get(group['params'][0], 1.0)
            group['lr'] = group.get('lr', self.base_lr) * scale

    def lr_scales(self, model: nn.Module) -> dict[nn.Parameter, float]:
        """Return the learning-rate multiplier of each backbone parameter."""
        backbone = getattr(model, 'backbone', None)
        if not hasattr(backbone, 'get_layer_depth'):
            raise ValueError(
                'layer_decay_rate requires a model.backbone with get_layer_depth, got '
                f'{type(backbone).__name__} in {type(model).__name__}. Use a backbone of '
                "mmkd3d, or mmengine's default constructor with "
                "custom_keys={'backbone': dict(lr_mult=...)}."
            )
        rate = self.paramwise_cfg['layer_decay_rate']
        scales = {}
        for name, parameter in backbone.named_parameters():
            layer, num_layers = backbone.get_layer_depth(name)
            scales[parameter] = rate ** (num_layers - 1 - layer)
        return scales
