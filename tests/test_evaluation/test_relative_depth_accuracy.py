import numpy as np
import pytest
import torch
from mmengine.registry import METRICS


def build(**kwargs):
    return METRICS.build(dict(type='mmpose_pretext.RelativeDepthAccuracy', **kwargs))


def sample(
    predicted, pairs=(), relations=(), visible=None, true=None, true_keypoints=None
):
    """Make a sample; one row of ``predicted`` is one person's keypoints."""
    predicted = np.array(predicted, dtype=np.float32)
    if visible is None:
        visible = np.ones(predicted.shape)
    result = dict(
        gt_instances=dict(),
        gt_instance_labels=dict(
            depth_points_visible=torch.tensor(visible)[None] > 0,
            depth_pairs=torch.tensor(pairs, dtype=torch.int64).reshape(1, -1, 2),
            depth_relations=torch.tensor(relations, dtype=torch.float32)[None],
        ),
        pred_instances=dict(
            depths=predicted.mean(axis=1), keypoint_depths=torch.tensor(predicted)
        ),
    )
    if true is not None:
        result['gt_instances']['depths'] = np.array(true)
    if true_keypoints is not None:
        result['gt_instances']['keypoint_depths'] = np.array(true_keypoints)
    return result


def evaluate(samples, flip_indices=(), **kwargs):
    metric = build(**kwargs)
    metric.dataset_meta = dict(flip_indices=flip_indices)
    metric.process({}, samples)
    return metric.evaluate(len(samples))


def test_by_hand():
    # true 4.0, 2.0, 2.3, 9.0; only 9.0 against 4.0 is predicted wrong
    first = sample(
        [[5.0], [1.0], [1.5], [4.0]],
        pairs=[[0, 1], [3, 0], [1, 3]],
        relations=[1, 1, -1],
        true=[4.0, 2.0, 2.3, 9.0],
    )
    # another image: its labels only, one right and one wrong
    second = sample([[1.0], [2.0]], pairs=[[0, 1], [1, 0]], relations=[-1, -1])
    assert evaluate([first, second], gap_bins=(1, 3)) == {
        'depth/label_accuracy': pytest.approx(3 / 5),
        'depth/accuracy': pytest.approx(5 / 6),
        'depth/accuracy/labelled': pytest.approx(2 / 3),
        'depth/accuracy/unlabelled': pytest.approx(1),
        'depth/accuracy/0-1': pytest.approx(1),  # 0.3
        'depth/accuracy/1-3': pytest.approx(1),  # 2.0, 1.7
        'depth/accuracy/3-inf': pytest.approx(2 / 3),  # 5.0, 7.0, 6.7
    }


def slow(samples, edges, mirrored):
    """Count by loops."""
    counts = {}

    def count(name, right):
        counts.setdefault(name, []).append(right)

    def right(gap, true_gap):
        return (gap > 0 and true_gap > 0) or (gap < 0 and true_gap < 0)

    for item in samples:
        labels = item['gt_instance_labels']
        visible = labels['depth_points_visible'][0].tolist()
        pairs = labels['depth_pairs'][0].tolist()
        depths = item['pred_instances']['depths'].tolist()
        keypoints = item['pred_instances']['keypoint_depths'].tolist()
        true = item['gt_instances']['depths'].tolist()
        true_keypoints = item['gt_instances']['keypoint_depths'].tolist()
        for (i, j), relation in zip(pairs, labels['depth_relations'][0], strict=True):
            count('label_accuracy', right(depths[i] - depths[j], relation))
        for i in range(len(true)):
            for j in range(i):
                gap = true[i] - true[j]
                if gap != gap or gap == 0 or not (any(visible[i]) and any(visible[j])):
                    continue
                correct = right(depths[i] - depths[j], gap)
                count('accuracy', correct)
                known = [i, j] in pairs or [j, i] in pairs
                count(f'accuracy/{"" if known else "un"}labelled', correct)
                for low, high in edges:
                    if low <= abs(gap) < high:
                        count(f'accuracy/{low:g}-{high:g}', correct)
            for k in range(len(visible[i])):
                for m in range(k):
                    gap = true_keypoints[i][k] - true_keypoints[i][m]
                    if visible[i][k] and visible[i][m] and gap == gap and gap != 0:
                        predicted = keypoints[i][k] - keypoints[i][m]
                        count('within_accuracy', right(predicted, gap))
                        if {k, m} == mirrored:
                            count('within_accuracy/left_right', right(predicted, gap))
    return {f'depth/{k}': np.mean(v) for k, v in counts.items()}


def test_agrees_with_a_slow_count():
    rng = np.random.default_rng(0)
    samples = []
    for people in (2, 3, 5, 8):
        true = rng.uniform(1, 5, people).round(1)
        true[rng.random(people) < 0.1] = np.nan
        keypoints = (true[:, None] + rng.normal(0, 0.3, (people, 4))).round(1)
        keypoints[rng.random((people, 4)) < 0.1] = np.nan
        visible = rng.random((people, 4)) < 0.6
        visible[0] = people == 2
        i, j = np.triu_indices(people, 1)
        chosen = visible.any(axis=1)[i] & visible.any(axis=1)[j] & ((i + j) % 3 > 0)
        samples.append(
            sample(
                rng.normal(0, 1, (people, 4)).round(1),
                np.stack([j, i], axis=1)[chosen],
                rng.choice([-1, 1], chosen.sum()),
                visible,
                true,
                keypoints,
            )
        )
    edges = [(0, 0.5), (0.5, 1), (1, 2), (2, np.inf)]
    expected = slow(samples, edges, {1, 2})
    assert len(expected) == 10
    assert evaluate(samples, [0, 2, 1, 3]) == pytest.approx(expected)
    del expected['depth/within_accuracy/left_right']
    assert evaluate(samples) == pytest.approx(expected)


def test_no_order_and_nan_are_wrong():
    for value in (1.0, np.nan):
        result = evaluate(
            [
                sample(
                    np.full((3, 2), value),
                    pairs=[[0, 1], [1, 0]],
                    relations=[1, -1],
                    true=[1, 2, 3],
                    true_keypoints=[[1, 2], [2, 3], [3, 4]],
                )
            ]
        )
        assert set(result.values()) == {0}


def test_equal_true_depths_do_not_count():
    predicted = [[3.0, 1.0], [1.0, 2.0], [4.0, 4.0]]
    true = [[2.0, 2.0], [2.0, 2.5], [3.0, 3.0]]
    result = evaluate([sample(predicted, true=[2, 2, 3], true_keypoints=true)])
    assert result['depth/accuracy'] == 1
    assert result['depth/within_accuracy'] == 1


def test_true_depths_of_flipped_sign_tell_nothing_right():
    depths = np.array([[3.0], [1.0], [2.0]])
    assert evaluate([sample(depths, true=depths[:, 0])])['depth/accuracy'] == 1
    assert evaluate([sample(depths, true=-depths[:, 0])])['depth/accuracy'] == 0


def test_bad_input():
    whole = sample([[1.0], [2.0]], pairs=[[0, 1]], relations=[1])
    metric = build()
    for labels in (dict(), dict(gt_instance_labels=dict(keypoint_weights=1))):
        with pytest.raises(ValueError, match='RelativeDepthLabel'):
            metric.process({}, [dict(labels, pred_instances=whole['pred_instances'])])
    with pytest.raises(ValueError, match='needs depths, but .*RelativeDepthHead'):
        metric.process({}, [whole | dict(pred_instances=dict(keypoints=0))])
    for bins in ((0, 1), (1, 1), (2, 1), (-1,)):
        with pytest.raises(ValueError, match='gap_bins must be positive and rising'):
            build(gap_bins=bins)
    with pytest.raises(ValueError, match='neither a labelled pair nor'):
        evaluate([sample([[1.0], [2.0]])])
