"""A process to fork tools from that has imported nothing for them, as on a machine with a GPU."""

from mmkd3d.apis.warm import ignore_stop

ignore_stop()
