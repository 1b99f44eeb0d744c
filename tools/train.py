#!/usr/bin/env python
"""Train a model: pretraining, classification, detection, segmentation."""

from mmkd3d.apis.cli import (
    common_parser,
    complete_hooks,
    enable_amp,
    enable_auto_scale_lr,
    leave_processes,
    load_config,
    set_resume,
)
from mmkd3d.apis.errors import short_errors
from mmkd3d.utils.memory import imports_uncollected, keep_freed_memory
from mmkd3d.utils.signals import catch_stop


def main(argv=None):
    parser = common_parser(
        'Train a model', 'python tools/train.py configs/toy/point-mae_toy.py --work-dir out'
    )
    parser.add_argument(
        '--amp',
        action='store_true',
        help='mixed precision: bf16 on CPUs and recent GPUs, fp16 on older GPUs',
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate with the total batch size',
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='resume from a file or, without one, from the newest checkpoint in the work dir',
    )
    args = parser.parse_args(argv)

    with imports_uncollected():
        # imported here: --help needs none of them
        from mmengine.device import get_device
        from mmengine.registry import RUNNERS
        from mmengine.runner import Runner

        from mmkd3d.apis.teacher_copies import use_cached_copies
        from mmkd3d.engine.hooks.loaders import check_training
        from mmkd3d.engine.hooks.stop import StopHook

        cfg = load_config(args)
    if get_device() == 'cpu':
        keep_freed_memory()
    if args.amp:
        enable_amp(cfg)
    if args.auto_scale_lr:
        enable_auto_scale_lr(cfg)
    complete_hooks(cfg)
    with short_errors():
        use_cached_copies(cfg)
    stop = StopHook()
    with catch_stop(stop.receive):
        try:
            with short_errors():
                set_resume(cfg, args.resume)
            runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
            runner.register_hook(stop)
            with short_errors():  # before mmengine builds what needs the length of an epoch
                check_training(runner)
            runner.train()
        except SystemExit:
            runner = None
            leave_processes()
            raise
    del runner
    leave_processes()


if __name__ == '__main__':
    with short_errors():
        main()
