import logging
import math

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.registry import METRICS

from mmpose_pretext.evaluation.presence_ap import average_precision


def slow_average_precision(scores, present):
    """Go through every threshold and count."""
    total, recall_before = 0, 0
    for threshold in sorted(set(scores), reverse=True):
        chosen = [i for i, score in enumerate(scores) if score >= threshold]
        hits = sum(present[i] for i in chosen)
        recall = hits / sum(present)
        total += (recall - recall_before) * hits / len(chosen)
        recall_before = recall
    return total


def sample(labels, scores):
    return dict(
        gt_instance_labels=dict(presence=torch.tensor(labels, dtype=torch.float)[None]),
        pred_instances=dict(presence=np.array(scores, dtype=np.float32)[None]),
    )


def build(num_keypoints=3, **kwargs):
    metric = METRICS.build(dict(type='mmpose_pretext.PresenceAP', **kwargs))
    names = ['nose', 'left_eye', 'right_eye'][:num_keypoints]
    metric.dataset_meta = dict(keypoint_id2name=dict(enumerate(names)))
    return metric


@pytest.mark.parametrize(
    ('scores', 'present', 'expected'),
    [
        # precision 1/1, 2/3 and 3/4 where the recall rises by a third
        ([0.9, 0.8, 0.7, 0.6, 0.5], [1, 0, 1, 1, 0], (1 + 2 / 3 + 3 / 4) / 3),
        ([0.1, 0.2, 0.9], [1, 0, 0], 1 / 3),
        ([3, 2, 1], [1, 1, 0], 1),
        # equal scores come in together: half of the four, whatever their order
        ([0.5, 0.5, 0.5, 0.5], [1, 1, 0, 0], 1 / 2),
        ([0.5, 0.5, 0.5, 0.5], [0, 0, 1, 1], 1 / 2),
        # 1/1, then three at once: 3/4 for two thirds of the recall
        ([0.9, 0.5, 0.5, 0.5, 0.1], [1, 0, 1, 1, 0], (1 + 2 * 3 / 4) / 3),
    ],
)
def test_average_precision_by_hand(scores, present, expected):
    result = average_precision(np.array(scores), np.array(present, dtype=bool))
    assert result == pytest.approx(expected)


@pytest.mark.parametrize('levels', [3, 20, 10**9])
@pytest.mark.parametrize('seed', range(5))
def test_average_precision_is_that_of_a_slow_reference(levels, seed):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, levels, 60) / levels
    present = rng.random(60) < 0.3
    expected = slow_average_precision(scores.tolist(), present.tolist())
    assert average_precision(scores, present) == pytest.approx(expected)
    order = rng.permutation(60)
    again = average_precision(scores[order], present[order])
    assert again == pytest.approx(expected)


def test_regions_of_all_people_are_ranked_together_without_unknowns():
    metric = build(per_keypoint=True)
    metric.process(
        {},
        [
            sample([[1, 0, 1], [0, -1, 0]], [[0.9, 0.2, 0.3], [0.8, 0.9, 0.2]]),
            # another number of regions
            sample([[1, 1, -1]], [[0.7, 0.1, 1.0]]),
        ],
    )
    metric.process({}, [sample([[0, 1, -1]], [[0.6, 0.3, 0.0]])])
    result = metric.evaluate(3)
    eye = (1 + 2 / 3) / 2
    assert result == {
        'presence/AP/nose': pytest.approx((1 + 2 / 3) / 2),
        # 0.3 present, 0.2 absent, 0.1 present; the unknown at 0.9 is not in the list
        'presence/AP/left_eye': pytest.approx(eye),
        'presence/AP/right_eye': pytest.approx(1),
        'presence/mAP': pytest.approx((eye + eye + 1) / 3),
        'presence/base_rate': pytest.approx((1 / 2 + 2 / 3 + 1 / 2) / 3),
    }
    short = build()
    short.process({}, [sample([[1, 0, 1], [0, 1, 0]], np.ones((2, 3)))])
    assert set(short.evaluate(1)) == {'presence/mAP', 'presence/base_rate'}


def test_nothing_learned_is_at_the_base_rate():
    rng = np.random.default_rng(0)
    labels = rng.random((500, 8, 3)) < [0.1, 0.5, 0.9]
    constant, random = np.full(labels.shape, 0.5), rng.random(labels.shape)
    for scores, error in ((constant, 1e-6), (random, 0.03)):
        metric = build()
        metric.process({}, [sample(*pair) for pair in zip(labels, scores, strict=True)])
        result = metric.evaluate(len(labels))
        assert result['presence/mAP'] == pytest.approx(
            result['presence/base_rate'], abs=error
        )
        assert result['presence/base_rate'] == pytest.approx(0.5, abs=0.02)


def test_keypoints_with_one_kind_of_label_are_left_out_and_named_once(caplog):
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    try:
        metric = build(per_keypoint=True)
        for _ in range(2):
            metric.process(
                {},
                [sample([[1, 1, -1], [-1, 0, 0]], [[0.1, 0.2, 0.5], [0.9, 0.3, 0.1]])],
            )
            result = metric.evaluate(1)
    finally:
        logger.removeHandler(caplog.handler)
    assert result == {
        'presence/mAP': pytest.approx(1 / 2),
        'presence/base_rate': pytest.approx(1 / 2),
        'presence/AP/left_eye': pytest.approx(1 / 2),
    }
    (warning,) = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert 'nose, right_eye; they are left out' in warning.getMessage()


def test_undefined_and_nan():
    metric = build()
    metric.process({}, [sample([[1, 1, 1]], [[0.1, 0.2, 0.3]])])
    assert all(math.isnan(value) for value in metric.evaluate(1).values())
    metric.process(
        {}, [sample([[1, 1, 1], [0, 0, 0]], [[math.nan, 1, 1], [0.5, 0, 0]])]
    )
    result = metric.evaluate(1)
    assert math.isnan(result['presence/mAP'])
    assert result['presence/base_rate'] == 0.5


def test_missing_labels_predictions_and_other_shapes():
    whole = sample([[1, 0, 1]], [[0.1, 0.2, 0.3]])
    metric = build()
    for labels in (dict(), dict(gt_instance_labels=dict(keypoint_weights=1))):
        data = dict(labels, pred_instances=whole['pred_instances'])
        with pytest.raises(ValueError, match='PresenceWindows') as info:
            metric.process({}, [data])
        assert 'GenerateTarget' in str(info.value)
        assert 'mmpose_pretext.PresenceLabel' in str(info.value)
    with pytest.raises(ValueError, match=r'the head gives no pred_instances\.presence'):
        metric.process({}, [whole | dict(pred_instances=dict(keypoints=0))])
    other = whole | dict(pred_instances=dict(presence=np.zeros((1, 2, 3))))
    with pytest.raises(ValueError, match=r'\(1, 1, 3\), but predictions of shape'):
        metric.process({}, [other])
