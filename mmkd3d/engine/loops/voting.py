"""Test-time voting for classification."""

import numpy as np
import torch
from mmengine.dist import broadcast_object_list, collect_results
from mmengine.logging import print_log
from mmengine.runner import TestLoop, autocast
from torch import Tensor

from mmkd3d.models.data_preprocessor import SubsamplePoints
from mmkd3d.registry import LOOPS, MODELS
from mmkd3d.utils.distributed import unwrap_model


@LOOPS.register_module()
class VotingTestLoop(TestLoop):
    """Test once without voting, then repeat rounds of voting (ReCon, section 7).

    The plain test uses the first ``num_points`` points of each cloud. A vote
    uses ``num_points`` random points, with the same indices in all clouds of
    a batch, and augmentation. The logits of the votes in a round are averaged.
    The test pipeline should end with ``SamplePoints(method='fps')`` to more
    than ``num_points`` points (published: 1,200 for 1,024 and 2,400 for
    2,048); its first points are then those of a plain test.

    The plain result is reported as ``acc/overall``. With V votes and R rounds,
    voting is reported as ``acc_voteV/mean`` and ``acc_voteV/best_of_R``. The
    published number is the best of many rounds on the test set, which is
    biased upwards; the mean is the expected accuracy of voting.

    All test clouds stay on the device, so files are read once.

    Args:
        runner: See mmengine's ``TestLoop``.
        dataloader: See mmengine's ``TestLoop``.
        evaluator: See mmengine's ``TestLoop``.
        fp16: See mmengine's ``TestLoop``.
        num_points: Number of points for the model.
        votes: Number of votes per round.
        rounds: Number of rounds; ReCon uses 299.
        augment: Config of an augmentation for the votes, as in
            ``PointDataPreprocessor.augments``. Published: ``ScaleTranslate``
            with ``shift=0`` for ModelNet40, ``RandomRotation`` for PB_T50_RS
            of ScanObjectNN, None for OBJ_BG and OBJ_ONLY.

    Raises:
        ValueError: ``votes`` or ``rounds`` is below 1, or a cloud has fewer
            than ``num_points`` points.
    """

    def __init__(
        self,
        runner,
        dataloader,
        evaluator,
        fp16: bool = False,
        *,
        num_points: int,
        votes: int = 10,
        rounds: int = 299,
        augment: dict | None = None,
    ):
        if votes < 1 or rounds < 1:
            raise ValueError(
                f'VotingTestLoop needs votes >= 1 and rounds >= 1, got votes={votes} and '
                f'rounds={rounds}.'
            )
        super().__init__(runner, dataloader, evaluator, fp16)
        self.num_points = num_points
        self.votes = votes
        self.rounds = rounds
        self.subsample = SubsamplePoints(num_points)
        self.augment = MODELS.build(augment) if augment else None
        self.model = unwrap_model(runner.model)
        self.batches = []

    def run(self) -> dict:
        """Return the metrics of the evaluator and of voting."""
        self.runner.call_hook('before_test')
        self.runner.call_hook('before_test_epoch')
        self.model.eval()
        for idx, data_batch in enumerate(self.dataloader):
            self.run_iter(idx, data_batch)
        metrics = self.evaluator.evaluate(len(self.dataloader.dataset))
        metrics.update(self.vote())
        self.batches.clear()
        self.runner.call_hook('after_test_epoch', metrics=metrics)
        self.runner.call_hook('after_test')
        return metrics

    @torch.no_grad()
    def run_iter(self, idx: int, data_batch: dict) -> None:
        """Predict a batch without voting, and keep its points and labels."""
        self.runner.call_hook('before_test_iter', batch_idx=idx, data_batch=data_batch)
        data = self.model.data_preprocessor(data_batch, training=False)
        points, samples = data['inputs']['points'], data['data_samples']
        if points.shape[1] < self.num_points:
            raise ValueError(
                f'VotingTestLoop needs num_points={self.num_points} points, the clouds have '
                f'{points.shape[1]}: sample more points in the test pipeline.'
            )
        self.batches.append((points, torch.stack([s.gt_label for s in samples]).view(-1)))
        with autocast(enabled=self.fp16):
            outputs = self.model(dict(points=points[:, : self.num_points]), samples, mode='predict')
        self.evaluator.process(data_samples=outputs, data_batch=data_batch)
        self.runner.call_hook(
            'after_test_iter', batch_idx=idx, data_batch=data_batch, outputs=outputs
        )

    @torch.no_grad()
    def vote(self) -> dict:
        """Return the mean and the best accuracy over all rounds, in percent."""
        hits = []
        for i in range(self.rounds):
            correct = [self.vote_batch(points) == labels for points, labels in self.batches]
            hits.append(torch.cat(correct).cpu())
            if (i + 1) % 10 == 0 or i + 1 == self.rounds:
                print_log(f'Voting: round {i + 1} of {self.rounds}', logger='current')
        per_sample = list(torch.stack(hits, dim=1).numpy())
        gathered = [collect_results(per_sample, len(self.dataloader.dataset))]
        broadcast_object_list(gathered)  # only rank 0 collects
        accuracy = 100 * np.stack(gathered[0]).mean(axis=0)  # (rounds,)
        name = f'acc_vote{self.votes}'
        return {
            f'{name}/mean': float(accuracy.mean()),
            f'{name}/best_of_{self.rounds}': float(accuracy.max()),
        }

    def vote_batch(self, points: Tensor) -> Tensor:
        """Return the labels (B,) with the largest mean logit over votes on (B, P, 3+F)."""
        logits = 0.0
        for _ in range(self.votes):
            sampled = self.subsample(points)
            if self.augment is not None:
                sampled = self.augment(sampled)
            with autocast(enabled=self.fp16):
                logits = logits + self.model(dict(points=sampled)).float()
        return logits.argmax(dim=1)
