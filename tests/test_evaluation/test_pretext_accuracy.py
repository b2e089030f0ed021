import numpy as np
import pytest
import torch
from mmengine.registry import METRICS


def sample(label, predicted, num_classes=5):
    return dict(
        pred_instances=dict(
            labels=np.array([predicted]), label_scores=np.zeros((1, num_classes))
        ),
        gt_instance_labels=dict(pretext_labels=torch.tensor([label])),
    )


def test_by_hand():
    metric = METRICS.build(dict(type='mmpose_pretext.PretextAccuracy'))
    metric.process({}, [sample(3, 3), sample(0, 1)])
    metric.process({}, [sample(4, 4), sample(2, 2), sample(4, 0)])
    result = metric.evaluate(5)
    assert result == {
        'pretext/accuracy': pytest.approx(3 / 5),
        'pretext/chance_accuracy': pytest.approx(1 / 5),
    }
