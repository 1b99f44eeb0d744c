"""Memory of freed tensors, and the garbage collector."""

import os
import subprocess
import sys

import pytest

from tests.helpers import REPO

CODE = """
import resource
from mmkd3d.utils.memory import keep_freed_memory
kept = keep_freed_memory()
size = 80_000_000
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
b'x' * size
before = faults()
for _ in range(3):
    b'x' * size
print(kept, faults() - before < 5_000)
"""


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='of glibc')
@pytest.mark.parametrize('variables, kept', [({}, True), ({'MALLOC_ARENA_MAX': '1'}, False)])
def test_pages_are_kept_unless_variables_of_the_user_say_how(variables, kept):
    env = {name: x for name, x in os.environ.items() if not name.startswith(('MALLOC_', 'GLIBC_'))}
    env |= {'PYTHONPATH': str(REPO), **variables}
    done = subprocess.run(
        [sys.executable, '-c', CODE], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(kept), str(kept)]


COLLECTOR = """
import gc
from mmkd3d.utils.memory import imports_uncollected
assert gc.isenabled() and not gc.get_freeze_count()
try:
    with imports_uncollected():
        assert not gc.isenabled()
        raise ValueError
except ValueError:
    assert gc.isenabled()
with imports_uncollected():
    kept = [[] for _ in range(1000)]
assert gc.isenabled() and gc.get_freeze_count() > 1000
with imports_uncollected():  # once in a process
    assert gc.isenabled()
"""


def test_the_collector_pauses_once_and_always_goes_on():
    subprocess.run([sys.executable, '-c', COLLECTOR], cwd=REPO, check=True)
