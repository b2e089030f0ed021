import math
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample

from mmpose_pretext.models.heads import PretextClassificationHead
from mmpose_pretext.synthetic import SceneConfig, make_dataset

CONFIGS = Path(__file__).parents[3] / 'configs' / 'hsjp'
NUM_CLASSES = {
    'permutation_res18_1xb32-8e_lspet-128x96': 100,
    'rotation_res18_1xb32-8e_lspet-128x96': 4,
}


def labelled(*labels):
    samples = []
    for label in labels:
        sample = PoseDataSample(
            metainfo=dict(input_center=0, input_scale=1, input_size=1)
        )
        sample.gt_instances = InstanceData(bboxes=np.zeros((1, 4)), bbox_scores=[1])
        sample.gt_instance_labels = InstanceData(pretext_labels=torch.tensor([label]))
        samples.append(sample)
    return samples


def test_loss_by_hand():
    torch.manual_seed(0)
    head = PretextClassificationHead(in_channels=6, num_classes=3)
    last = torch.randn(2, 6, 4, 5)
    losses = head.loss((torch.randn(2, 3, 8, 8), last), labelled(2, 0))
    weight, bias = head.fc.weight.detach().numpy(), head.fc.bias.detach().numpy()
    expected, right = [], []
    for image, label in zip(last.numpy(), (2, 0), strict=True):
        logits = [w @ [channel.mean() for channel in image] for w in weight] + bias
        expected.append(math.log(sum(map(math.exp, logits))) - logits[label])
        right.append(logits.argmax() == label)
    assert losses['loss_pretext'].item() == pytest.approx(np.mean(expected), rel=1e-5)
    assert losses['acc_pretext'].item() == np.mean(right)


def test_predictions():
    head = PretextClassificationHead(in_channels=3, num_classes=3)
    torch.nn.init.eye_(head.fc.weight)
    torch.nn.init.zeros_(head.fc.bias)
    feats = (torch.tensor([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]])[..., None, None],)
    predictions = head.predict(feats, labelled(0, 0), test_cfg=dict(flip_test=False))
    assert [p.labels.tolist() for p in predictions] == [[1], [0]]
    weights = np.exp([0, 2, 1])
    np.testing.assert_allclose(
        predictions[0].label_scores, [weights / weights.sum()], rtol=1e-5
    )
    assert predictions[0].keypoints.shape == (1, 0, 2)
    assert predictions[0].keypoint_scores.shape == (1, 0)


def test_bad_arguments():
    with pytest.raises(ValueError, match='num_classes must be .* got 1'):
        PretextClassificationHead(in_channels=3, num_classes=1)
    head = PretextClassificationHead(in_channels=3, num_classes=2)
    with pytest.raises(ValueError, match='flip_test=True'):
        head.predict([(torch.ones(1, 3, 2, 2),)] * 2, [], dict(flip_test=True))


@pytest.mark.parametrize(
    ('backbone', 'channels'),
    [
        (dict(type='ResNet', depth=18, base_channels=8, stem_channels=8), 64),
        (
            dict(
                type='HRNet',
                in_channels=3,
                extra={
                    f'stage{n}': dict(
                        num_modules=1,
                        num_branches=max(n, 1),
                        block='BASIC' if n > 1 else 'BOTTLENECK',
                        num_blocks=(1,) * n,
                        num_channels=(4, 8, 16, 32)[:n],
                    )
                    for n in (1, 2, 3, 4)
                },
            ),
            4,
        ),
    ],
    ids=['ResNet', 'HRNet'],
)
def test_stock_estimator_learns_and_predicts(backbone, channels):
    init_default_scope('mmpose')
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='TopdownPoseEstimator',
            backbone=backbone,
            head=dict(
                type='mmpose_pretext.PretextClassificationHead',
                in_channels=channels,
                num_classes=4,
            ),
        )
    )
    inputs = torch.randn(2, 3, 64, 64)
    losses = model(inputs, labelled(1, 3), mode='loss')
    loss, log_vars = model.parse_losses(losses)
    assert loss.item() == losses['loss_pretext'].item()  # accuracy is logged only
    assert 'acc_pretext' in log_vars
    loss.backward()
    gradients = [parameter.grad for parameter in model.parameters()]
    assert all(g is not None and g.isfinite().all() for g in gradients)
    assert sum(g.abs().sum() for g in gradients[:2]) > 0  # the first convolution

    model.eval()
    with torch.no_grad():
        samples = model(inputs, labelled(1, 3), mode='predict')
    for found in samples:
        assert found.pred_instances.labels.shape == (1,)
        assert found.pred_instances.label_scores.shape == (1, 4)
        assert found.pred_instances.bboxes.shape == (1, 4)


@pytest.fixture(scope='module')
def people(tmp_path_factory):
    folder = tmp_path_factory.mktemp('people')
    make_dataset(folder, 4, SceneConfig(image_size=(96, 96), people=(1, 1)))
    return folder


@pytest.mark.parametrize('name', NUM_CLASSES)
def test_config_trains_and_tests(name, people, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    cfg.work_dir = str(tmp_path)
    cfg.experiment_name = cfg.visualizer.name = f'{name}_test'
    cfg.train_cfg.update(max_epochs=1, val_interval=1)
    cfg.model.backbone.update(base_channels=16, stem_channels=16)
    cfg.model.head.in_channels = 128
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(batch_size=2, num_workers=0)
        loader.dataset.update(
            data_root=str(people),
            ann_file='annotations/person_keypoints_train.json',
            data_prefix=dict(img='images/'),
        )
    runner = Runner.from_cfg(cfg)
    runner.train()
    history = runner.message_hub.log_scalars
    assert np.isfinite(history['train/loss_pretext'].data[0]).all()
    assert 0 <= history['train/acc_pretext'].current() <= 1

    results = runner.test()
    assert set(results) == {'pretext/accuracy', 'pretext/chance_accuracy'}
    assert results['pretext/accuracy'] in (0, 0.25, 0.5, 0.75, 1)
    assert results['pretext/chance_accuracy'] == 1 / NUM_CLASSES[name]
    assert runner.test() == results  # fixed labels
