#!/usr/bin/env python
"""Evaluate a checkpoint with the evaluators of its config."""

from mmkd3d.apis.cli import (
    add_trust_option,
    common_parser,
    complete_hooks,
    leave_processes,
    load_config,
)
from mmkd3d.apis.errors import short_errors


def main(argv=None):
    parser = common_parser(
        'Evaluate a model', 'python tools/test.py configs/toy/votenet_toy.py out/epoch_6.pth'
    )
    parser.add_argument('checkpoint', help='checkpoint of the whole model, ours or a published one')
    add_trust_option(parser)
    parser.add_argument(
        '--show-dir',
        help='for detection: folder for predicted and true boxes of each scene, '
        'as PNG, HTML and PLY; no display is needed',
    )
    parser.add_argument(
        '--show-score', type=float, default=0.3, help='with --show-dir: minimum score of boxes'
    )
    parser.add_argument(
        '--show-num', type=int, help='with --show-dir: number of scenes; default: all'
    )
    args = parser.parse_args(argv)

    # imported here: --help needs none of them
    from mmengine.device import get_device
    from mmengine.registry import RUNNERS
    from mmengine.runner import Runner

    from mmkd3d.checkpoints import load_pretrained, read_checkpoint
    from mmkd3d.engine.hooks.classes import CheckClassesHook
    from mmkd3d.utils.distributed import unwrap_model
    from mmkd3d.utils.memory import keep_freed_memory

    cfg = load_config(args)
    if get_device() == 'cpu':
        keep_freed_memory()
    checkpoint = read_checkpoint(args.checkpoint, trust=args.trust_checkpoint)
    complete_hooks(cfg)
    cfg.load_from, cfg.resume = None, False
    if args.show_dir:  # instead of mmdetection3d's hook, which opens windows
        cfg.setdefault('default_hooks', {})['visualization'] = dict(
            type='mmkd3d.DetectionVisualizationHook',
            draw=True,
            test_out_dir=args.show_dir,
            score_thr=args.show_score,
            num=args.show_num,
        )
    runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    model = runner.model
    load_pretrained(unwrap_model(model), checkpoint, prefix='', name=args.checkpoint)
    for hook in runner.hooks:
        if isinstance(hook, CheckClassesHook):  # others act on the weights
            hook.after_load_checkpoint(runner, checkpoint)
    runner.test()
    del runner, model
    leave_processes()


if __name__ == '__main__':
    with short_errors():
        main()
