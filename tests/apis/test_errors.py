"""Known mistakes end in one line, bugs in a traceback."""

import pytest
from torch._utils import ExceptionWrapper

import mmkd3d
from mmkd3d.apis.errors import short_errors
from mmkd3d.datasets.readers import read_points
from mmkd3d.registry import MODELS
from tests.helpers import rejects


@short_errors()
def run(call, *args):
    return call(*args)


def load_in_worker(path, read=read_points):
    """What a data loader does with an error in one of its workers."""
    try:
        read(path)
    except Exception:
        raised = ExceptionWrapper(where='in DataLoader worker process 0')
    raised.reraise()


def divide(path):
    return 1 / 0


def test_mistakes_end_with_their_message(tmp_path):
    (tmp_path / 'scan.npy').write_text('no array')
    cases = [
        (r'^\S+scan.npy: cannot be read', read_points, tmp_path / 'scan.npy'),
        (r'^\S+none.npy is missing', read_points, tmp_path / 'none.npy'),
        (r'none.txt', open, tmp_path / 'none.txt'),
        (r'Nothing is not in the', MODELS.build, dict(type='mmkd3d.Nothing')),
        (r'no shipped config', mmkd3d.get_config, 'point-mae_tyo'),
        (r'^\S+scan.npy: cannot be read[^\n]*$', load_in_worker, tmp_path / 'scan.npy'),
        (r'^\S+none.npy is missing[^\n]*$', load_in_worker, tmp_path / 'none.npy'),
    ]
    for message, call, argument in cases:
        rejects(message, run, call, argument, error=SystemExit)


def test_bugs_keep_their_traceback(tmp_path):
    def wrong():
        raise ValueError('raised elsewhere')

    (tmp_path / 'scan.txt').write_text('1 2 3')
    rejects('elsewhere', run, wrong)
    rejects('not int', run, mmkd3d.config_path, 7, error=TypeError)
    rejects('division', run, load_in_worker, tmp_path, divide, error=ZeroDivisionError)
    assert run(len, 'abc') == 3
    with pytest.raises(KeyboardInterrupt):
        run(interrupt)


def interrupt():
    raise KeyboardInterrupt
