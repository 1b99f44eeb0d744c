# Runs that count iterations, not epochs.
_base_ = './default_runtime.py'

default_hooks = dict(
    logger=dict(interval=50), checkpoint=dict(by_epoch=False, interval=2500, max_keep_ckpts=-1)
)
log_processor = dict(by_epoch=False)
