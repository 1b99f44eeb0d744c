"""Versions, operators and known-bad combinations of this environment.

python tools/doctor.py [--json]
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmkd3d.doctor.__main__ import main  # noqa: E402

if __name__ == '__main__':
    sys.exit(main())
