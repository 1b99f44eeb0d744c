"""Modules whose ``init_cfg`` loads checkpoints strictly."""

import copy

from mmengine.model import BaseModule


class StrictInitModule(BaseModule):
    """A module that is initialised at random or from a checkpoint.

    ``init_cfg=dict(type='Pretrained', checkpoint=...)`` has the meaning that it has in OpenMMLab,
    but :func:`mmkd3d.load_pretrained` loads the file: a key that is missing, unknown or of
    another shape is an error.

    Attributes:
        prefix: Prefix of the module's keys in a checkpoint of a whole model.
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
                    f'init_cfg of {type(self).__name__} must be '
                    f"dict(type='Pretrained', checkpoint=...), got {self.init_cfg}."
                )
            # Only here: a backbone does not need the maps of published checkpoints.
            from mmkd3d.checkpoints import load_pretrained

            cfg.setdefault('prefix', self.prefix)
            load_pretrained(self, cfg.pop('checkpoint'), **cfg)
        self._is_init = True
