#!/usr/bin/env bash
# Runs the tests, after setting up what is missing. Arguments go to pytest:
#   bash tools/run_tests.sh                      the whole suite, coverage >= 90 %
#   bash tools/run_tests.sh tests/test_codecs    a part of it
# The environment is .venv in the repository, or $PRETEXT_VENV (see setup_env.sh).
# Tests on real data run when $PRETEXT_DATA names the folder that holds it.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$(realpath -m "${PRETEXT_VENV:-$root/.venv}")
bash "$root/tools/setup_env.sh" --if-needed
cd "$root"
export PATH="$venv/bin:$PATH" OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
# Python 3.12 traces lines at a fraction of the cost; coverage falls back on older ones
export COVERAGE_CORE="${COVERAGE_CORE:-sysmon}"
unset PYTHONHOME PYTHONPATH

options=(-p no:cacheprovider --cov=mmpose_pretext --cov-report=term)
if [ $# -eq 0 ]; then
  options+=(-n 2 --cov-fail-under=90)
fi
exec python -m pytest "${options[@]}" "$@" </dev/null
