"""Detection in rooms with any classes, in mmdetection3d's info format."""

from pathlib import Path

from mmkd3d.registry import DATASETS


@DATASETS.register_module(name='IndoorDet3DDataset')
def indoor_det3d_dataset(
    data_root: str | Path = '', ann_file: str | Path = 'indoor_infos_train.pkl', **kwargs
):
    """Scans with boxes of any classes; mmdetection3d's data sets know only their own.

    The info file names the classes, in ``metainfo['categories']``.
    ``metainfo=dict(classes=[...])`` selects from them: labels are numbered in
    that order, and boxes of other classes are left out. Boxes have 6 numbers
    (centre, size in metres) or 7 (yaw in radians, counter-clockwise from +x to
    +y), z up. ``axis_align_matrix`` is the identity where a scan has none. If
    no box has a yaw, the masks of objects from which VoteNet and GroupFree3D
    learn are made from the boxes. The file is read without running what a
    pickle may contain. ``tools/prepare_data/indoor_det3d.py`` makes it.

    Args:
        data_root: Folder of ``ann_file`` and of ``data_prefix``.
        ann_file: The info file.
        kwargs: Of mmdetection3d's ``Det3DDataset``: ``metainfo``,
            ``data_prefix`` (default ``dict(pts='points')``), ``pipeline``,
            ``box_type_3d`` (default ``'Depth'``), ``filter_empty_gt``,
            ``test_mode``, ...

    Raises:
        FileNotFoundError: No info file, or no points of a scan.
        ValueError: A damaged file, an unknown class, a label without a name,
            a box without a size, no box for training, or points that do not
            fit ``load_dim`` of the pipeline.
    """
    from mmkd3d.datasets.indoor_det3d import IndoorDet3DDataset

    return IndoorDet3DDataset(data_root, ann_file, **kwargs)
