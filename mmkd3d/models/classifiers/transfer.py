"""What finetuning trains, and what it leaves alone.

The rules of ACT (section 7) and ReCon (section 5), and a probe.
"""

import difflib
import re

import torch.nn as nn

_HEAD = r'head\.|backbone\.(.*\.)?(cls_(token|pos)|global_(token|pos)\.cls)$'
TRANSFER_TYPES = {
    'full': r'',
    'mlp-3': _HEAD,
    'linear': _HEAD,
    'probe': r'head\.',
    'side': _HEAD + r'|side\.',
    'bit-fit': _HEAD + r'|.*bias$',
}
"""Patterns, matched at the start of a name, of the trained parameters. The
published rules go by ``cls`` in a name, so they train the class token too,
and not the other global tokens; ``'probe'`` trains the head alone."""


def freeze(model: nn.Module, transfer_type: str) -> None:
    """Leave a gradient to the parameters that a transfer type trains.

    Args:
        model: A classifier with ``backbone`` and ``head``, in place.
        transfer_type: One of ``TRANSFER_TYPES``.

    Raises:
        ValueError: The type is not known.
    """
    if transfer_type not in TRANSFER_TYPES:
        near = difflib.get_close_matches(transfer_type, TRANSFER_TYPES, n=1)
        hint = f' Did you mean {near[0]!r}?' if near else ''
        raise ValueError(
            f'transfer_type is one of {tuple(TRANSFER_TYPES)}, got {transfer_type!r}.{hint}'
        )
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(re.match(TRANSFER_TYPES[transfer_type], name) is not None)


def eval_frozen(model: nn.Module) -> None:
    """Put every module in eval mode that has parameters, all of them frozen.

    So BatchNorm neither normalises by the batch nor updates its statistics
    where nothing is trained, and stochastic depth is off.
    """
    for module in model.modules():
        parameters = list(module.parameters())
        if parameters and not any(p.requires_grad for p in parameters):
            module.eval()
