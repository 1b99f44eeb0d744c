"""Parameters that join the optimizer of a run, and leave its checkpoints."""

from collections.abc import Iterable

import torch.nn as nn
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch.optim import Optimizer

MARK = 'added_by'
# What mmengine's schedulers keep for each group of parameters.
PER_GROUP = ('base_values', '_last_value', 'min_values')


def add_group(runner, params: Iterable[nn.Parameter], name: str) -> None:
    """Let the optimizer of a run train more parameters, from now on.

    They have the settings that ``paramwise_cfg`` doesn't change, and their
    learning rate follows the schedule.

    Args:
        runner: With a built optimizer wrapper and schedulers.
        params: What is not trained yet.
        name: By which the group is known.

    Raises:
        ValueError: The run has several optimizers, or no ordinary one, or a
            group of this name.
    """
    wrapper, optimizer = runner.optim_wrapper, only_optimizer(runner)
    index = len(optimizer.param_groups)
    if any(group.get(MARK) == name for group in optimizer.param_groups):
        raise ValueError(
            f'The optimizer already has parameters of {name!r}: give each hook a name of its own.'
        )
    # mmengine schedules the settings of the base behind all groups, if there
    # are several.
    base = wrapper.base_param_settings or optimizer.param_groups[0]
    place = -1 if wrapper.base_param_settings else 0
    settings = {k: v for k, v in base.items() if k != 'params'}
    settings.update({'params': list(params), MARK: name})
    optimizer.add_param_group(settings)
    for scheduler in runner.param_schedulers or ():
        for key in PER_GROUP:
            values = getattr(scheduler, key, None)
            if values is not None:
                values.insert(index, values[place])


def only_optimizer(runner) -> Optimizer:
    """The optimizer of a run that has one; else ``ValueError``."""
    wrapper = runner.optim_wrapper
    if isinstance(wrapper, OptimWrapperDict) or not isinstance(wrapper, OptimWrapper):
        raise ValueError(
            "More parameters can join a run with one of mmengine's "
            f'OptimWrapper or AmpOptimWrapper, got {type(wrapper).__name__}.'
        )
    return wrapper.optimizer


def take_out(checkpoint: dict, optimizer: Optimizer, name: str) -> dict | None:
    """Make a checkpoint as if the parameters had never joined.

    A run without them resumes from it, too.

    Returns:
        Settings and states of their optimizer, for :func:`put_back`; None if
        the checkpoint has no optimizer.
    """
    saved = checkpoint.get('optimizer')
    groups = saved['param_groups'] if saved else optimizer.param_groups
    index = next(i for i, g in enumerate(groups) if g.get(MARK) == name)
    for state in checkpoint.get('param_schedulers', ()):
        for key in PER_GROUP:
            if key in state:
                values = state[key]
                state[key] = [*values[:index], *values[index + 1 :]]
    if not saved:
        return None
    group = groups.pop(index)
    states = [saved['state'].pop(i, {}) for i in group.pop('params')]
    return dict(group=group, states=states)


def put_back(optimizer: Optimizer, saved: dict, name: str) -> None:
    """Go on with the settings and states that :func:`take_out` gave."""
    full = optimizer.state_dict()
    (group,) = (g for g in full['param_groups'] if g.get(MARK) == name)
    group.update(saved['group'])
    full['state'].update(zip(group['params'], saved['states']))
    optimizer.load_state_dict(full)
