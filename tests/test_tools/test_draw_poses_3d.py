import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from mmpose.apis import init_model

from mmpose_pretext.synthetic import SceneConfig, make_dataset

ROOT = Path(__file__).parents[2]
CONFIG = (
    ROOT / 'configs/synthetic/integral-pose3d_res18-half_1xb16-12e_synthetic-64x64.py'
)


@pytest.fixture
def tool(load_tool):
    return load_tool('visualizations/poses_3d.py')


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """The files of a configuration and of a network with random weights."""
    folder = tmp_path_factory.mktemp('pose3d')
    make_dataset(folder, 3, SceneConfig((96, 128), (1, 1)), split='val', seed=1)
    cfg = Config.fromfile(CONFIG)
    cfg.test_dataloader.update(batch_size=4, num_workers=0)
    cfg.test_dataloader.dataset.data_root = str(folder)
    cfg.work_dir = str(folder / 'work')
    cfg.dump(folder / 'pose3d.py')
    torch.manual_seed(0)
    model = init_model(folder / 'pose3d.py', device='cpu')
    torch.save(dict(state_dict=model.state_dict()), folder / 'pose3d.pth')
    return folder


def arguments(run, out, *options):
    files = [str(run / 'pose3d.py'), str(run / 'pose3d.pth')]
    return [*files, '--out', str(out), *options]


def test_pictures_of_the_test_set(tool, run, tmp_path, capsys):
    """Their errors are those of the metric of the configuration."""
    assert tool.main(arguments(run, tmp_path / 'new')) == 0
    lines = capsys.readouterr().out.splitlines()[-3:]
    errors = [int(re.search(r'MPJPE (\d+) mm', line)[1]) for line in lines]
    names = sorted(path.name for path in (tmp_path / 'new').iterdir())
    assert names == [f'{i}_val_{i:06d}.png' for i in range(3)]
    picture = cv2.imread(str(tmp_path / 'new' / names[0]))
    assert picture.shape[0] >= 512  # the image, and two skeletons beside it
    assert picture.shape[1] > 2 * picture.shape[0]
    for column in np.array_split(picture, 3, axis=1):
        assert column.std() > 1

    cfg = Config.fromfile(run / 'pose3d.py')
    cfg.load_from = str(run / 'pose3d.pth')
    metrics = Runner.from_cfg(cfg).test()
    assert np.mean(errors) == pytest.approx(metrics['pose3d/MPJPE'], abs=1)


def test_nothing_is_overwritten(tool, run, tmp_path, capsys):
    (tmp_path / '0_val_000000.png').write_text('mine')
    assert tool.main(arguments(run, tmp_path, '--num', '1')) == 1
    assert '--force' in capsys.readouterr().err
    assert (tmp_path / '0_val_000000.png').read_text() == 'mine'


@pytest.mark.parametrize(
    ('options', 'message'), [(['--num', '0'], '--num must be'), ([], 'IntegralPose3D')]
)
def test_refused(tool, run, tmp_path, capsys, options, message):
    files = arguments(run, tmp_path, *options)
    if not options:
        cfg = Config.fromfile(run / 'pose3d.py')
        cfg.model.head.type = 'HeatmapHead'
        cfg.dump(tmp_path / 'other.py')
        files[0] = str(tmp_path / 'other.py')
    assert tool.main(files) == 1
    assert message in capsys.readouterr().err
