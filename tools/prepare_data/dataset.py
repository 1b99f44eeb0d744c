"""Describe a published data set, or check that a folder is complete and can be read.

python tools/prepare_data/dataset.py info shapenet55
python tools/prepare_data/dataset.py verify scannet --root data/scannet
python tools/prepare_data/dataset.py read my_shapes --write-list good.txt
python tools/prepare_data/dataset.py shards my_shapes my_shards --shard-mb 256
"""

import argparse
import sys
from pathlib import Path

from mmkd3d.apis.errors import short_errors
from mmkd3d.utils.atomic import write_atomic

# what is heavy is imported in the functions: --help needs none of it

NAMES = ('shapenet55', 'modelnet40', 'modelnet_fewshot', 'scanobjectnn', 'shapenetpart', 'scannet')


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest='command', required=True)
    info = commands.add_parser('info', help='content, terms, source and layout')
    verify = commands.add_parser(
        'verify', help='count files and list missing ones; exit code 1 if incomplete'
    )
    for command in (info, verify):
        command.add_argument('name', choices=NAMES)
    verify.add_argument('--root', type=Path, required=True)
    verify.add_argument(
        '--partial', action='store_true', help='scannet: accept any number of scenes'
    )
    read = commands.add_parser(
        'read', help='read all files of your own folder and list the bad ones; exit code 1 if any'
    )
    read.add_argument('root', type=Path, help='folder of PointCloudFolder')
    read.add_argument(
        '--write-list', type=Path, help='write the good files, for file_list of the data set'
    )
    shards = commands.add_parser(
        'shards', help='pack your own folder into tar files; the same command again goes on'
    )
    shards.add_argument('root', type=Path, help='folder of PointCloudFolder')
    shards.add_argument('out', type=Path, help='folder to write, for PointCloudShards')
    shards.add_argument('--shard-mb', type=int, default=256, help='size of a shard')
    shards.add_argument('--file-list', type=Path, help='shapes to take, such as read writes')
    for command in (read, shards):
        command.add_argument('--load-dim', type=int, help='columns of .bin files')
        command.add_argument(
            '--drop-nan', action='store_true', help='accept files of which some points are NaN'
        )
    return parser.parse_args(argv)


def read_folder(args: argparse.Namespace) -> int:
    """Read a folder, print what is bad, and write the list of the others."""
    from mmkd3d.datasets.verify import check_folder

    report, good = check_folder(args.root, load_dim=args.load_dim, drop_nan=args.drop_nan)
    print('\n'.join(report.lines))
    if args.write_list and good:
        write_atomic(args.write_list, '\n'.join([*good, '']).encode())
        print(f'{args.write_list} lists the good ones: set file_list of the data set to it')
    return 0 if report.complete else 1


def write_shards(args: argparse.Namespace) -> int:
    """Pack a folder into tar files."""
    from mmkd3d.datasets.shards import pack_folder

    number = pack_folder(
        args.root,
        args.out,
        shard_mb=args.shard_mb,
        file_list=args.file_list,
        load_dim=args.load_dim,
        drop_nan=args.drop_nan,
    )
    print(f'{args.out} holds {number} shards: set data_root of PointCloudShards to it')
    return 0


def print_facts(name: str) -> int:
    """Print what is known of a published data set."""
    from mmkd3d.datasets.base import read_meta

    facts = read_meta('published')[name]
    for key in ('what', 'terms', 'get', 'size'):
        print(f'{key:6} {facts[key]}')
    for line in facts['layout']:
        print(f'layout {line}')
    return 0


@short_errors()
def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    if args.command == 'read':
        return read_folder(args)
    if args.command == 'shards':
        return write_shards(args)
    if args.command == 'info':
        return print_facts(args.name)
    if args.partial and args.name != 'scannet':
        raise SystemExit('--partial is for scannet')

    from mmkd3d.datasets.verify import CHECKS

    options = dict(partial=True) if args.partial else {}
    report = CHECKS[args.name](args.root, **options)
    print('\n'.join(report.lines))
    print(f'{args.name} in {args.root} is {"complete" if report.complete else "NOT complete"}')
    return 0 if report.complete else 1


if __name__ == '__main__':
    sys.exit(main())
