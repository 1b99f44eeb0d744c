"""Imported by the server of multiprocessing's ``forkserver``, and by nothing else."""

from mmkd3d.apis.warm import ignore_stop, prepare

ignore_stop()
prepare()
