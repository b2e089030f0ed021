"""Every type of the package is found by its scope prefix, from a cold process."""

import importlib
import json
import subprocess
import sys

import pytest
from mmengine.registry import Registry

from mmpose_pretext import registry

REGISTRIES = {
    name: child
    for name, child in vars(registry).items()
    if isinstance(child, Registry) and child.scope == registry.SCOPE
}

# Resolves the names as a runner does whose config has default_scope='mmpose'. Each
# registry has its own fork, so none profits from what another one has imported.
COLD = """
import json, os, sys
import mmengine.registry
import mmpose.codecs, mmpose.datasets, mmpose.evaluation, mmpose.models
import mmpose.registry

assert 'mmpose_pretext' not in sys.modules
mmengine.registry.init_default_scope('mmpose')
for registry, names in json.load(sys.stdin).items():
    sys.stdout.flush()
    if os.fork():
        os.wait()
        continue
    found = {}
    for library in (mmengine.registry, mmpose.registry):
        parent = getattr(library, registry, None)
        if parent is not None:
            with parent.switch_scope_and_registry(None) as current:
                for name in names:
                    module = current.get(f'mmpose_pretext.{name}').__module__
                    found.setdefault(name, []).append(module)
    print(json.dumps([registry, found]))
    break
"""


def load_all(child: Registry) -> dict[str, str]:
    for location in child._locations:
        importlib.import_module(location)
    return {name: cls.__module__ for name, cls in child.module_dict.items()}


@pytest.fixture(scope='module')
def resolved_cold():
    names = {name: sorted(load_all(child)) for name, child in REGISTRIES.items()}
    result = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', COLD],
        input=json.dumps(names),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    return dict(json.loads(line) for line in result.stdout.splitlines()), result.stderr


@pytest.mark.parametrize('name', REGISTRIES)
def test_locations(name):
    child = REGISTRIES[name]
    assert child._locations
    modules = load_all(child).values()
    assert all(module.startswith(f'{registry.SCOPE}.') for module in modules)
    assert len(child.module_dict) > 0


@pytest.mark.parametrize('name', REGISTRIES)
def test_names_resolve_by_scope_prefix(name, resolved_cold):
    resolved, errors = resolved_cold
    assert name in resolved, errors
    expected = load_all(REGISTRIES[name])
    parents = 1 if name == 'KEYPOINT_CODECS' else 2
    assert resolved[name] == {
        type_name: [module] * parents for type_name, module in expected.items()
    }
