#!/usr/bin/env bash
# Runs the tests in an environment that it makes or finds (see tools/env.sh).
#   bash tools/test.sh                      everything
#   bash tools/test.sh -m 'not slow'        the everyday run
#   bash tools/test.sh tests/ops -x         any arguments of pytest
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$mmkd3d_root"
mmkd3d_say "pytest $*"
exec "$MMKD3D_PYTHON" -m pytest "$@"
