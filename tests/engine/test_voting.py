"""VotingTestLoop against a naive loop and the plain test loop."""

import time

import pytest
import torch
from mmengine.dataset import DefaultSampler, pseudo_collate
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch.utils.data import DataLoader

from mmkd3d.models.data_preprocessor import ScaleTranslate
from mmkd3d.registry import MODELS
from tests.helpers import rejects

SHAPES, P, N = 15, 20, 12
SCALE = dict(type='mmkd3d.ScaleTranslate', scale=(0.2, 5.0), shift=0)


@MODELS.register_module()
class FirstPoints(BaseModel):
    """Uses the sum of the first two points as logits, so that order matters."""

    def __init__(self):
        super().__init__(dict(type='mmkd3d.PointDataPreprocessor'))
        self.seen = []

    def forward(self, inputs, data_samples=None, mode='tensor'):
        points = inputs['points']
        self.seen.append(points)
        logits = points[:, :2].sum(1)
        if mode == 'tensor':
            return logits
        for sample, row in zip(data_samples, logits):
            sample.pred_label = row.argmax()
        return data_samples


@MODELS.register_module()
class AllPoints(FirstPoints):
    """Uses the mean point for the logits, so that order does not matter."""

    def forward(self, inputs, *args, **kwargs):
        mean = inputs['points'].mean(1, keepdim=True)
        return super().forward(dict(points=mean), *args, **kwargs)


def shapes():
    generator = torch.Generator().manual_seed(0)
    clouds = [torch.randn(P, 3, generator=generator) for _ in range(SHAPES)]
    samples = [BaseDataElement(gt_label=torch.tensor(i % 3)) for i in range(SHAPES)]
    return [dict(inputs=dict(points=c), data_samples=s) for c, s in zip(clouds, samples)]


def accuracy_of(logits):
    """Accuracy in percent of logits computed from points."""
    clouds = [s['inputs']['points'] for s in shapes()]
    right = sum(int(logits(cloud).argmax()) == i % 3 for i, cloud in enumerate(clouds))
    return pytest.approx(100 * right / SHAPES)


def runner(tmp_path, model='FirstPoints', num_points=N, **test_cfg):
    return Runner(
        model=dict(type=model),
        work_dir=str(tmp_path),
        test_dataloader=DataLoader(
            shapes(),
            batch_size=4,
            collate_fn=pseudo_collate,
            sampler=DefaultSampler(range(SHAPES), shuffle=False),
            generator=torch.Generator(),
        ),  # its own generator keeps torch's global one unchanged
        test_evaluator=dict(type='mmkd3d.Accuracy'),
        test_cfg=dict(type='mmkd3d.VotingTestLoop', num_points=num_points, **test_cfg),
        default_scope='mmkd3d',
        experiment_name=f'{tmp_path.name}_{time.time_ns()}',
    )


def run(tmp_path, **test_cfg):
    own = runner(tmp_path, **test_cfg)
    torch.manual_seed(3)
    return own, own.test()


def naive(votes, rounds, augment):
    """Accuracy of every round, with votes summed one by one."""
    clouds = [s['inputs']['points'] for s in shapes()]
    torch.manual_seed(3)
    accuracy = []
    for _ in range(rounds):
        right = 0
        for start in range(0, SHAPES, 4):
            batch = clouds[start : start + 4]
            logits = [torch.zeros(3) for _ in batch]
            for _ in range(votes):
                index = torch.randperm(P)[:N]
                points = torch.stack([cloud[index] for cloud in batch])
                if augment:
                    points = augment(points)
                for total, cloud in zip(logits, points):
                    total += (cloud[0] + cloud[1]) / votes
            right += sum(int(total.argmax()) == (start + i) % 3 for i, total in enumerate(logits))
        accuracy.append(100 * right / SHAPES)
    return accuracy


@pytest.mark.parametrize('votes, rounds, augment', [(1, 6, SCALE), (3, 4, None), (3, 4, SCALE)])
def test_rounds_are_those_of_the_loop_written_out(tmp_path, votes, rounds, augment):
    _, metrics = run(tmp_path, votes=votes, rounds=rounds, augment=augment)
    expected = naive(votes, rounds, augment and ScaleTranslate(scale=augment['scale'], shift=0))
    assert len(set(expected)) > 1  # otherwise best and mean are equal
    name = f'acc_vote{votes}'
    assert metrics[f'{name}/mean'] == pytest.approx(sum(expected) / rounds)
    assert metrics[f'{name}/best_of_{rounds}'] == pytest.approx(max(expected))


def test_the_plain_result_is_that_of_the_first_points(tmp_path):
    own, metrics = run(tmp_path, votes=2, rounds=3, augment=SCALE)
    assert metrics['acc/overall'] == accuracy_of(lambda cloud: cloud[:2].sum(0))
    names = 'acc/overall acc/class_mean acc_vote2/mean acc_vote2/best_of_3'
    assert set(metrics) == set(names.split())
    seen = own.model.seen
    assert torch.equal(seen[0][1], shapes()[1]['inputs']['points'][:N])
    assert len(seen) == 4 + 4 * 2 * 3
    assert all(points.shape[1:] == (N, 3) for points in seen)


def test_settings_without_sense_are_errors(tmp_path):
    for setting in ('votes', 'rounds'):
        rejects(f'{setting}=0', run, tmp_path, **{setting: 0})
    rejects('num_points=21 .* 20', run, tmp_path, num_points=P + 1)


def one_rank(rank, folder):
    return run(folder / str(rank), model='AllPoints', num_points=P, votes=2, rounds=3)[1]


@pytest.mark.slow
@pytest.mark.xdist_group('ranks')
def test_two_processes_count_every_shape_once(ranks, tmp_path):
    expected = accuracy_of(lambda cloud: cloud.mean(0))
    for metrics in ranks(one_rank, tmp_path):
        for name in ('acc/overall', 'acc_vote2/mean', 'acc_vote2/best_of_3'):
            assert metrics[name] == expected, name
