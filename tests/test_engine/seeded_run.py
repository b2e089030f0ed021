"""A training run of seconds with everything that draws random numbers.

Imported by tests, and run as a script by the one that kills it:
``seeded_run.py WORK_DIR NUM_WORKERS`` dies by SIGKILL in its third epoch.
"""

import os
import random
import signal
import sys
import uuid

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

import mmpose_pretext  # noqa: F401, for reading checkpoints


class Noisy:
    """Samples with noise from each of the three generators."""

    metainfo = dict(sigmas=np.array([0.1, 0.2], dtype=np.float32), names=['a', 'b'])

    def __len__(self):
        return 12

    def __getitem__(self, index):
        noise = np.random.rand() + random.random() + torch.rand(3, 4, 4)  # noqa: NPY002
        return dict(inputs=index / 12 + noise, targets=torch.tensor([index / 12]))


class Net(BaseModel):
    """Convolution, BatchNorm, dropout, linear."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Dropout(0.5)
        )
        self.head = nn.Linear(16, 1)

    def forward(self, inputs, targets, mode='tensor'):
        loss = (self.head(self.body(inputs)) - targets).square().mean()
        return dict(loss=loss)


class Recorder(Hook):
    """Keep the losses and the sums of the inputs; kill the run if asked to."""

    def __init__(self, kill_at=None):
        self.kill_at = kill_at
        self.losses, self.inputs = [], []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses.append(outputs['loss'].item())
        self.inputs.append(data_batch['inputs'].sum().item())
        if (runner.epoch, batch_idx) == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


def build(work_dir, num_workers=0, hooks=(), epochs=4, **kwargs):
    """Make the runner; ``kwargs`` go to it."""
    loader = dict(
        dataset=Noisy(),
        sampler=dict(type='DefaultSampler', shuffle=True),
        batch_size=3,
        num_workers=num_workers,
        collate_fn=dict(type='default_collate'),
    )
    loader.update(kwargs.pop('loader', {}))
    kwargs.setdefault('randomness', dict(seed=7))
    kwargs.setdefault('train_cfg', dict(by_epoch=True, max_epochs=epochs))
    torch.manual_seed(0)  # The runner seeds after the model is made.
    return Runner(
        model=Net(),
        work_dir=str(work_dir),
        train_dataloader=loader,
        optim_wrapper=dict(optimizer=dict(type='Adam', lr=0.01)),
        param_scheduler=[
            dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=5),
            dict(type='MultiStepLR', milestones=[2], by_epoch=True),
        ],
        default_hooks=dict(logger=dict(type='LoggerHook', interval=2)),
        custom_hooks=list(hooks),
        experiment_name=uuid.uuid4().hex,
        **kwargs,
    )


SEED_HOOK = dict(type='mmpose_pretext.EpochSeedHook')

if __name__ == '__main__':
    build(sys.argv[1], int(sys.argv[2]), [SEED_HOOK, Recorder(kill_at=(2, 1))]).train()
