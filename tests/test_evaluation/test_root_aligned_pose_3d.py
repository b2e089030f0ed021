import numpy as np
import pytest
import torch
from mmpose.evaluation.functional.mesh_eval import compute_similarity_transform

from mmpose_pretext.evaluation import RootAlignedPose3D
from mmpose_pretext.evaluation.root_aligned_pose_3d import aligned_errors


def sample(predicted, true, visible=None, **kwargs):
    true = np.asarray(true, dtype=np.float32)
    visible = np.ones(true.shape[:1]) if visible is None else np.asarray(visible)
    return dict(
        pred_instances=dict(keypoints=np.asarray(predicted, dtype=np.float32)[None]),
        gt_instances=dict(
            keypoints_cam=true[None], keypoints_cam_visible=visible[None]
        ),
        id=3,
        img_path='a.jpg',
        **kwargs,
    )


def evaluate(samples, flip_indices=(0, 1, 2), **kwargs):
    metric = RootAlignedPose3D(**kwargs)
    metric.dataset_meta = dict(
        keypoint_id2name={0: 'root', 1: 'hip', 2: 'knee'}, flip_indices=flip_indices
    )
    metric.process({}, samples)
    return metric.evaluate(len(samples))


def test_by_hand():
    # the root is 1 m off, which root alignment forgives; the hip then is 90 mm off
    # (0, 0, 90), the knee 200 mm (0, 200, 0)
    true = [[0, 0, 3000], [100, 0, 3000], [100, 400, 3000]]
    predicted = [[0, 0, 4000], [100, 0, 4090], [100, 600, 4000]]
    first = sample(predicted, true)
    first['pred_instances']['root_depths'] = np.array([4000.0])
    result = evaluate([first])
    assert result['pose3d/MPJPE'] == pytest.approx((0 + 90 + 200) / 3)
    assert result['pose3d/3DPCK'] == pytest.approx(2 / 3)  # 0 and 90 are below 150
    # 0 is below all of the 31 but 0; 90 is below 95, ..., 150, that is 12
    assert result['pose3d/AUC'] == pytest.approx((30 + 12) / 31 / 3)
    assert result['pose3d/root_depth_error'] == pytest.approx(1000)
    # 1 m nearer, each on its ray: the hip at (75.55, 0, 3090), for 100 * 3090 / 4090 is
    # 75.55, and the knee at (75, 450, 3000)
    hip, knee = np.hypot(24.45, 90), np.hypot(25, 50)
    assert result['pose3d/MPJPE_true_root_depth'] == pytest.approx(
        (0 + hip + knee) / 3, abs=1e-3
    )
    assert result['pose3d/xy_error_true_root_depth'] == pytest.approx(
        (0 + 24.45 + knee) / 3, abs=1e-3
    )
    assert result['pose3d/z_error_true_root_depth'] == pytest.approx(90 / 3)
    names = 'MPJPE PA-MPJPE 3DPCK AUC root_depth_error'.split()
    names += [f'{name}_true_root_depth' for name in ('MPJPE', 'xy_error', 'z_error')]
    assert set(result) == {f'pose3d/{name}' for name in names}


def test_similarity_is_forgiven():
    rng = np.random.default_rng(0)
    true = rng.normal(size=(5, 3)) * 300
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    predicted = 0.4 * true @ turn + [1, 2, 3000]
    result = evaluate([sample(predicted, true)])
    assert result['pose3d/PA-MPJPE'] == pytest.approx(0, abs=1e-3)
    assert result['pose3d/MPJPE'] > 100
    mirrored = evaluate([sample(true * [-1, 1, 1], true)])
    assert mirrored['pose3d/PA-MPJPE'] > 50  # a reflection is not


def test_equals_slow_reference():
    rng = np.random.default_rng(1)
    true = rng.normal(size=(20, 6, 3)) * 200
    predicted = true + rng.normal(size=true.shape) * 80
    predicted[:5] *= [-1, 1, 1]
    visible = rng.random((20, 6)) < 0.8
    visible[:, 0] = True
    visible[:, 1:4] |= visible.sum(axis=1, keepdims=True) < 4
    fast = aligned_errors(predicted, true, visible)
    distances = []
    for p, t, v in zip(predicted, true, visible, strict=True):
        moved = compute_similarity_transform(p[v], t[v])
        distances += np.linalg.norm(moved - t[v], axis=1).tolist()
    np.testing.assert_allclose(fast[visible], distances, atol=1e-6)
    result = evaluate(
        [sample(*each) for each in zip(predicted, true, visible, strict=True)]
    )
    assert result['pose3d/PA-MPJPE'] == pytest.approx(np.mean(distances), rel=1e-4)
    slow = [
        np.linalg.norm((p[k] - p[0]) - (t[k] - t[0]))
        for p, t, v in zip(predicted, true, visible, strict=True)
        for k in range(6)
        if v[k]
    ]
    assert result['pose3d/MPJPE'] == pytest.approx(np.mean(slow), rel=1e-4)


def test_all_predictions_at_one_place():
    result = evaluate([sample(np.zeros((3, 3)), [[0, 0, 0], [3, 0, 0], [0, 3, 0]])])
    assert np.isfinite(list(result.values())).all()


def test_by_action_and_joint():
    true = np.zeros((3, 3))
    walk = sample(true + [[0] * 3, [0, 0, 10], [0] * 3], true)
    walk['raw_ann_info'] = dict(action='Walking')
    sit = sample(true + [[0] * 3, [0, 0, 30], [0, 0, 60]], true, [1, 1, 0])
    sit['raw_ann_info'] = dict(action='Sitting')
    result = evaluate([walk, sit], by_action=True, by_joint=True)
    assert result['pose3d/MPJPE/Walking'] == pytest.approx(10 / 3)
    assert result['pose3d/MPJPE/Sitting'] == pytest.approx(15)
    assert result['pose3d/PA-MPJPE/Walking'] >= 0
    assert result['pose3d/MPJPE/root'] == 0
    assert result['pose3d/MPJPE/hip'] == pytest.approx(20)
    assert result['pose3d/MPJPE/knee'] == 0
    assert result['pose3d/3DPCK/knee'] == 1
    assert result['pose3d/AUC/root'] == pytest.approx(30 / 31)
    assert result['pose3d/AUC/Sitting'] == pytest.approx((30 + 24) / 31 / 2)


def test_left_right_order():
    true = [[0, 0, 3000], [0, 0, 3100], [0, 0, 2900]]
    samples = [
        sample([[0, 0, 5000], [0, 0, 50], [0, 0, 40]], true),  # right
        sample([[0, 0, 5000], [0, 0, 40], [0, 0, 50]], true),  # wrong
        sample([[0, 0, 5000], [0, 0, 50], [0, 0, 50]], true),  # none, so wrong
        sample(true, true, [1, 1, 0]),  # the other is not labelled
        sample(true, np.zeros((3, 3))),  # equally deep
    ]
    result = evaluate(samples, flip_indices=[0, 2, 1])
    assert result['pose3d/left_right_order'] == pytest.approx(1 / 3)
    assert 'pose3d/left_right_order' not in evaluate(samples)  # nothing is mirrored
    assert 'pose3d/left_right_order' not in evaluate(samples[3:], [0, 2, 1])


def test_scored_keypoints():
    """The others count nowhere, but the root still lays poses on each other."""
    true = np.array([[0, 0, 0], [100, 0, 0], [0, 400, 0]], float)
    off = [[0, 0, 50], [0, 0, 80], [0, 0, 950]]
    first = sample(true + off, true)
    unseen = sample(true + 500, true, [1, 0, 1])  # nothing of it counts
    for scored in ([1], range(1, 2)):
        result = evaluate([first, unseen], scored=scored, by_joint=True)
        assert result['pose3d/MPJPE'] == pytest.approx(30)
        assert result['pose3d/MPJPE/hip'] == pytest.approx(30)
        assert result['pose3d/3DPCK'] == 1
        assert np.isnan(result['pose3d/MPJPE/knee'])
        # one point is moved onto the true one
        assert result['pose3d/PA-MPJPE'] == pytest.approx(0)
    both = evaluate([first], scored=[1, 2])
    assert both['pose3d/MPJPE'] == pytest.approx((30 + 900) / 2)
    for scored, message in (([], 'from 0'), ([-1], 'from 0'), ([3], 'there are 3')):
        with pytest.raises(ValueError, match=message):
            evaluate([first], scored=scored)


def test_diverged_network():
    true = np.zeros((3, 3))
    with pytest.raises(ValueError, match=r'sample 3 of a\.jpg: the prediction is not'):
        evaluate([sample(true, true), sample(true + np.nan, true)])


def test_lifter():
    true = np.random.default_rng(0).normal(size=(1, 3, 3))
    predicted = true + [[[0, 0, 0], [0, 0, 0.05], [0, 0.1, 0]]]
    lifted = dict(
        pred_instances=dict(keypoints=predicted[None]),
        gt_instances=dict(
            lifting_target=torch.from_numpy(true),
            lifting_target_visible=np.ones((1, 3)),
        ),
        target_img_path=['S9/S9_Eating_1.54138969_000001.jpg'],
    )
    result = evaluate([lifted], unit='m', by_action=True)
    assert result['pose3d/MPJPE'] == pytest.approx(50)
    assert result['pose3d/MPJPE/Eating'] == pytest.approx(50)
    assert 'pose3d/root_depth_error' not in result


def test_people_without_root_are_left_out():
    true = np.zeros((3, 3))
    whole = sample(true + [[0] * 3, [0, 0, 30], [0] * 3], true)
    rootless = sample(true + 500, true, [0, 1, 1])
    for each, depth in ((whole, 10.0), (rootless, 900.0)):
        each['pred_instances']['root_depths'] = np.array([depth])
    result = evaluate([whole, rootless])
    assert result['pose3d/MPJPE'] == pytest.approx(10)
    assert result['pose3d/root_depth_error'] == pytest.approx(10)
    with pytest.raises(ValueError, match='nobody has a labelled root'):
        evaluate([rootless])


def test_2d_only_sample():
    flat = sample(np.zeros((3, 3)), np.zeros((3, 3)))
    del flat['gt_instances']['keypoints_cam']
    with pytest.raises(ValueError, match=r'sample 3 of a\.jpg has no pose in 3D'):
        evaluate([flat])


def test_shapes_differ():
    with pytest.raises(ValueError, match=r'a\.jpg: predictions have the shape'):
        evaluate([sample(np.zeros((4, 3)), np.zeros((3, 3)))])


@pytest.mark.parametrize('wrong', [dict(unit='cm'), dict(thr=0)])
def test_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RootAlignedPose3D(**wrong)
