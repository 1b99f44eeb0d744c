import collections
import pickle

import numpy as np
import pytest

from mmkd3d.datasets.safe_pickle import load_pickle
from tests.helpers import rejects


def load(path):
    return load_pickle(path, 'it is a test', 'Make it.')


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_containers_pass_in_every_protocol(tmp_path, protocol):
    fortran, ordered = np.asfortranarray(np.ones((3, 2))), collections.OrderedDict(k=3)
    array, plain = np.arange(6.0).reshape(2, 3), (1, 'x', None, {2})
    content = [
        array,
        fortran,
        ordered,
        plain,
        np.float32(3),
        np.int64(4),
        b'bytes',
        np.array(['s']),
    ]
    path = tmp_path / 'a.pkl'
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    got = load(path)
    assert (got[0] == array).all() and (got[1] == fortran).all() and got[7] == ['s']
    assert got[2:7] == content[2:7]


class Evil:
    def __reduce__(self):
        import os

        return os.system, ('false',)


class Asks:
    """Pickles as a call."""

    def __init__(self, call, *args):
        self.call = call, args

    def __reduce__(self):
        return self.call


def test_memory_is_only_taken_for_what_the_file_holds(tmp_path):
    path = tmp_path / 'bomb.pkl'
    reconstruct = np.zeros(0).__reduce__()[0]
    for content, message in (
        (Asks(bytearray, 10**13), '10000000000000 bytes that it does not hold'),
        (Asks(bytes, 10**13), '10000000000000 bytes'),
        (Asks(np.ndarray, (10**13,)), 'without values'),
        (Asks(reconstruct, np.ndarray, (10**13,), b'f8'), r'shape \(10000000000000,\) without'),
        (Asks(reconstruct, list, (0,), b'f8'), 'without values'),
    ):
        path.write_bytes(pickle.dumps([content]))
        rejects(f'bomb.pkl: not read.*{message}', load, path)
    content = [bytearray(b'abc'), b'', np.zeros((0, 3)), np.array(5.0), np.array([], dtype='U3')]
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        path.write_bytes(pickle.dumps(content, protocol=protocol))
        got = load(path)
        assert got[:2] == content[:2] and [a.shape for a in got[2:]] == [(0, 3), (), (0,)]


def test_anything_else_is_refused(tmp_path):
    path = tmp_path / 'evil.pkl'
    for content in (Evil(), [Evil], eval, np.load):
        path.write_bytes(pickle.dumps([np.zeros(2), content]))
        rejects('evil.pkl: not read.*only numpy', load, path)
    for content in (pickle.dumps(np.zeros(100))[:60], b''):
        path.write_bytes(content)
        rejects('evil.pkl: not read', load, path)
    says = 'no.pkl.*it is a test. Make'
    rejects(says, load, tmp_path / 'no.pkl', error=FileNotFoundError)
