#!/usr/bin/env bash
# Runs the tests in an environment that it makes or finds (see tools/env.sh), on
# two workers with one thread each.
#   bash tools/test.sh                      everything but the nightly tests, 9 minutes
#   bash tools/test.sh -m 'not slow'        the everyday run, 4 minutes
#   bash tools/test.sh -m nightly           packaging, environments, stock configs, long runs
#   bash tools/test.sh tests/ops -x         any arguments of pytest
# MMKD3D_TEST_WORKERS=4 runs four tests at a time; the default is 2.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$mmkd3d_root"
export OMP_NUM_THREADS=1
set -- -n "${MMKD3D_TEST_WORKERS:-2}" --dist loadgroup --no-loadscope-reorder "$@"
mmkd3d_say "pytest $*"
exec "$MMKD3D_PYTHON" -m pytest "$@"
