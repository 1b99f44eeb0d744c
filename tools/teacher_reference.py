#!/usr/bin/env python
"""Record the reference feature of a teacher, used to detect mismatched weights.

Run it on a correctly built teacher. Teachers built later with
`reference=FILE` and the same weights are compared with the entry.
"""

import argparse
import json
from pathlib import Path

import mmkd3d
from mmkd3d.apis.cli import add_options, read_options
from mmkd3d.apis.errors import short_errors


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='examples:\n'
        '  python tools/teacher_reference.py OpenClipTeacher --options '
        'model_name=ViT-B-32-quickgelu \\\n'
        '      checkpoint=ViT-B-32.pt --record references.json\n'
        '  python tools/teacher_reference.py my_config.py --at model.teacher',
    )
    parser.add_argument('teacher', help='type of a teacher, or a config (name or file)')
    parser.add_argument(
        '--at',
        default='model.teacher',
        help='key of the teacher in the config; default: %(default)s',
    )
    add_options(parser, '--options', help='arguments of the teacher')
    parser.add_argument('--name', help='name of the weights, for messages')
    parser.add_argument(
        '--record',
        type=Path,
        metavar='FILE',
        help='add the entry to this table (json); default: only print it',
    )
    return parser.parse_args(argv)


def teacher_config(args) -> dict:
    """Type and arguments of the teacher, with the reference check off."""
    from mmengine.config import Config

    name = args.teacher
    if '/' in name or name.endswith('.py') or name in mmkd3d.list_models():
        found = mmkd3d.get_config(name)
        for part in args.at.split('.'):
            if part not in found:
                raise ValueError(
                    f'{name} has no {args.at}: there is {", ".join(found)}, no {part}. Give '
                    'the key of the teacher with --at, such as model.target.teacher.'
                )
            found = found[part]
    else:
        found = dict(type=name)
    config = Config(dict(found))
    config.merge_from_dict({**read_options(args.options), 'reference': False})
    return config.to_dict()


@short_errors()
def main(argv=None):
    args = parse_args(argv)

    # imported here: --help needs none of them
    from mmengine.registry import init_default_scope

    from mmkd3d.models.teachers.references import make_entry, read_references
    from mmkd3d.registry import MODELS

    init_default_scope('mmkd3d')
    config = teacher_config(args)
    name = args.name or ' '.join(
        str(config[key]) for key in ('type', 'model_name') if key in config
    )
    entry = make_entry(MODELS.build(config), name)
    print(json.dumps(entry, indent=1))
    if args.record:
        known = read_references(args.record) if args.record.exists() else {}
        args.record.write_text(json.dumps({**known, **entry}, indent=1) + '\n')
    return entry


if __name__ == '__main__':
    main()
