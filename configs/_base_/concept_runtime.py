# With the statistics of the targets, and a warning if all becomes alike.
_base_ = './default_runtime.py'

custom_hooks = [
    dict(type='mmkd3d.ReseedHook'),
    dict(type='mmkd3d.FiniteLossHook'),
    dict(type='mmkd3d.FitTargetsHook'),
    dict(type='mmkd3d.CollapseAlarmHook'),
]
