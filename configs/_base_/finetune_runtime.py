# default_runtime.py for our own finetuning, which may take few steps: running statistics
# of BatchNorm are recomputed before each validation and checkpoint. Published recipes do
# not do this.
_base_ = './default_runtime.py'

default_hooks = dict(precise_bn=dict(type='mmkd3d.PreciseBNHook'))
