"""Draw detected boxes into files."""

from pathlib import Path

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.logging import print_log

from mmkd3d.registry import HOOKS


@HOOKS.register_module()
class DetectionVisualizationHook(Hook):
    """Draw predicted and ground-truth boxes of test scenes as PNG, HTML and PLY.

    A replacement for mmdetection3d's ``Det3DVisualizationHook`` that needs no
    display. The arguments have the same names, so ``--show-dir`` of its
    ``tools/test.py`` works if this hook is ``default_hooks.visualization``. See
    :func:`~mmkd3d.visualization.scenes.draw_scene` for the files.

    Args:
        draw: Whether to draw.
        test_out_dir: Output folder.
        score_thr: Minimum score of a predicted box.
        num: Number of scenes to draw, from the start of the test set; None
            draws all.
        draw_gt: Whether to draw the ground-truth boxes.
        draw_pred: Whether to draw the predicted boxes.
        vis_task: Must be ``'lidar_det'``.
        show: Must be False, since no window is opened.
        wait_time: Not used.

    Raises:
        ValueError: ``test_out_dir`` is missing, ``show`` is True, or
            ``vis_task`` is another task.
    """

    def __init__(
        self,
        draw: bool = False,
        test_out_dir: str | Path | None = None,
        score_thr: float = 0.3,
        num: int | None = None,
        *,
        draw_gt: bool = True,
        draw_pred: bool = True,
        vis_task: str = 'lidar_det',
        show: bool = False,
        wait_time: float = 0.0,
    ):
        if draw and (show or test_out_dir is None):
            raise ValueError(
                'Boxes are drawn into files: use --show-dir DIR (test_out_dir), not --show. '
                'Open DIR/NAME.html in a browser for an interactive view.'
            )
        if vis_task != 'lidar_det':
            raise ValueError(f"vis_task (--task) must be 'lidar_det', got {vis_task!r}.")
        self.draw, self.score_thr, self.num = draw, score_thr, num
        self.out_dir = Path(test_out_dir or '.')
        self.draw_gt, self.draw_pred = draw_gt, draw_pred
        self.num_drawn = 0

    def before_test(self, runner) -> None:
        self.num_drawn = 0

    def after_test_iter(self, runner, batch_idx: int, data_batch: dict, outputs: list) -> None:
        if not self.draw:
            return
        classes = runner.test_loop.dataloader.dataset.metainfo['classes']
        for points, sample in zip(data_batch['inputs']['points'], outputs):
            # the sampler deals the scenes to the processes in turn
            if self.num is not None and self.num_drawn * get_world_size() >= self.num:
                return
            self.draw_sample(points, sample, classes)

    def draw_sample(self, points, sample, classes) -> None:
        """Draw one scene.

        Args:
            points: (N, C), the input of the model. Of a list of augmented
                inputs the first one is drawn.
            sample: Data sample with ``pred_instances_3d`` and, for ground
                truth, ``eval_ann_info``.
            classes: Class names.
        """
        from mmkd3d.utils.detections import best_score, found_boxes, none_found, true_boxes
        from mmkd3d.visualization.scenes import draw_scene

        if isinstance(points, (list, tuple)):
            points = points[0]
        groups = {}
        if self.draw_gt and sample.get('eval_ann_info'):
            groups['truth'] = true_boxes(sample.eval_ann_info)
        if self.draw_pred:
            groups['found'] = found_boxes(sample.pred_instances_3d, self.score_thr)
        name = Path(sample.get('lidar_path') or f'scene_{self.num_drawn}').stem
        if self.draw_pred and not len(groups['found'].boxes):
            best = best_score(sample.pred_instances_3d)
            print_log(f'{name}: {none_found(self.score_thr, best)} (--show-score)', 'current')
        draw_scene(self.out_dir / name, points, groups, classes)
        self.num_drawn += 1
