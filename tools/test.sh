#!/usr/bin/env bash
# Runs the tests in an environment that it makes or finds (see tools/env.sh), on
# two workers with one thread each.
#   bash tools/test.sh                      all but the nightly tests; CI runs this
#   bash tools/test.sh -m 'not slow'        the everyday run
#   bash tools/test.sh -m nightly           packaging, environments, long runs
#   bash tools/test.sh tests/ops -x -n 0    any arguments of pytest
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$mmkd3d_root"
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
mmkd3d_say "pytest $*"
# pytest takes the last -n
exec "$MMKD3D_PYTHON" -m pytest -n 2 --dist worksteal "$@"
