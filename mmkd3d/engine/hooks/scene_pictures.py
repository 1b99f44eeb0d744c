"""Boxes of a test run as files; no display is needed."""

from pathlib import Path

from mmengine.dist import get_world_size
from mmengine.hooks import Hook

from mmkd3d.registry import HOOKS


@HOOKS.register_module()
class DetectionVisualizationHook(Hook):
    """Draw found and true boxes of test scenes, as PNG, HTML and PLY.

    The arguments are named as those of mmdetection3d's
    ``Det3DVisualizationHook``, which opens a window, so that the option
    ``--show-dir`` of its ``tools/test.py`` works where this one stands as
    ``default_hooks.visualization``. See
    :func:`~mmkd3d.visualization.scenes.draw_scene` for the files.

    Args:
        draw: Whether anything is drawn.
        test_out_dir: Folder of the files.
        score_thr: Boxes below it are left out.
        num: Scenes to draw, the first of the test set; None: all.
        draw_gt, draw_pred: Which boxes are drawn.
        vis_task: Must be a detection in points.
        show, wait_time: Of windows, which are not opened.

    Raises:
        ValueError: There is no folder, a window is asked for, or another
            task than detection in points.
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
                'Boxes are written to files: give --show-dir DIR '
                '(test_out_dir), not --show; the page DIR/NAME.html can be '
                'turned in a browser.'
            )
        if vis_task != 'lidar_det':
            raise ValueError(
                f'Boxes are drawn into points: --task lidar_det (vis_task), got {vis_task!r}.'
            )
        self.draw, self.score_thr, self.num = draw, score_thr, num
        self.out = Path(test_out_dir or '.')
        self.draw_gt, self.draw_pred = draw_gt, draw_pred
        self.drawn = 0

    def before_test(self, runner) -> None:
        self.drawn = 0

    def after_test_iter(self, runner, batch_idx: int, data_batch: dict, outputs: list) -> None:
        if not self.draw:
            return
        classes = runner.test_loop.dataloader.dataset.metainfo['classes']
        for points, sample in zip(data_batch['inputs']['points'], outputs):
            # processes get the scenes of a test set in turn
            if self.num is not None and self.drawn * get_world_size() >= self.num:
                return
            self.draw_sample(points, sample, classes)

    def draw_sample(self, points, sample, classes) -> None:
        """Write one scene.

        Args:
            points: (N, C), as the model got them, or a list of augmented
                ones, of which the first is drawn.
            sample: With ``pred_instances_3d``, ``eval_ann_info``.
            classes: Names of the labels.
        """
        from mmkd3d.utils.detections import found_boxes, true_boxes
        from mmkd3d.visualization.scenes import draw_scene

        if isinstance(points, (list, tuple)):
            points = points[0]
        groups = {}
        if self.draw_gt and sample.get('eval_ann_info'):
            groups['truth'] = true_boxes(sample.eval_ann_info)
        if self.draw_pred:
            groups['found'] = found_boxes(sample.pred_instances_3d, self.score_thr)
        name = Path(sample.get('lidar_path') or f'scene_{self.drawn}').stem
        draw_scene(self.out / name, points, groups, classes)
        self.drawn += 1
