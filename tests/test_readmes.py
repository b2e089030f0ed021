"""The configurations that READMEs show can be used as they stand."""

import re
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.runner import Runner
from mmpose.apis import inference_topdown, init_model
from PIL import Image

ROOT = Path(__file__).parents[1]


@pytest.fixture
def block(tmp_path, monkeypatch):
    """Write a block of a README as a configuration in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def write(readme, beginning):
        text = (ROOT / readme).read_text()
        blocks = re.findall(r'```python\n(.*?)```', text, re.DOTALL)
        (code,) = (code for code in blocks if code.startswith(beginning))
        path = re.search(r"_base_ = '(configs/.*?)'", code)[1]
        (tmp_path / 'mine.py').write_text(code.replace(path, str(ROOT / path)))
        cfg = Config.fromfile('mine.py')
        cfg.work_dir = str(tmp_path)
        cfg.model.backbone.init_cfg = None  # a download
        # a random crop may cut a region, whose label then is unknown: not these
        cfg.randomness = dict(seed=0)
        cfg.train_dataloader.update(
            batch_size=2, num_workers=0, persistent_workers=False
        )
        return cfg

    return write


def photographs(*names):
    Path('photographs').mkdir()
    for name in names:
        pixels = np.full((80, 60, 3), 128, dtype=np.uint8)
        Image.fromarray(pixels).save(Path('photographs', name))


def test_presence_labels_of_ones_own(block):
    """Nothing is on the disk but the user's images and labels."""
    photographs('a.jpg', 'b.jpg')
    Path('presence').mkdir()
    rows = ['image,box_x1,box_y1,box_x2,box_y2,nose', 'a.jpg,5,5,50,75,1']
    rows.append('b.jpg,5,5,50,75,0')
    Path('presence/presence.csv').write_text('\n'.join(rows))
    cfg = block('configs/location_free/README.md', '# 2. a config that reads')
    runner = Runner.from_cfg(cfg)
    batch = next(iter(runner.build_train_loop(cfg.train_cfg).dataloader))
    labels = [s.gt_instance_labels.presence[0, 0, 0] for s in batch['data_samples']]
    assert sorted(labels) == [0, 1]
    assert runner.val_loop is None
    # and what it learns can be used
    model = init_model(cfg, device='cpu')
    (result,) = inference_topdown(model, 'photographs/a.jpg')
    assert result.pred_instances.keypoints.shape == (1, 17, 2)
