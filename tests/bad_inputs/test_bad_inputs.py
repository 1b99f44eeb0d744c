"""Bad inputs at the public border: no silence, no hang, no raw traceback, nothing executed.

``pytest -m nightly tests/bad_inputs --bad-seed 7`` tries other inputs.
"""

from collections import Counter

import numpy as np
import pytest

from tests.bad_inputs import annotations, arguments, checkpoints, clouds, commands, folders
from tests.bad_inputs.case import outcome

COUNTS = {checkpoints: 160, clouds: 240, arguments: 120, folders: 60, commands: 40, annotations: 80}


@pytest.mark.nightly
@pytest.mark.parametrize('border', COUNTS, ids=lambda module: module.__name__.rpartition('.')[2])
def test_bad_inputs_have_an_answer(border, tmp_path, monkeypatch, request):
    seed, canary = request.config.getoption('--bad-seed'), tmp_path / 'executed'
    monkeypatch.chdir(tmp_path)
    found, wrong = Counter(), []
    for case in border.cases(np.random.default_rng(seed), tmp_path, canary, COUNTS[border]):
        result = outcome(case, canary)
        found[result.partition(':')[0].partition(' ')[0]] += 1
        if result not in ('error', 'right'):
            wrong.append(f'{case.kind} -> {result}')
    print(f'seed {seed}: {dict(found)}')
    assert sum(found.values()) >= COUNTS[border]
    assert not wrong, f'{len(wrong)} of {sum(found.values())}:\n' + '\n'.join(wrong)
