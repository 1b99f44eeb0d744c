"""``python -m mmkd3d``: see :mod:`mmkd3d.command`."""

import sys

from .command import main

sys.exit(main())
