"""MIM finds configs, tools and metadata in every kind of installation."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONFIGS = sorted(
    file.relative_to(ROOT).as_posix() for file in (ROOT / 'configs').rglob('*.py')
)
STALE = 'mmpose_pretext/.mim/configs/stale.py'

BUILD = """
import sys
from setuptools import build_meta

sdist, wheel = sys.argv[1:]
build_meta.build_sdist(sdist)
build_meta.build_wheel(wheel)
"""

LOOK_UP = """
import json, sys
from mim.commands.search import get_model_info
from mim.utils import get_installed_path, is_installed, recursively_find

package = 'mmpose_pretext'
assert is_installed(package)
path = get_installed_path(package)
found = {
    name: recursively_find(path, name, followlinks=True)
    for name in json.load(sys.stdin)
}
models = get_model_info(package, shown_fields=['config'], to_dict=True)
print(json.dumps([path, found, models]))
"""


def python(*args: str, **kwargs) -> str:
    result = subprocess.run(
        [sys.executable, '-W', 'ignore', *args],
        capture_output=True,
        text=True,
        timeout=120,
        **kwargs,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    """Folders with the source, its sdist, and wheels of three kinds, unpacked."""
    folder = tmp_path_factory.mktemp('packages')
    source = folder / 'source'
    for name in ('configs', 'mmpose_pretext', 'requirements', 'tools'):
        shutil.copytree(
            ROOT / name,
            source / name,
            ignore=shutil.ignore_patterns('.mim', '__pycache__'),
        )
    for name in (
        'LICENSE MANIFEST.in README.md model-index.yml pyproject.toml setup.py'
    ).split():
        shutil.copy(ROOT / name, source)
    stale = source / 'build/lib' / STALE
    stale.parent.mkdir(parents=True)
    stale.touch()

    names = ('sdist', 'wheel', 'wheel of sdist', 'editable')
    paths = {name: folder / name for name in names} | {'source': source}
    python('-c', BUILD, paths['sdist'], paths['wheel'], cwd=source)
    paths['left behind'] = (source / 'mmpose_pretext/.mim').exists()
    sdist = next(paths['sdist'].glob('*.tar.gz'))
    options = ('-m', 'pip', 'wheel', '--no-deps', '--no-build-isolation', '-w')
    python(*options, paths['wheel of sdist'], sdist)
    # `pip wheel` has no editable form.
    code = 'from setuptools import build_meta as b; b.build_editable({!r})'
    python('-c', code.format(str(paths['editable'])), cwd=source)
    for name in names[1:]:
        with zipfile.ZipFile(next(paths[name].glob('*.whl'))) as wheel:
            wheel.extractall(paths[name])
    return paths


def look_up(site: Path) -> list:
    names = json.dumps([Path(config).name for config in CONFIGS])
    env = {**os.environ, 'PYTHONPATH': str(site)}
    return json.loads(python('-c', LOOK_UP, input=names, env=env))


def test_basenames_of_configs_are_unique():
    count = Counter(Path(config).name for config in CONFIGS)
    assert count
    assert [name for name, times in count.items() if times > 1] == []


def test_sdist(built):
    with tarfile.open(next(built['sdist'].glob('*.tar.gz'))) as sdist:
        names = {name.partition('/')[2] for name in sdist.getnames()}
    expected = {'LICENSE', 'model-index.yml', 'requirements/runtime.txt', *CONFIGS}
    assert expected <= names
    assert not any('.mim' in name or name.endswith('.pyc') for name in names)


@pytest.mark.parametrize('kind', ['wheel', 'wheel of sdist'])
def test_wheel(built, kind):
    mim = built[kind] / 'mmpose_pretext/.mim'
    assert (built[kind] / 'mmpose_pretext/registry.py').exists()
    for name in (*CONFIGS, 'model-index.yml', 'tools/train.py', 'tools/test.py'):
        assert (mim / name).read_bytes() == (ROOT / name).read_bytes()
    assert not (built[kind] / STALE).exists()
    assert not list(built[kind].rglob('__pycache__'))
    assert not built['left behind']


def test_wheel_requires_nothing_that_mmpose_would_reinstall(built):
    metadata = next(built['wheel'].glob('*.dist-info/METADATA')).read_text()
    required = {
        line.split()[1]
        for line in metadata.splitlines()
        if line.startswith('Requires-Dist:') and 'extra ==' not in line
    }
    assert required == {'lmdb', 'numpy'}


def test_editable_links_into_the_source(built):
    source = built['source']
    mim = source / 'mmpose_pretext/.mim'
    for name in ('configs', 'tools', 'model-index.yml'):
        assert not (mim / name).readlink().is_absolute()
        assert (mim / name).samefile(source / name)
    assert not list(source.glob('*.dist-info'))


@pytest.mark.parametrize('kind', ['wheel', 'editable'])
def test_lookup(built, kind):
    path, found, models = look_up(built[kind])
    owner = built['source'] if kind == 'editable' else built[kind]
    assert Path(path) == owner / 'mmpose_pretext'
    for config in CONFIGS:
        assert found[Path(config).name] == [f'{path}/.mim/{config}']
    assert models
    for model, fields in models.items():
        assert Path(path, '.mim', fields['config']).is_file(), model
