"""``python -m mmkd3d.doctor``: check the installed packages and suggest repairs.

Imports nothing beyond the standard library before it looks, so that it works
where torch or mmcv do not.
"""

from .environment import Environment, inspect
from .rules import Finding, diagnose

__all__ = ['Environment', 'Finding', 'diagnose', 'inspect']
