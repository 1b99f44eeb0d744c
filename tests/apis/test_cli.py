"""What the tools read from the command line."""

from mmengine.config import Config

from mmkd3d.apis.cli import read_options
from tests.helpers import REPO
from tools.study import load_study


def test_options_are_values_lists_and_dicts():
    words = ['a=1', 'b=[max,mean]', 'c=[]', 'd=None', 'e={f}/iter_1.pth', 'g=[(1,2),3]']
    words += ['h=[{"type":"A","n":[1,2]}, {"type":"B"}]', 'i={"type":"C","on":true}']
    assert read_options(words) == dict(
        a=1,
        b=['max', 'mean'],
        c=[],
        d=None,
        e='{f}/iter_1.pth',
        g=[(1, 2), 3],
        h=[dict(type='A', n=[1, 2]), dict(type='B')],
        i=dict(type='C', on=True),
    )
    cfg = Config(dict(x=dict(h=[dict(type='Z', old=1)])))
    cfg.merge_from_dict(read_options(['x.h=[{"type":"A"}]']))
    assert cfg.x.h == [dict(type='A')]


def test_hooks_in_the_options_of_studies_are_dicts():
    study = load_study(REPO / 'tools/studies/recipes.py')
    options = [o for step in study.steps.values() for o in step.get('options', ())]
    hooks = [read_options([o])['custom_hooks'] for o in options if o.startswith('custom_hooks=')]
    assert hooks and all(isinstance(hook, dict) for each in hooks for hook in each)
