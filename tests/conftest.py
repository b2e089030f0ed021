import os
import sys
from importlib import util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope='session')
def load_tool():
    """Import a script of tools/ by its path below that folder."""

    def load(path):
        name = Path(path).stem
        spec = util.spec_from_file_location(name, ROOT / 'tools' / path)
        module = util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope='session')
def demo_dir(tmp_path_factory):
    """A folder as the demo makes it: a little data, and two short runs."""
    from mmengine.config import Config
    from mmengine.runner import Runner

    from mmpose_pretext.synthetic import SceneConfig, make_dataset

    folder = tmp_path_factory.mktemp('demo')
    before = Path.cwd()
    os.chdir(folder)
    try:
        scene = SceneConfig(image_size=(96, 96), people=(1, 1))
        for split in ('unlabelled', 'train', 'val'):
            make_dataset('data/synthetic', 4, scene, split=split)
        for name in (
            'hsjp_res18-half_1xb16-12e_synthetic-96x64',
            'td-hm_res18-half_scratch_1xb16-30e_synthetic-96x64',
        ):
            cfg = Config.fromfile(ROOT / 'configs' / 'synthetic' / f'{name}.py')
            cfg.work_dir = f'work_dirs/{name}'
            cfg.train_cfg = dict(by_epoch=True, max_epochs=1, val_interval=1)
            cfg.default_hooks.logger.interval = 1
            for loader in (cfg.train_dataloader, cfg.val_dataloader):
                loader.update(batch_size=2, num_workers=0)
            cfg.experiment_name = cfg.visualizer.name = f'{name}_demo_dir'
            runner = Runner.from_cfg(cfg)
            runner.train()
            cfg.dump(f'work_dirs/{name}/{name}.py')
    finally:
        os.chdir(before)
    return folder
