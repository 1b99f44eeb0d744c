#!/usr/bin/env bash
# Runs the demo in an environment that it makes or finds (see tools/env.sh).
#   bash tools/demo.sh [arguments of tools/demo.py]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
mmkd3d_say "tools/demo.py $*"
exec "$MMKD3D_PYTHON" "$mmkd3d_root/tools/demo.py" "$@"
