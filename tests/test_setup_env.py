"""tools/setup_env.sh with a stand-in for Python: its messages, order and locks."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NEEDED = (
    'awk bash cat chmod df dirname env find flock grep head ls mkdir mv nproc realpath '
    'rm rmdir sed sha256sum sleep tail touch wc'
).split()

# Answers what the script asks, writes down what it is told to install, and "builds"
# wheels. $FAKE/fail may name a word of the command that fails, with a message.
FAKE_PYTHON = r"""#!/usr/bin/env bash
echo "$*" >>"$FAKE/calls"
if [ -f "$FAKE/fail" ] && [[ "$*" == *"$(head -n 1 "$FAKE/fail")"* ]]; then
  tail -n 1 "$FAKE/fail"
  exit 1
fi
case "$*" in
  *ensurepip*,*) exit "${FAKE_UNUSABLE:-0}" ;;
  *platform.python_version*) echo 3.12.1 ;;
  *sys.version_info*) echo 312 ;;
  *sysconfig*) echo "$FAKE/include" ;;
  "-m venv "*)
    mkdir -p "$3/bin" && touch "$3/pyvenv.cfg" "$3/bin/activate" "$3/bin/pip"
    cat "$FAKE/bin/python3.12" >"$3/bin/python" && chmod +x "$3/bin/python" ;;
  "-m pip wheel "*)
    sleep "${FAKE_BUILD_SECONDS:-0}"
    while [ "$1" != -w ]; do shift; done
    mkdir -p "$2"
    touch "$2/mmcv-2.1.0-cp312.whl" "$2/xtcocotools-1.14.3-cp312.whl" ;;
  "-") cat >/dev/null && echo cp312-torch2.11.0-numpy2-cpu ;;
  "-W ignore -") cat >/dev/null && echo checked ;;
esac
"""


class Machine:
    """A folder that stands in for a computer: PATH, HOME, cache, and the repository."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / 'bin'
        self.venv = folder / 'my venv'
        self.cache = folder / 'cache/mmpose_pretext/wheels/cp312-torch2.11.0-numpy2-cpu'
        self.bin.mkdir(parents=True)
        for name in NEEDED:
            (self.bin / name).symlink_to(shutil.which(name))
        self.add('cc', 'exit 0')
        self.add('c++', 'exit 0')
        repo = folder / 'repo'
        shutil.copytree(ROOT / 'requirements', repo / 'requirements')
        for name in ('setup.py', 'tools/setup_env.sh', 'mmpose_pretext/version.py'):
            (repo / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, repo / name)
        self.requirements = repo / 'requirements/runtime.txt'
        self.command = ['bash', str(repo / 'tools/setup_env.sh')]

    def add(self, name: str, script: str) -> Path:
        file = self.bin / name
        file.write_text(
            script if script.startswith('#!') else f'#!/usr/bin/env bash\n{script}\n'
        )
        file.chmod(0o755)
        return file

    def add_python(self) -> None:
        self.add('python3.12', FAKE_PYTHON)

    def start(self, *args: str, **env: str) -> subprocess.Popen:
        env = {
            'PATH': str(self.bin),
            'HOME': str(self.folder),
            'FAKE': str(self.folder),
            'PRETEXT_VENV': str(self.venv),
            'XDG_CACHE_HOME': str(self.folder / 'cache'),
            **env,
        }
        return subprocess.Popen(
            [*self.command, *args],
            env=env,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *args: str, **env: str) -> tuple[int, str]:
        process = self.start(*args, **env)
        output = process.communicate(timeout=300)[0]
        return process.returncode, ' '.join(output.split())

    def calls(self) -> list[str]:
        return (self.folder / 'calls').read_text().splitlines()


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.fixture
def machine_with_python(machine):
    machine.add_python()
    return machine


def test_first_and_second_run(machine_with_python):
    machine = machine_with_python
    code, output = machine.run()
    assert code == 0, output
    assert output.endswith(f"source '{machine.venv}/bin/activate'")
    steps = [call for call in machine.calls() if call.startswith('-')]
    order = [
        next(i for i, call in enumerate(steps) if text in call)
        for text in (
            '-m venv',
            '-m pip install uv==',
            'build.txt',
            '-m pip wheel',
            'mminstall.txt',
            f'-e {machine.folder}/repo',
            '-W ignore -',
        )
    ]
    assert order == sorted(order)
    assert sorted(file.name for file in machine.cache.iterdir()) == [
        'mmcv-2.1.0-cp312.whl',
        'xtcocotools-1.14.3-cp312.whl',
    ]

    (machine.folder / 'calls').unlink()
    code, output = machine.run()
    assert code == 0
    assert 'is up to date. Checking' in output
    assert not any(' pip ' in call for call in machine.calls())
    assert '-W ignore -' in machine.calls()

    (machine.folder / 'calls').unlink()
    assert machine.run('--if-needed') == (0, '')
    assert '-W ignore -' not in machine.calls()


def test_changed_requirements_are_installed_with_cached_wheels(machine_with_python):
    machine = machine_with_python
    assert machine.run()[0] == 0
    machine.requirements.write_text('lmdb\n')
    (machine.folder / 'calls').unlink()
    assert machine.run('--if-needed')[0] == 0
    calls = '\n'.join(machine.calls())
    assert 'runtime.txt' in calls
    assert '-m venv' not in calls
    assert 'pip wheel' not in calls


def test_no_python(machine):
    code, output = machine.run()
    assert code == 1
    assert 'error: No Python 3.10, 3.11 or 3.12' in output
    assert 'apt install' in output


def test_python_that_does_not_run_is_passed_over(machine):
    """A pyenv shim exits 127; a version that is not on PATH is taken instead."""
    machine.add('python3.12', 'exit 127')
    version = machine.folder / 'pyenv root/versions/3.12.9/bin/python'
    version.parent.mkdir(parents=True)
    version.symlink_to(machine.bin / 'real')
    machine.add('real', FAKE_PYTHON.replace('bin/python3.12', 'bin/real'))
    code, output = machine.run(PYENV_ROOT=str(machine.folder / 'pyenv root'))
    assert code == 0, output


def test_python_override(machine_with_python):
    machine = machine_with_python
    old = machine.add('old', 'exit 1')
    code, output = machine.run(PYTHON=str(old))
    assert code == 1
    assert f'PYTHON={old} does not run, is not Python 3.10 to 3.12' in output


def test_environment_of_another_python(machine_with_python):
    machine = machine_with_python
    assert machine.run()[0] == 0
    other = machine.add('other', FAKE_PYTHON.replace('3.12.1', '3.11.7'))
    code, output = machine.run(PYTHON=str(other))
    assert code == 1
    assert 'was made with Python 3.12.1, not with PYTHON=' in output


@pytest.mark.parametrize(
    ('version', 'message'),
    [
        ('3, 9', 'is not Python 3.10 to 3.12'),
        ('3, 10', 'GB are needed'),
        ('3, 12', 'GB are needed'),
        ('3, 13', 'is not Python 3.10 to 3.12'),
    ],
)
def test_versions_of_a_real_interpreter(machine, version, message):
    code = f'import sys; sys.version_info = ({version}); exec(sys.argv[2])'
    python = machine.add('python3', f"exec '{sys.executable}' -c '{code}' \"$@\"")
    (machine.bin / 'df').unlink()
    machine.add('df', 'echo header; echo disk 9 9 1 9% /')
    code, output = machine.run(PYTHON=str(python))
    assert code == 1
    assert message in output


def test_no_compiler(machine_with_python):
    machine = machine_with_python
    machine.add('c++', 'echo fatal error: vector: No such file >&2; exit 1')
    code, output = machine.run()
    assert code == 1
    assert 'error: mmcv must be compiled' in output
    assert 'apt install build-essential' in output
    assert not any('-m venv' in call for call in machine.calls())
    assert 'No such file' in (machine.venv / 'setup_env.log').read_text()


def test_no_compiler_is_needed_when_wheels_are_cached(machine_with_python):
    machine = machine_with_python
    (machine.bin / 'c++').unlink()
    machine.cache.mkdir(parents=True)
    for name in ('mmcv-2.1.0-cp312.whl', 'xtcocotools-1.14.3-cp312.whl'):
        (machine.cache / name).touch()
    assert machine.run()[0] == 0
    assert not any('pip wheel' in call for call in machine.calls())


def test_low_disk(machine_with_python):
    machine = machine_with_python
    (machine.bin / 'df').unlink()
    machine.add('df', 'echo header; echo disk 9 9 4194304 9% /')
    code, output = machine.run()
    assert code == 1
    assert 'with 4 GB free, and about 10 GB are needed' in output
    assert 'XDG_CACHE_HOME' in output
    # With torch in place the rest fits.
    (machine.venv / 'lib/python3.12/site-packages/torch-2.11.0.dist-info').mkdir(
        parents=True
    )
    (machine.venv / 'pyvenv.cfg').touch()
    assert machine.run()[0] == 0


@pytest.mark.parametrize(
    ('step', 'line', 'message'),
    [
        ('pip install uv', 'NewConnectionError: refused', 'index cannot be reached'),
        ('build.txt', 'error: Failed to fetch: torch', 'index cannot be reached'),
        ('mminstall.txt', 'No space left on device', 'not enough disk space'),
        ('mminstall.txt', 'No solution found', 'This step failed'),
    ],
)
def test_failing_step_and_going_on(machine_with_python, step, line, message):
    machine = machine_with_python
    (machine.folder / 'fail').write_text(f'{step}\n{line}\n')
    code, output = machine.run()
    assert code == 1
    assert line in output
    assert message in output
    (machine.folder / 'fail').unlink()
    assert machine.run()[0] == 0


def test_interrupted_build_leaves_no_wheel(machine_with_python):
    machine = machine_with_python
    process = machine.start(FAKE_BUILD_SECONDS='300')
    calls = machine.folder / 'calls'
    deadline = time.monotonic() + 120
    while not (calls.exists() and 'pip wheel' in calls.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    half = machine.cache / 'build/mmcv-2.1.0-cp312.whl'
    half.parent.mkdir(exist_ok=True)
    half.touch()
    calls.unlink()
    assert machine.run()[0] == 0
    assert any('pip wheel' in call for call in machine.calls())
    assert not half.parent.exists()


def test_concurrent_runs_build_once(machine_with_python):
    machine = machine_with_python
    runs = [machine.start(FAKE_BUILD_SECONDS='0.5') for _ in range(2)]
    outputs = [run.communicate(timeout=300)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs
    assert sum('pip wheel' in call for call in machine.calls()) == 1
    assert sum('Waiting for another' in output for output in outputs) == 1


def test_folder_that_is_not_an_environment(machine_with_python):
    machine = machine_with_python
    machine.venv.mkdir()
    (machine.venv / 'thesis.tex').touch()
    code, output = machine.run()
    assert code == 1
    assert 'not a Python environment' in output
    assert os.listdir(machine.venv) == ['thesis.tex']


def test_arguments(machine):
    code, output = machine.run('--force')
    assert code == 2
    assert 'unknown argument --force' in output
    code, output = machine.run('--help')
    assert code == 0
    assert 'PRETEXT_VENV' in output
