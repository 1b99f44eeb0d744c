"""Modules whose ``init_cfg`` accounts for every key."""

import copy

from mmengine.model import BaseModule


class StrictInitModule(BaseModule):
    """A module that starts at random or from a checkpoint, strictly.

    ``init_cfg=dict(type='Pretrained', checkpoint=...)`` is read as everywhere
    in OpenMMLab, but the file is loaded by :func:`mmkd3d.load_pretrained`: a
    key that is missing, unknown or of another shape is an error.

    Attributes:
        prefix: Where the module stands in a file of a whole model.
    """

    prefix: str

    def random_init(self) -> None:
        """Initialise at random."""
        raise NotImplementedError

    def init_weights(self) -> None:
        """Initialise at random or, with ``init_cfg``, from a checkpoint."""
        if self.is_init:
            return
        self.random_init()
        if self.init_cfg:
            cfg = copy.deepcopy(dict(self.init_cfg))
            if cfg.pop('type') != 'Pretrained':
                raise ValueError(
                    f'{type(self).__name__} knows one init_cfg, '
                    "dict(type='Pretrained', checkpoint=...), got "
                    f'{self.init_cfg}.'
                )
            # Only here: a backbone does not need the maps of published checkpoints.
            from mmkd3d.checkpoints import load_pretrained

            cfg.setdefault('prefix', self.prefix)
            load_pretrained(self, cfg.pop('checkpoint'), **cfg)
        self._is_init = True
