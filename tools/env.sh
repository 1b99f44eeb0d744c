# Sourced by tools/test.sh and tools/demo.sh: finds or makes an environment with
# the packages of requirements/env.txt, and sets MMKD3D_PYTHON to its python.
#
#   active virtualenv or conda environment   used: missing packages are installed,
#                                            installed ones are never changed
#   none active                              one is made in
#                                            ${XDG_CACHE_HOME:-~/.cache}/mmkd3d
#
# The name of a new environment has the Python version and a hash of the
# requirement files. It holds no copy of this checkout: all checkouts share it.
#
#   PYTHON=python3.12       the interpreter to make it with
#   MMKD3D_LOCK=0           the newest versions that constraints.txt allows,
#                           instead of the exact ones of requirements/lock/

# Packages are installed without bytecode; with this set, each Python process would
# compile all of torch and mmdet3d again, which takes longer than most tests.
unset PYTHONDONTWRITEBYTECODE

mmkd3d_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

mmkd3d_say() { printf '[mmkd3d] %s\n' "$*"; }

mmkd3d_fail() {
    printf '[mmkd3d] error: %s\n' "$1" >&2
    shift
    [ $# -eq 0 ] || printf '         %s\n' "$@" >&2
    exit 1
}

# Python 3.10 to 3.12 that can make virtual environments. A shim of pyenv exists
# for versions that are switched off, hence running it.
mmkd3d_suits() {
    "$1" -c 'import sys, venv, ensurepip
sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' >/dev/null 2>&1
}

mmkd3d_find_python() {
    if [ -n "${PYTHON:-}" ]; then
        mmkd3d_suits "$PYTHON" || mmkd3d_fail \
            "PYTHON=$PYTHON is not a Python 3.10, 3.11 or 3.12 with venv and ensurepip."
        printf '%s\n' "$PYTHON"
        return
    fi
    local candidate
    for candidate in python3 python3.11 python3.12 python3.10 python \
        /usr/bin/python3 /usr/local/bin/python3 \
        "${HOME:-}"/.pyenv/versions/3.1[012]*/bin/python3; do
        if mmkd3d_suits "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    mmkd3d_fail 'found no Python 3.10, 3.11 or 3.12 with venv and ensurepip.' \
        'Debian and Ubuntu: apt-get install python3 python3-venv' \
        'elsewhere: install Python 3.11 from python.org, conda or pyenv,' \
        'or name one: PYTHON=/path/to/python3.11 bash tools/test.sh'
}

# mmkd3d_install PYTHON LOG PIP-ARGUMENTS...: runs pip with its output in LOG, and
# prints a line every ten seconds. If it fails, mmkd3d_hint says what to do.
mmkd3d_install() {
    local python=$1 log=$2 begin=$SECONDS pip status=0
    shift 2
    PIP_USER=0 "$python" -m pip install --disable-pip-version-check \
        --no-input "$@" >"$log" 2>&1 </dev/null &
    pip=$!
    trap 'kill "$pip" 2>/dev/null' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    local ticks=0
    while kill -0 "$pip" 2>/dev/null; do
        sleep 1
        ticks=$((ticks + 1))
        if [ $((ticks % 10)) -eq 0 ]; then
            mmkd3d_say "  $((SECONDS - begin)) s: $(grep -aoE \
                '(Collecting|Building wheel|Installing collected) [^ ]*' "$log" |
                tail -n 1)"
        fi
    done
    wait "$pip" || status=$?
    trap - EXIT INT TERM
    if [ "$status" -ne 0 ]; then
        tail -n 30 "$log" >&2
        mmkd3d_fail "pip ended with $status; its whole output: $log" "$mmkd3d_hint"
    fi
    mmkd3d_say "installed in $((SECONDS - begin)) s (log: $log)"
}

mmkd3d_use_active() {
    mmkd3d_hint='Deactivate it, and an environment is made beside it.'
    MMKD3D_PYTHON=$1/bin/python
    "$MMKD3D_PYTHON" -c 'import sys, pip; sys.exit(sys.version_info < (3, 10))' ||
        mmkd3d_fail "the active environment $1 has no pip, or a Python before 3.10." \
            "$mmkd3d_hint"
    local missing
    missing=$("$MMKD3D_PYTHON" "$mmkd3d_root/tools/missing_requirements.py")
    if [ -z "$missing" ]; then
        mmkd3d_say "using the active environment $1"
        return
    fi
    mmkd3d_say "adding to the active environment $1 (installed packages stay as they are):" \
        $missing
    local work
    work=$(mktemp -d)
    printf '%s\n' "$missing" >"$work/requirements.txt"
    "$MMKD3D_PYTHON" "$mmkd3d_root/tools/missing_requirements.py" --constraints \
        >"$work/constraints.txt"
    mmkd3d_install "$MMKD3D_PYTHON" "$work/pip.log" \
        -r "$work/requirements.txt" -c "$work/constraints.txt"
}

mmkd3d_use_cached() {
    local python version lock hash cache env
    python=$(mmkd3d_find_python) || exit 1
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    lock=$mmkd3d_root/requirements/lock/python$version.txt
    if [ "${MMKD3D_LOCK:-1}" = 0 ] || [ ! -f "$lock" ]; then
        lock=$mmkd3d_root/constraints.txt
    fi
    hash=$("$python" - "$lock" "$mmkd3d_root"/requirements/*.txt <<'PY'
import hashlib, platform, sys
digest = hashlib.sha256(f'{sys.platform} {platform.machine()}'.encode())
for path in sys.argv[1:]:
    digest.update(open(path, 'rb').read())
print(digest.hexdigest()[:10])
PY
    )
    cache=${XDG_CACHE_HOME:-${HOME:-/tmp/mmkd3d-$(id -u)}/.cache}/mmkd3d
    env=$cache/env-$version-$hash
    MMKD3D_PYTHON=$env/bin/python
    mkdir -p "$cache" || mmkd3d_fail "cannot write to $cache; set XDG_CACHE_HOME."
    # One builder at a time; the system drops the lock when its holder dies.
    (
        if command -v flock >/dev/null; then
            flock -n 9 || { mmkd3d_say "waiting for another run that makes $env"; flock 9; }
        fi
        mmkd3d_build "$python" "$env" "$lock"
    ) 9>"$env.lock" || exit 1
}

# The mark is written last: a build that was killed leaves none and is redone.
mmkd3d_build() {
    local python=$1 env=$2 lock=$3
    if [ -f "$env/.complete" ] && "$env/bin/python" -c '' 2>/dev/null; then
        mmkd3d_say "using the environment $env"
        return
    fi
    if [ -e "$env" ]; then
        mmkd3d_say "removing the half-built environment $env"
        rm -rf "$env"
    fi
    mmkd3d_say "making the environment $env with $("$python" --version)"
    "$python" -m venv "$env" || mmkd3d_fail "$python could not make $env."
    mmkd3d_say "installing requirements/env.txt with ${lock#"$mmkd3d_root"/}: some minutes, once"
    mmkd3d_hint='If a pinned version is not available, MMKD3D_LOCK=0 takes the newest versions that fit.'
    # Most modules are never imported; Python compiles those that are.
    mmkd3d_install "$env/bin/python" "$env.log" --no-compile \
        -r "$mmkd3d_root/requirements/env.txt" -c "$lock"
    touch "$env/.complete"
}

# conda's base environment is shared by everything, so nothing is added to it.
if [ -n "${VIRTUAL_ENV:-}" ]; then
    mmkd3d_use_active "$VIRTUAL_ENV"
elif [ -n "${CONDA_PREFIX:-}" ] && [ "${CONDA_DEFAULT_ENV:-base}" != base ]; then
    mmkd3d_use_active "$CONDA_PREFIX"
else
    mmkd3d_use_cached
fi
export MMKD3D_PYTHON
# Without .pyc files every process compiles torch and mmdet3d anew, for ten seconds.
unset PYTHONDONTWRITEBYTECODE
export PYTHONPATH="$mmkd3d_root${PYTHONPATH:+:$PYTHONPATH}"
