import math

import numpy as np
import pytest
from mmengine.registry import METRICS

# nose, left and right eye, left and right ear
FLIP = [0, 2, 1, 4, 3]
PLACES = np.array([[50, 50], [20, 20], [80, 20], [30, 60], [34, 60]], dtype=np.float32)


def sample(pred, places=PLACES, visible=None, box=(0, 0, 100, 50), **more):
    visible = np.ones(len(places)) if visible is None else np.array(visible)
    return dict(
        gt_instances=dict(
            keypoints=np.array(places, dtype=np.float32)[None],
            keypoints_visible=visible[None],
            bboxes=np.array([box], dtype=np.float32),
            **more,
        ),
        pred_instances=dict(keypoints=np.array(pred, dtype=np.float32)[None]),
    )


def build(flip=FLIP, **kwargs):
    metric = METRICS.build(dict(type='mmpose_pretext.LeftRightConfusion', **kwargs))
    metric.dataset_meta = dict(flip_indices=flip)
    return metric


def evaluate(samples, **kwargs):
    metric = build(**kwargs)
    metric.process({}, samples)
    result = metric.evaluate(len(samples))
    assert list(result) == ['left_right/confusion', 'left_right/correct']
    return tuple(result.values())


def slow_reference(samples, thr):
    confused = correct = total = 0
    for data in samples:
        gt, pred = data['gt_instances'], data['pred_instances']['keypoints'][0]
        x1, y1, x2, y2 = gt['bboxes'][0]
        size = max(x2 - x1, y2 - y1)
        places, visible = gt['keypoints'][0], gt['keypoints_visible'][0]
        for k, m in enumerate(FLIP):
            if k == m or not visible[k] or not visible[m] or size == 0:
                continue
            total += 1
            if math.dist(pred[k], places[k]) / size < thr:
                correct += 1
            elif math.dist(pred[k], places[m]) / size < thr:
                confused += 1
    return confused / total, correct / total


def test_by_hand():
    assert evaluate([sample(PLACES)]) == (0, 1)
    # the eyes are confused; the ears, 4 pixels apart, are right for both
    assert evaluate([sample(PLACES[FLIP])]) == (1 / 2, 1 / 2)
    # nowhere near either
    assert evaluate([sample(PLACES + 300)]) == (0, 0)
    # the nose does not count
    moved = PLACES.copy()
    moved[0] += 300
    assert evaluate([sample(moved)]) == (0, 1)
    # the left eye only, 9 pixels from the place of the right
    moved = PLACES.copy()
    moved[1] = PLACES[2] + [0, 9]
    assert evaluate([sample(moved)]) == (1 / 4, 3 / 4)
    # a tenth of the longer side of the box is not below a tenth
    moved[1] = PLACES[2] + [0, 10]
    assert evaluate([sample(moved)]) == (0, 3 / 4)
    assert evaluate([sample(moved)], thr=0.11) == (1 / 4, 3 / 4)
    own = PLACES.copy()
    own[1] += [0, 10]
    assert evaluate([sample(own)]) == (0, 3 / 4)
    # of a box of twice the size, less
    assert evaluate([sample(moved, box=(50, 0, 100, 200))]) == (1 / 4, 3 / 4)


def test_both_must_be_annotated():
    swapped = PLACES[FLIP]
    # without the right eye, neither eye counts
    assert evaluate([sample(swapped, visible=[1, 1, 0, 1, 1])]) == (0, 1)
    assert evaluate([sample(swapped, visible=[0, 1, 1, 1, 0])]) == (1, 0)
    # people weigh by their annotated keypoints: 2 of 4 and 2 of 2 confused
    people = [sample(swapped), sample(swapped, visible=[1, 1, 1, 0, 0])]
    assert evaluate(people) == pytest.approx((4 / 6, 2 / 6))
    # nothing annotated
    assert np.isnan(evaluate([sample(swapped, visible=np.zeros(5))])).all()


def test_people_without_size_do_not_count():
    nobody = sample(PLACES + 1e4, box=(10, 10, 10, 10))
    assert evaluate([nobody, sample(PLACES[FLIP])]) == (1 / 2, 1 / 2)


@pytest.mark.parametrize('seed', range(5))
def test_slow_reference_and_pck(seed):
    rng = np.random.default_rng(seed)
    samples = []
    for _ in range(40):
        places = rng.uniform(0, 100, (5, 2))
        start, size = rng.uniform(0, 50, 2), rng.uniform(40, 120, 2)
        answers = np.where(rng.random((5, 1)) < 0.5, places, places[FLIP])
        samples.append(
            sample(
                answers + rng.normal(0, 4, (5, 2)),
                places,
                visible=rng.random(5) < 0.8,
                box=(*start, *(start + size)),
            )
        )
    for thr in (0.05, 0.2):
        result = evaluate(samples, thr=thr)
        assert result == pytest.approx(slow_reference(samples, thr))
        assert min(result) > 0.05

    # where all is annotated, `correct` is MMPose's PCK of the four
    for data in samples:
        data['gt_instances']['keypoints_visible'] = np.ones((1, 5))
    correct = evaluate(samples)[1]
    for data in samples:
        data['gt_instances']['keypoints_visible'] = np.array([[0, 1, 1, 1, 1]])
    pck = METRICS.build(dict(type='mmpose.PCKAccuracy', thr=0.1, prefix='pck'))
    pck.process({}, samples)
    assert correct == pytest.approx(pck.evaluate(len(samples))['pck/PCK'])


def test_normalized_by_the_head():
    moved = PLACES.copy()
    moved[1] = PLACES[2] + [0, 9]
    data = sample(moved, head_size=np.array([20.0]))
    assert evaluate([data], norm_item='head', thr=0.5) == (1 / 4, 3 / 4)
    assert evaluate([data], norm_item='head', thr=0.4) == (0, 3 / 4)


def test_refusals():
    with pytest.raises(KeyError, match='hand is not supported'):
        build(norm_item='hand')
    with pytest.raises(ValueError, match='norm_item must be one item, but got'):
        build(norm_item=['bbox', 'head'])
    metric = build(flip=[0, 1, 2, 3, 4])
    metric.process({}, [sample(PLACES)])
    with pytest.raises(ValueError, match='flip_indices .* each is its own'):
        metric.evaluate(1)
