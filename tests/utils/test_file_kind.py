import gzip
import io
import os
import zipfile

import numpy as np
import pytest

from mmkd3d.utils.file_kind import file_kind


def saved(save, *args):
    buffer = io.BytesIO()
    save(buffer, *args)
    return buffer.getvalue()


def zipped():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w') as archive:
        archive.writestr('a.txt', 'x')
    return buffer.getvalue()


POINTER = 'version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 4096\n' % ('a1' * 32)


@pytest.mark.parametrize(
    ('content', 'kind'),
    [
        (b'', 'an empty file'),
        (bytes(4000), 'a file of zero bytes'),
        (b'<!DOCTYPE html>\n<html lang="en">', 'an HTML page'),
        (b'\xef\xbb\xbf\r\n  <HTML><body>', 'an HTML page'),
        (b'<?xml version="1.0"?><!DOCTYPE html PUBLIC "-//W3C//DTD"><html>', 'an HTML page'),
        (b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code>', 'an XML text'),
        (b'{"message": "Not Found"}', 'a JSON text'),
        (b'[{"id": 1}]', 'a JSON text'),
        (POINTER.encode(), 'a git-lfs pointer to a file of 4096 bytes'),
        (POINTER.replace('\n', '\r\n').encode(), 'a git-lfs pointer to a file of 4096 bytes'),
        (gzip.compress(b'0 0 0', mtime=0), 'a gzip archive'),
        (zipped(), 'a zip archive'),
        (b'\x89PNG\r\n\x1a\n....', 'a PNG picture'),
        (b'\xff\xd8\xff\xe0\0\x10JFIF', 'a JPEG picture'),
        (b'%PDF-1.4', 'a PDF document'),
        (saved(np.save, np.zeros((3, 3))), 'a numpy array (npy)'),
        (b'\x80\x02}q\x00.', 'a Python pickle'),
        (b'0.1 0.2 0.3\n', None),
        (b'[0.1, 0.2, 0.3]\n', None),
        (np.random.default_rng(0).normal(size=(50, 6)).astype('f4').tobytes(), None),
    ],
)
def test_the_first_bytes_name_the_kind(tmp_path, content, kind):
    (tmp_path / 'a.ply').write_bytes(content)
    assert file_kind(tmp_path / 'a.ply') == kind


def test_what_is_no_regular_file_is_named_and_not_opened(tmp_path):
    os.mkfifo(tmp_path / 'fifo')  # to open it would wait for a writer
    assert file_kind(tmp_path / 'fifo') == 'a FIFO'
    assert file_kind('/dev/zero') == 'a device'
    assert file_kind(tmp_path) == 'a folder'
