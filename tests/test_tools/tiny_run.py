"""A small HSJP run on made images, to try the launchers with."""

import importlib
import sys
from pathlib import Path

import cv2
import numpy as np
from mmengine.config import Config

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs' / 'hsjp' / 'hsjp_res50_8xb64-210e_coco-256x192.py'


def load_tool(monkeypatch, name):
    """Import a tool as Python runs it, and give it a command line of its own."""
    monkeypatch.syspath_prepend(ROOT / 'tools')
    monkeypatch.setattr(sys, 'argv', [f'{name}.py'])
    spec = importlib.util.spec_from_file_location(
        f'tools_{name}', ROOT / 'tools' / f'{name}.py'
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_config(folder):
    """Write images and the config of a run of two iterations an epoch."""
    rng = np.random.default_rng(0)
    (folder / 'img').mkdir()
    for i in range(4):
        img = rng.integers(0, 256, (64, 48, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / 'img' / f'{i}.png'), img)

    cfg = Config.fromfile(CONFIG)
    codec = dict(cfg.codec, input_size=(96, 128), heatmap_size=(24, 32), sigma=1)
    cfg.merge_from_dict(
        {
            'model.backbone.depth': 18,
            'model.head.in_channels': 512,
            'model.head.deconv_out_channels': (8, 8, 8),
            'model.head.decoder': codec,
            'train_cfg.max_epochs': 1,
            'train_cfg.val_interval': 1,
            'default_hooks.checkpoint.interval': 1,
        }
    )
    loaders = (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader)
    for loader in loaders:
        loader.batch_size = 2
        loader.num_workers = 0
        loader.persistent_workers = False
        loader.dataset.update(
            ann_file='', data_root=str(folder), data_prefix=dict(img='img')
        )
        for transform in loader.dataset.pipeline:
            if 'encoder' in transform:
                transform.encoder = codec
            if 'input_size' in transform:
                transform.input_size = codec['input_size']
    path = folder / 'tiny.py'
    cfg.dump(path)
    return path
