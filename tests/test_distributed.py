"""HSJP training in two processes on the CPU (gloo)."""

import os

import cv2
import numpy as np
import pytest
import torch
import torch.distributed
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

PEOPLE = 8


class Recorder(Hook):
    """Keeps the puzzles that a process draws, and its losses."""

    def __init__(self):
        self.puzzles, self.losses = [], []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.puzzles += [
            (sample.img_id, tuple(sample.jigsaw_permutation.tolist()))
            for sample in data_batch['data_samples']
        ]
        self.losses.append(outputs['loss'].item())


def run_config(folder, work_dir):
    codec = dict(
        type='mmpose_pretext.JigsawHeatmap',
        input_size=(64, 64),
        heatmap_size=(16, 16),
        sigma=1,
        grid=(2, 2),
    )
    pipeline = [
        dict(type='mmpose_pretext.LoadImageStrict'),
        dict(type='GetBBoxCenterScale'),
        dict(type='RandomFlip', direction='horizontal'),
        dict(type='RandomBBoxTransform'),
        dict(type='TopdownAffine', input_size=codec['input_size']),
        dict(type='mmpose_pretext.JigsawShuffle', grid=codec['grid']),
        dict(type='GenerateTarget', encoder=codec),
        dict(type='PackPoseInputs', meta_keys=('img_id', 'jigsaw_permutation')),
    ]
    return Config(
        dict(
            default_scope='mmpose',
            launcher='pytorch',
            work_dir=str(work_dir),
            randomness=dict(seed=0),
            model=dict(
                type='TopdownPoseEstimator',
                data_preprocessor=dict(type='PoseDataPreprocessor'),
                backbone=dict(type='ResNet', depth=18),
                head=dict(
                    type='HeatmapHead',
                    in_channels=512,
                    out_channels=4,
                    deconv_out_channels=(8, 8, 8),
                    decoder=codec,
                ),
            ),
            # MMEngine would ask for a GPU
            model_wrapper_cfg=dict(
                type='MMDistributedDataParallel',
                device_ids=None,
                broadcast_buffers=False,
            ),
            train_dataloader=dict(
                batch_size=2,
                num_workers=0,
                sampler=dict(type='DefaultSampler', shuffle=True),
                dataset=dict(
                    type='mmpose_pretext.PersonCropDataset',
                    data_prefix=dict(img=str(folder)),
                    pipeline=pipeline,
                ),
            ),
            train_cfg=dict(by_epoch=True, max_epochs=2),
            optim_wrapper=dict(optimizer=dict(type='Adam', lr=1e-3)),
            custom_hooks=[
                dict(type='SyncBuffersHook'),
                dict(type='mmpose_pretext.EpochSeedHook'),
            ],
            log_level='WARNING',
        )
    )


def train(rank, folder, out):
    """Train twice, in one of two processes."""
    torch.set_num_threads(1)
    os.environ['LOCAL_RANK'] = str(rank)  # MMEngine reads it
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{out}/rendezvous', rank=rank, world_size=2
    )
    runs = []
    for i in range(2):
        cfg = run_config(folder, out / str(i))
        cfg.experiment_name = f'run{i}'
        runner = Runner.from_cfg(cfg)
        recorder = Recorder()
        runner.register_hook(recorder)
        model = runner.train()
        runs.append(
            dict(
                puzzles=recorder.puzzles,
                losses=recorder.losses,
                state=model.module.state_dict(),
            )
        )
    torch.save(runs, out / f'{rank}.pth')


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    """Return runs[rank][i] of two processes that train twice, i = 0 and 1."""
    out = tmp_path_factory.mktemp('distributed')
    folder = out / 'people'
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(PEOPLE):
        img = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f'{i}.png'), img)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('CUDA_VISIBLE_DEVICES', '')
        torch.multiprocessing.spawn(train, (folder, out), nprocs=2)
    return [torch.load(out / f'{rank}.pth') for rank in range(2)]


def test_processes_share_the_people(runs):
    """Both see half of the people in an epoch, and other puzzles."""
    puzzles = [process[0]['puzzles'] for process in runs]
    assert [len(p) for p in puzzles] == [PEOPLE, PEOPLE]  # in two epochs
    for epoch in (slice(0, 4), slice(4, 8)):
        people = [{person for person, _ in p[epoch]} for p in puzzles]
        assert people[0] | people[1] == set(range(PEOPLE))
        permutations = [[order for _, order in p[epoch]] for p in puzzles]
        assert permutations[0] != permutations[1]
    for p in puzzles:
        assert [order for _, order in p[:4]] != [order for _, order in p[4:]]


def test_parameters_stay_equal(runs):
    states = [process[0]['state'] for process in runs]
    assert runs[0][0]['losses'] != runs[1][0]['losses']
    for key, value in states[0].items():
        assert torch.equal(value, states[1][key]), key


def test_same_seed_same_run(runs):
    for first, second in runs:
        assert first['puzzles'] == second['puzzles']
        assert first['losses'] == second['losses']
        for key, value in first['state'].items():
            assert torch.equal(value, second['state'][key]), key
