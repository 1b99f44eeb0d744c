import collections
import pickle

import numpy as np
import pytest

from mmkd3d.datasets.safe_pickle import load_pickle


def load(path):
    return load_pickle(path, 'it is a test', 'Make it.')


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_containers_pass_in_every_protocol(tmp_path, protocol):
    content = [
        dict(a=np.arange(6.0).reshape(2, 3), b=(1, 'x', None, {2})),
        np.float32(3),
        np.int64(4),
        np.asfortranarray(np.ones((3, 2), np.float32)),
        collections.OrderedDict(k=np.array(['s'])),
        b'bytes',
    ]
    path = tmp_path / 'a.pkl'
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    got = load(path)
    assert (got[0]['a'] == content[0]['a']).all()
    assert got[0]['b'] == content[0]['b']
    assert got[1:3] == content[1:3] and (got[3] == content[3]).all()
    assert got[5] == b'bytes'


class Evil:
    def __reduce__(self):
        import os

        return os.system, ('false',)


@pytest.mark.parametrize('content', [Evil(), [Evil], eval, np.load])
def test_anything_else_is_refused(tmp_path, content):
    path = tmp_path / 'evil.pkl'
    path.write_bytes(pickle.dumps([np.zeros(2), content]))
    with pytest.raises(ValueError, match='evil.pkl: not read.*only numpy'):
        load(path)


def test_truncated_and_missing_files_are_named(tmp_path):
    path = tmp_path / 'half.pkl'
    path.write_bytes(pickle.dumps(np.zeros(100))[:60])
    with pytest.raises(ValueError, match='half.pkl: not read'):
        load(path)
    path.write_bytes(b'')
    with pytest.raises(ValueError, match='half.pkl: not read'):
        load(path)
    with pytest.raises(FileNotFoundError, match='no.pkl.*it is a test. Make'):
        load(tmp_path / 'no.pkl')
