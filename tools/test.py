#!/usr/bin/env python
"""Evaluate a checkpoint with the evaluators of its config."""
import mmkd3d  # noqa: F401  (stands in for what mmcv lacks, before mmdet3d)
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from mmkd3d.apis.cli import common_parser, load_config


def main(argv=None):
    parser = common_parser(
        'Evaluate a model',
        'python tools/test.py configs/toy/votenet_toy.py out/epoch_6.pth')
    parser.add_argument('checkpoint', help='checkpoint of the whole model')
    args = parser.parse_args(argv)
    cfg = load_config(args)
    cfg.load_from = args.checkpoint
    runner = (
        RUNNERS.build(cfg)
        if 'runner_type' in cfg else Runner.from_cfg(cfg))
    runner.test()


if __name__ == '__main__':
    main()
