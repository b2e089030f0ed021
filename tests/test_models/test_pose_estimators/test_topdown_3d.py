import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample

from mmpose_pretext.evaluation.root_aligned_pose_3d import move_in_depth
from mmpose_pretext.models.pose_estimators import topdown_3d

K = 3
FOCAL = np.array([[500.0, 400.0]], dtype=np.float32)
CENTRE = np.array([[60.0, 40.0]], dtype=np.float32)


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmpose')


def estimator(**test_cfg):
    return MODELS.build(
        dict(
            type='mmpose_pretext.TopdownPose3DEstimator',
            backbone=dict(type='ResNet', depth=18, base_channels=4, stem_channels=4),
            head=dict(
                type='mmpose_pretext.IntegralPose3DHead',
                in_channels=32,
                num_keypoints=K,
                root_depth=True,
                deconv_out_channels=(4, 4, 4),
                decoder=dict(
                    type='mmpose_pretext.IntegralPose3D',
                    input_size=(64, 64),
                    heatmap_size=(16, 16, 4),
                ),
            ),
            test_cfg=test_cfg,
        )
    ).eval()


def truth():
    """A person at 3 m, whose crop is 50 pixels wide and 100 high."""
    points = np.array(
        [[[100, 50, 3000], [-200, 400, 3200], [0, -300, 2900]]], dtype=np.float32
    )
    pixels = points[..., :2] / points[..., 2:] * FOCAL + CENTRE
    sample = PoseDataSample(
        metainfo=dict(
            img_path='a.jpg', id=7, ori_shape=(100, 200), flip_indices=[0, 2, 1],
            input_center=np.array([70.0, 50.0]), input_scale=np.array([50.0, 100.0]),
            input_size=(64, 64),
        ),
        gt_instances=InstanceData(
            bboxes=np.zeros((1, 4)), bbox_scores=np.ones(1), keypoints_cam=points,
            keypoints_cam_visible=np.ones((1, K)), focal=FOCAL, principal_pt=CENTRE,
        ),
    )  # fmt: skip
    return sample, points, pixels


def right_answer(sample, points, pixels):
    """What the head should say of the person."""
    corner = sample.input_center - sample.input_scale / 2
    crop = (pixels - corner) / sample.input_scale * sample.input_size
    return InstanceData(
        keypoints=np.concatenate([crop, points[..., 2:] - points[:, :1, 2:]], axis=-1),
        keypoint_scores=np.ones((1, K)),
    )


@pytest.mark.parametrize('root_depth', ['annotated', 'predicted'])
def test_right_answers_give_the_pose(root_depth):
    model = estimator(root_depth=root_depth)
    sample, points, pixels = truth()
    answer = right_answer(sample, points, pixels)
    if root_depth == 'predicted':
        reference = 2000 * np.sqrt(500 * 400 / (50 * 100))
        answer.root_depths = np.array([3000 / reference])
    sample = model.add_pred_to_datasample([answer], None, [sample])[0]
    predicted = sample.pred_instances
    np.testing.assert_allclose(predicted.keypoints, points, rtol=1e-4, atol=0.01)
    np.testing.assert_allclose(predicted.transformed_keypoints, pixels, rtol=1e-4)
    if root_depth == 'predicted':
        np.testing.assert_allclose(predicted.root_depths, [3000], rtol=1e-5)
    else:  # it would be judged as if it were
        assert 'root_depths' not in predicted
    assert predicted.keypoints.dtype == np.float32
    assert predicted.keypoints_visible.shape == (1, K)


def test_moved_to_the_true_root():
    """As RootAlignedPose3D moves it, a pose is that of the annotated depth."""
    poses = {}
    for root_depth in ('annotated', 'predicted'):
        sample, points, pixels = truth()
        answer = right_answer(sample, points, pixels + [[[3, -2]]])
        answer.root_depths = np.array([0.4])
        model = estimator(root_depth=root_depth)
        sample = model.add_pred_to_datasample([answer], None, [sample])[0]
        poses[root_depth] = sample.pred_instances.keypoints
    behind = points[:, 0, 2] - sample.pred_instances.root_depths
    assert np.abs(behind) > 100
    moved = move_in_depth(poses['predicted'], behind)
    np.testing.assert_allclose(moved, poses['annotated'], rtol=1e-4, atol=0.01)


@pytest.mark.parametrize('flip_test', [False, True])
def test_prediction_of_images(flip_test):
    model = estimator(flip_test=flip_test)
    torch.manual_seed(0)
    model.init_weights()
    batch = [truth()[0], truth()[0]]
    samples = model.predict(torch.randn(2, 3, 64, 64), batch)
    for sample in samples:
        assert sample.pred_instances.keypoints.shape == (1, K, 3)
        assert np.isfinite(sample.pred_instances.keypoints).all()
        assert sample.pred_instances.root_depths.shape == (1,)


def test_no_intrinsics():
    sample, points, pixels = truth()
    del sample.gt_instances.focal
    answer = right_answer(sample, points, pixels)
    model = estimator(root_depth='annotated')
    with pytest.raises(ValueError, match=r'a\.jpg \(id 7\) has no intrinsics'):
        model.add_pred_to_datasample([answer], None, [sample])


def test_made_up_focal_length_says_so(monkeypatch):
    said = []
    monkeypatch.setattr(
        topdown_3d, 'print_log', lambda text, *_, **__: said.append(text)
    )
    model = estimator(root_depth='annotated', fallback_focal=450.0)
    for _ in range(2):
        sample, points, pixels = truth()
        del sample.gt_instances.focal
        answer = right_answer(sample, points, pixels)
        sample = model.add_pred_to_datasample([answer], None, [sample])[0]
    depth = points[..., 2:]
    expected = (pixels - [99.5, 49.5]) / 450 * depth
    np.testing.assert_allclose(
        sample.pred_instances.keypoints[..., :2], expected, rtol=1e-3
    )
    (message,) = said  # once
    assert 'fallback_focal of 450.0 pixels is made up' in message


@pytest.mark.parametrize('lost', ['pose', 'root'])
def test_no_annotated_root(lost):
    sample, points, pixels = truth()
    answer = right_answer(sample, points, pixels)
    if lost == 'pose':
        del sample.gt_instances.keypoints_cam
    else:
        sample.gt_instances.keypoints_cam_visible[0, 0] = 0
    model = estimator(root_depth='annotated')
    with pytest.raises(ValueError, match=r'a\.jpg \(id 7\) has no annotated root'):
        model.add_pred_to_datasample([answer], None, [sample])


def test_refused():
    with pytest.raises(ValueError, match="one of .*, but got 'gt'"):
        estimator(root_depth='gt')
    with pytest.raises(ValueError, match='output_keypoint_indices'):
        estimator(output_keypoint_indices=[0, 1])
    with pytest.raises(ValueError, match='does not predict'):
        MODELS.build(dict(estimator_config(), test_cfg=dict()))


def estimator_config():
    return dict(
        type='mmpose_pretext.TopdownPose3DEstimator',
        backbone=dict(type='ResNet', depth=18),
        head=dict(
            type='mmpose_pretext.IntegralPose3DHead',
            in_channels=512,
            num_keypoints=K,
            decoder=dict(
                type='mmpose_pretext.IntegralPose3D',
                input_size=(64, 64),
                heatmap_size=(16, 16, 4),
            ),
        ),
    )
