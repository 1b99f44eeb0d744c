"""Students."""

LEVELS = ('global', 'token', 'point')  # of the features that a student can extract
