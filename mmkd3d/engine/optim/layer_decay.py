"""Learning rates that fall from the head to the first layer of a student."""

import torch.nn as nn
from mmengine.optim import DefaultOptimWrapperConstructor

from mmkd3d.registry import OPTIM_WRAPPER_CONSTRUCTORS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Layer-wise decay of the learning rate of ``model.backbone`` (BEiT).

    With the rate r and a student of n blocks, block i, from 0, is trained
    with r ** (n - i) times the learning rate, the embeddings with
    r ** (n + 1); the final norm, which belongs to what follows, and all that
    is not the student with 1, as in mmpretrain. This comes on top of what
    mmengine's constructor does with the other keys of ``paramwise_cfg``::

        optim_wrapper = dict(
            constructor='mmkd3d.LayerDecayOptimWrapperConstructor',
            paramwise_cfg=dict(layer_decay_rate=0.65, norm_decay_mult=0.))

    Args:
        optim_wrapper_cfg: As in mmengine, with a learning rate.
        paramwise_cfg: As in mmengine, with ``layer_decay_rate`` in (0, 1].

    Raises:
        ValueError: There is no rate, or the model has no student with a
            ``get_layer_depth``.
    """

    def _validate_cfg(self) -> None:
        super()._validate_cfg()
        rate = self.paramwise_cfg.get('layer_decay_rate')
        if not isinstance(rate, (int, float)) or not 0 < rate <= 1:
            raise ValueError(
                f'paramwise_cfg needs a layer_decay_rate in (0, 1], e.g. 0.65, got {rate!r}.'
            )
        if self.base_lr is None:
            raise ValueError(
                'The optimizer needs a learning rate (lr) for layer_decay_rate to have an effect.'
            )

    def add_params(
        self,
        params: list[dict],
        module: nn.Module,
        prefix: str = '',
        is_dcn_module: bool | None = None,
    ) -> None:
        """Add a group for each parameter, as mmengine, and decay its rate."""
        super().add_params(params, module, prefix, is_dcn_module)
        if prefix:  # mmengine calls this for every module of the model
            return
        scales = self.scales(module)
        for group in params:
            scale = scales.get(group['params'][0], 1.0)
            group['lr'] = group.get('lr', self.base_lr) * scale

    def scales(self, model: nn.Module) -> dict[nn.Parameter, float]:
        """The factor of each parameter of the student of a model."""
        student = getattr(model, 'backbone', None)
        if not hasattr(student, 'get_layer_depth'):
            raise ValueError(
                'layer_decay_rate needs a student that tells the depth of its '
                'parameters (get_layer_depth) as model.backbone, got '
                f'{type(student).__name__} in {type(model).__name__}: take a '
                "student of mmkd3d, or mmengine's constructor with "
                "custom_keys={'backbone': dict(lr_mult=...)}."
            )
        rate = self.paramwise_cfg['layer_decay_rate']
        scales = {}
        for name, parameter in student.named_parameters():
            layer, num_layers = student.get_layer_depth(name)
            scales[parameter] = rate ** (num_layers - 1 - layer)
        return scales
