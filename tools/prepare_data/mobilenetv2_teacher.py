#!/usr/bin/env python
"""Write an int8 MobileNetV2 as weights that timm reads.

A small image teacher for experiments on a CPU.

Source   an int8 MobileNetV2 1.0 of ImageNet at 224 pixels, such as TensorFlow's
         quantised one (TF Lite), unpacked into an npz file
Terms    Apache-2.0
Layout   for layer i in order: weights wI (int8, PyTorch's layout), a scale sI per
         output channel and a bias bI, with BatchNorm folded in

Without such a file use timm's own weights: mobilenetv2_100 with timm's
mean and std, that is, mean=None and std=None in the config; numbers will differ.
The converted file is used as

    dict(type='mmkd3d.TimmTeacher', model_name='mobilenetv2_100',
         checkpoint='weights/mobilenetv2_100.safetensors',
         mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5),
         model_kwargs=dict(pad_type='same'))
"""

import argparse
from pathlib import Path

import numpy as np

from mmkd3d.apis.errors import short_errors

# what is heavy is imported in the functions: --help needs none of it

NET = dict(model_name='mobilenetv2_100', pad_type='same')


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', type=Path, help='npz file of int8 weights')
    parser.add_argument('--out', type=Path, default=Path('weights', 'mobilenetv2_100.safetensors'))
    return parser.parse_args(argv)


def convert(arrays: dict) -> dict:
    """State dict of timm's MobileNetV2, norms reduced to their bias."""
    import timm
    import torch

    state = timm.create_model(**NET).state_dict()
    weights = [k for k, v in state.items() if k.endswith('weight') and v.ndim > 1]
    count = sum(name.startswith('w') for name in arrays)
    if count != len(weights):
        raise SystemExit(
            f'The file has {count} layers, a MobileNetV2 has {len(weights)}: it is another network.'
        )
    biases = [k for k in state if k.endswith('bias')]
    for i, (weight, bias) in enumerate(zip(weights, biases)):
        value, scale = arrays[f'w{i}'], arrays[f's{i}']
        value = value * scale.reshape(-1, *[1] * (value.ndim - 1))
        state[weight] = torch.from_numpy(value).view(state[weight].shape)
        state[bias] = torch.from_numpy(arrays[f'b{i}'])
    for key, value in state.items():
        if key.endswith('running_var'):
            state[key] = value - 1e-5  # so that eps makes it 1
    return {key: value.contiguous() for key, value in state.items()}


@short_errors()
def main(argv=None):
    args = parse_args(argv)
    if not args.source.is_file():
        raise SystemExit(f'No file {args.source}.')

    from safetensors.torch import save_file

    with np.load(args.source, allow_pickle=False) as arrays:
        state = convert(dict(arrays))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, args.out)
    print(f'{args.source} -> {args.out} ({len(state)} tensors)')


if __name__ == '__main__':
    main()
