#!/usr/bin/env bash
# Makes the environment of mmpose_pretext; `bash tools/setup_env.sh --help` says how.
set -euo pipefail

usage() {
  cat <<'EOF'
usage: bash tools/setup_env.sh [--if-needed] [--help]

Makes a Python environment with MMPose and this plugin (editable), and checks it.
The first run takes about 10 minutes, most of them to compile mmcv. The compiled
packages are kept in the user's cache, so other environments take a minute or two
and a second run a few seconds.

  --if-needed     do nothing, not even the check, if the set-up is up to date

environment variables:
  PRETEXT_VENV    where the environment is (default: .venv in the repository)
  PYTHON          the interpreter to use, 3.10 to 3.12 (default: the newest found
                  on PATH or among pyenv's versions)
  XDG_CACHE_HOME  where compiled packages are kept (default: ~/.cache)
  MAX_JOBS        compilations at once (default: by processors and memory)
EOF
}

say() { printf '%s\n' "$*"; }
die() {
  printf '\nerror: %s\n' "$*" >&2
  exit 1
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$(realpath -m "${PRETEXT_VENV:-$root/.venv}")
python=$venv/bin/python
stamp=$venv/mmpose_pretext.stamp
log=$venv/setup_env.log
constraints=$root/requirements/constraints.txt
overrides=$root/requirements/overrides.txt
wheel_cache=${XDG_CACHE_HOME:-$HOME/.cache}/mmpose_pretext/wheels
unset PYTHONHOME PYTHONPATH

if_needed=
for argument in "$@"; do
  case $argument in
    --if-needed) if_needed=1 ;;
    --help | -h) usage && exit 0 ;;
    *) usage >&2 && printf '\nerror: unknown argument %s\n' "$argument" >&2 && exit 2 ;;
  esac
done

pin() { sed -n "s/^$1==\([^ ;]*\).*/\1/p" "$constraints"; }
python_version() { "$1" -c 'import platform; print(platform.python_version())'; }
# By running it: a pyenv shim can be on PATH and still exit 127. Debian's Python
# comes without ensurepip unless python3-venv is installed.
usable() {
  "$1" -c 'import ensurepip, sys, venv
sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' >/dev/null 2>&1
}

find_python() {
  local minor candidate
  for minor in 12 11 10; do
    for candidate in "python3.$minor" \
      "${PYENV_ROOT:-$HOME/.pyenv}/versions/3.$minor".*/bin/python; do
      usable "$candidate" && command -v "$candidate" && return
    done
  done
  for candidate in python3 python; do
    usable "$candidate" && command -v "$candidate" && return
  done
  return 1
}

# What the installation depends on; another value means that it is out of date.
fingerprint() {
  {
    python_version "$python" && say "$root" &&
      cat "$root"/requirements/*.txt "$root/setup.py" \
        "$root/mmpose_pretext/version.py" "${BASH_SOURCE[0]}"
  } | sha256sum
}
up_to_date() {
  [ -x "$python" ] && [ -f "$stamp" ] && [ "$(fingerprint)" = "$(cat "$stamp")" ]
}

no_space="There is not enough disk space. Free some, or choose other disks with \
PRETEXT_VENV (the environment), XDG_CACHE_HOME (compiled packages and uv's \
downloads) and TMPDIR (the compilation), and run this again."

# run MESSAGE COMMAND...: output into the log; a failure is explained.
run() {
  local start=$SECONDS seen
  printf '%s ... ' "$1"
  shift
  seen=$(wc -c <"$log")
  printf '\n$ %s\n' "$*" >>"$log"
  if "$@" >>"$log" 2>&1 </dev/null; then
    say "$((SECONDS - start)) s"
    return
  fi
  say 'failed'
  tail -c "+$((seen + 1))" "$log" | tail -n 15 >&2
  if tail -c "+$((seen + 1))" "$log" | grep -qiE 'no space left on device'; then
    die "$no_space"
  elif tail -c "+$((seen + 1))" "$log" | grep -qiE 'newconnectionerror|connection (refused|reset)|name resolution|name or service not known|network is unreachable|dns error|error sending request|failed to fetch|timed? ?out|no route to host|proxyerror|certificate'; then
    die "The package index cannot be reached. Check the network; behind a proxy set \
HTTPS_PROXY; with a mirror set PIP_INDEX_URL (for pip) and UV_DEFAULT_INDEX (for uv) \
to its address. Then run this again: it goes on where it stopped."
  fi
  die "This step failed; its last lines are above, everything is in $log. \
After mending the cause run this again: it goes on where it stopped."
}

compiler_works() {
  local include
  include=$("$interpreter" -c 'import sysconfig; print(sysconfig.get_path("include"))')
  # CC and CXX may hold words, as in `ccache g++`.
  # shellcheck disable=SC2086
  ${CC:-cc} -x c -I"$include" -fsyntax-only - <<<'#include <Python.h>' &&
    ${CXX:-c++} -x c++ -fsyntax-only - <<<'#include <vector>'
}

preflight() {
  local need=10 free compatible
  # A complete torch is most of the environment.
  compgen -G "$venv/lib/python3*/site-packages/torch-*.dist-info" >/dev/null && need=2
  free=$(df -Pk "$venv" | awk 'NR == 2 {print int($4 / 1048576)}')
  if [ "$free" -lt "$need" ]; then
    die "$venv is on a disk with $free GB free, and about $need GB are needed. $no_space"
  fi
  compatible=$wheel_cache/cp$("$interpreter" -c 'import sys
print(*sys.version_info[:2], sep="")')-torch$(pin torch)-
  if ! compgen -G "$compatible*/mmcv-$(pin mmcv)-*.whl" >/dev/null &&
    ! compiler_works >>"$log" 2>&1; then
    die "mmcv must be compiled, and that needs a C and a C++ compiler and the headers \
of Python $(python_version "$interpreter"), which do not work here (details in $log). On Debian or \
Ubuntu: apt install build-essential python3-dev; on Fedora: dnf install gcc-c++ \
python3-devel. Or point CC and CXX to compilers. Then run this again."
  fi
}

# Prints what the wheels depend on, as in cp312-torch2.11.0-numpy2-cpu. CUDA
# operators need a GPU and the toolkit of torch's own CUDA version.
wheel_key() {
  "$python" - <<'EOF'
import re
import subprocess
import sys

import numpy
import torch

device = 'cpu'
if torch.cuda.is_available():
    from torch.utils.cpp_extension import CUDA_HOME

    nvcc = subprocess.run(
        [f'{CUDA_HOME}/bin/nvcc', '--version'], capture_output=True, text=True
    ).stdout if CUDA_HOME else ''
    release = re.search(r'release (\d+)', nvcc)
    if release and release[1] == torch.version.cuda.split('.')[0]:
        device = 'cuda{}-sm{}{}'.format(
            torch.version.cuda, *torch.cuda.get_device_capability()
        )
    else:
        print(
            f'No CUDA toolkit {torch.version.cuda}: the operators of mmcv are built '
            'for the CPU. HRNet and SimpleBaseline need none of them.',
            file=sys.stderr,
        )
print(
    'cp{}{}-torch{}-numpy{}-{}'.format(
        *sys.version_info[:2],
        torch.__version__.split('+')[0],
        numpy.__version__.split('.')[0],
        device,
    )
)
EOF
}

built() {
  compgen -G "$1/mmcv-$(pin mmcv)-*.whl" >/dev/null &&
    compgen -G "$1/xtcocotools-$(pin xtcocotools)-*.whl" >/dev/null
}

# An interrupted build leaves nothing that looks like a finished one.
build_wheels() {
  local folder=$1 jobs memory
  jobs=$(nproc)
  # A compilation takes up to 2 GB.
  memory=$(awk '/^MemAvailable/ {print int($2 / 2097152)}' /proc/meminfo)
  [ "$memory" -lt "$jobs" ] && jobs=$((memory > 0 ? memory : 1))
  (
    export MMCV_WITH_OPS=1 MAX_JOBS=${MAX_JOBS:-$jobs} CFLAGS='-w -g0'
    # mmcv would try CUDA wherever torch sees a GPU.
    [[ $folder == *-cpu ]] && export CUDA_VISIBLE_DEVICES=
    rm -rf "$folder/build" &&
      "$python" -m pip wheel --verbose --no-cache-dir --no-deps --no-build-isolation \
        --no-binary mmcv,xtcocotools -w "$folder/build" \
        "mmcv==$(pin mmcv)" "xtcocotools==$(pin xtcocotools)" &&
      mv "$folder"/build/*.whl "$folder" && rmdir "$folder/build"
  )
}

install() {
  local key folder
  [ -f "$venv/bin/activate" ] ||
    run 'Making the environment' "$interpreter" -m venv "$venv"
  # An environment that uv made has no pip.
  [ -x "$venv/bin/pip" ] || run 'Installing pip' "$python" -m ensurepip
  export VIRTUAL_ENV=$venv PATH=$venv/bin:$PATH
  local uv_install=("$python" -m uv pip install --python "$python"
    --constraints "$constraints" --overrides "$overrides")
  run 'Installing uv' "$python" -m pip install "uv==$(pin uv)"
  run 'Installing torch and build tools' \
    "${uv_install[@]}" -r "$root/requirements/build.txt"
  key=$(wheel_key)
  folder=$wheel_cache/$key
  mkdir -p "$folder"
  exec 8<"$folder"
  flock 8
  if ! built "$folder"; then
    say "Next is the compilation of mmcv, 5 to 20 minutes; tail -f '$log' shows it."
    run "Compiling mmcv and xtcocotools ($key)" build_wheels "$folder"
  fi
  exec 8<&-
  # Compiled bytecode: where Python may not write it, each start takes 15 s longer.
  run 'Installing MMPose' "${uv_install[@]}" --compile-bytecode \
    -r "$root/requirements/mminstall.txt" -r "$root/requirements/runtime.txt" \
    -r "$root/requirements/tests.txt" \
    "$folder/mmcv-$(pin mmcv)"-*.whl "$folder/xtcocotools-$(pin xtcocotools)"-*.whl
  run 'Installing mmpose_pretext (editable)' "$python" -m uv pip install \
    --python "$python" --no-deps --no-build-isolation -e "$root"
}

# Imports everything and prints the versions.
check() {
  "$python" -W ignore - <<'EOF'
import importlib
import platform
import sys

failures = []


def load(name):
    try:
        return importlib.import_module(name)
    except Exception as error:
        failures.append(f'{name}: {type(error).__name__}: {error}')


print(f'  {"python":<16}{platform.python_version()}')
for name in (
    'torch torchvision numpy cv2 mmengine mmcv mmdet mmpose mmpose_pretext'.split()
):
    module = load(name)
    print(f'  {name:<16}{module.__version__ if module else "-"}')
for name in 'mmpose.models xtcocotools.mask pycocotools.mask lmdb mim'.split():
    load(name)
ops, torch = load('mmcv.ops'), load('torch')
if ops and torch:
    print(f'  {"mmcv CUDA ops":<16}{ops.get_compiling_cuda_version()}')
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else 'none'
    print(f'  {"GPU":<16}{gpu}')
registry = load('mmpose_pretext.registry')
if registry:
    for child in vars(registry).values():
        for location in getattr(child, '_locations', []):
            if child.scope == 'mmpose_pretext':
                load(location)
for failure in failures:
    print(f'cannot import {failure}', file=sys.stderr)
sys.exit(bool(failures))
EOF
}

if [ -n "$if_needed" ] && up_to_date; then
  exit 0
fi

mkdir -p "$venv" || die "$venv cannot be made. Set PRETEXT_VENV to a folder that can."
exec 9<"$venv"
flock -n 9 || {
  say "Waiting for another set-up of $venv ..."
  flock 9
}
if [ ! -f "$venv/pyvenv.cfg" ] &&
  find "$venv" -mindepth 1 ! -name setup_env.log -print -quit | grep -q .; then
  die "$venv holds something that is not a Python environment. Set PRETEXT_VENV to \
another folder, or move that one away."
fi

if [ -f "$venv/bin/activate" ]; then
  usable "$python" || die "$python does not work, or is not Python 3.10 to 3.12. \
Remove $venv, or set PRETEXT_VENV to another folder, and run this again."
  interpreter=$python
  if [ -n "${PYTHON:-}" ] &&
    [ "$(python_version "$PYTHON" 2>&1)" != "$(python_version "$python")" ]; then
    die "$venv was made with Python $(python_version "$python"), not with \
PYTHON=$PYTHON. Remove that folder, or set PRETEXT_VENV to another one, and run this \
again."
  fi
elif [ -n "${PYTHON:-}" ]; then
  usable "$PYTHON" || die "PYTHON=$PYTHON does not run, is not Python 3.10 to 3.12, or \
lacks venv and ensurepip (Debian, Ubuntu: apt install python3-venv). Set PYTHON to \
another interpreter, or unset it to have one looked for."
  interpreter=$PYTHON
else
  interpreter=$(find_python) || die "No Python 3.10, 3.11 or 3.12 with venv and \
ensurepip was found on PATH or among pyenv's versions. Install one (Debian, Ubuntu: \
apt install python3-venv python3-dev; pyenv: pyenv install 3.12; conda: conda create \
-n py312 python=3.12) or set PYTHON to an interpreter, and run this again."
fi

if up_to_date; then
  say "$venv is up to date."
else
  : >"$log"
  preflight
  install
  fingerprint >"$stamp"
fi
say 'Checking that everything can be imported:'
check || die "The environment is not usable. If the module named above is this \
package's, mend it; else remove $venv and run this again."
say "Ready. To use it: source '$venv/bin/activate'"
