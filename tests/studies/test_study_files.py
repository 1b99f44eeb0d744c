"""Studies that make no sense are told before anything is run."""

import pytest

from mmkd3d.studies.study import jobs_of, load_study
from tests.studies.test_study import FINETUNE, PRETRAIN, STUDY


@pytest.mark.parametrize(
    'steps, message',
    [
        (dict(a=dict(train=FINETUNE, options=['x={b}'])), r'a needs \{b\}, there'),
        (
            dict(
                a=dict(train=FINETUNE, options=['x={b}']), b=dict(train=FINETUNE, options=['x={a}'])
            ),
            'a -> b -> a',
        ),
        (dict(a=dict(train=FINETUNE, probe=PRETRAIN)), 'exactly one of'),
        (dict(a=dict(train=FINETUNE, tset=True)), "step 'a'.*tset"),
    ],
)
def test_steps_that_make_no_sense(steps, message):
    with pytest.raises(ValueError, match=message):
        jobs_of(dict(steps=steps))


def test_names_that_are_not_there(tmp_path):
    with pytest.raises(ValueError, match="did you mean 'probe'"):
        jobs_of(STUDY, only=['prbe'])
    with pytest.raises(ValueError, match="did you mean 'pretrain'"):
        jobs_of(STUDY, given=dict(pretran='x'))
    with pytest.raises(FileNotFoundError, match='there is no .*0.pth'):
        jobs_of(STUDY, given=dict(pretrain=f'{tmp_path}/{{seed}}.pth'))
    with pytest.raises(FileNotFoundError, match='Did you mean classifier_toy'):
        jobs_of(dict(steps=dict(a=dict(train='classifier_tyo'))))
    file = tmp_path / 'study.py'
    file.write_text(
        "steps = dict(a=dict(train='classifier_toy'))\ntables = [dict(title='T', rows=dict(x='b'))]"
    )
    with pytest.raises(ValueError, match="row 'x' .* is the step 'b'"):
        load_study(file)
    file.write_text('seeds = (0, )')
    with pytest.raises(ValueError, match='has no steps'):
        load_study(file)


@pytest.mark.parametrize(
    'steps, message',
    [
        (dict(a=dict(train=FINETUNE, seeds=(1, 1))), r'seeds \(1, 1\).*each once'),
        (dict(a=dict(train=FINETUNE, seeds=())), 'one whole number or more'),
        (dict(a=dict(train=FINETUNE, seeds=3)), 'seeds 3: they are'),
        (dict(a=dict(train=FINETUNE, options=['randomness.seed=4'])), 'name the seeds as seeds'),
        (dict(a=dict(train=FINETUNE, options='x=1')), "list of words, got 'x=1'"),
        (dict(a=dict(train=FINETUNE, options=['x'])), 'expected KEY=VALUE'),
        (
            dict(a=dict(probe=PRETRAIN, options=['x=1'])),
            "field 'options'; of probe, there are checkpoint, arguments",
        ),
        (
            dict(a=dict(train=PRETRAIN, test=True)),
            'a is to be tested, and point-mae_toy has no test_dataloader',
        ),
        (
            dict(a=dict(train=FINETUNE, test=True, best=True, options=['val_dataloader=None'])),
            'has no val_dataloader',
        ),
    ],
)
def test_steps_that_would_end_badly_are_not_begun(steps, message):
    with pytest.raises(ValueError, match=message):
        jobs_of(dict(steps=steps))


@pytest.mark.parametrize(
    'table, message',
    [
        ("dict(title='T', rows=dict(x='a'), colums={})", "mean 'columns'"),
        ("dict(title='T')", r"needs a title and rows, got \['title'\]"),
    ],
)
def test_tables_that_are_misspelt(tmp_path, table, message):
    file = tmp_path / 'study.py'
    file.write_text(f"steps = dict(a=dict(train='classifier_toy'))\ntables = [{table}]")
    with pytest.raises(ValueError, match=message):
        load_study(file)
