import numpy as np
import pytest

from mmpose_pretext.synthetic import MotionCapture, sample_pose
from mmpose_pretext.synthetic.mocap import SPLITS, split_of_clip


@pytest.fixture
def arrays():
    """Forty clips of three frames; the last frame of each jumps by 0.4 m."""
    rng = np.random.default_rng(0)
    poses, clip = [], []
    for c in range(40):
        pose = sample_pose(rng, 'walk')
        for jump in (0, 0, 0.4):
            poses.append(pose.joints + [3 + c, 0.7 + jump, -5])
            clip.append(c)
    return {'poses': np.float32(poses), 'clip': np.array(clip)}


@pytest.fixture
def save(tmp_path):
    def write(**arrays):
        np.savez(tmp_path / 'poses.npz', **arrays)
        return tmp_path / 'poses.npz'

    return write


def test_poses_keep_proportions_clip_and_jumps(arrays, save):
    motion = MotionCapture(save(**arrays))
    rng = np.random.default_rng(0)
    seen = []
    for _ in range(60):
        pose = motion.sample(rng)
        frame, clip = pose.source
        seen.append(frame)
        assert clip == arrays['clip'][frame]
        assert pose.action == 'mocap'
        original = arrays['poses'][frame] - arrays['poses'][frame, 0]
        scale = pose.height / motion.heights[frame]
        np.testing.assert_allclose(
            pose.joints - pose.joints[0], original * scale, atol=1e-5
        )
        np.testing.assert_allclose(pose.joints[0, [0, 2]], 0, atol=1e-9)
        ankle = pose.joints[[3, 6], 1].min() / pose.height
        jump = 0.4 / motion.heights[frame] if frame % 3 == 2 else 0
        assert ankle - jump == pytest.approx(0.045, abs=0.01)
        forward = np.cross(
            pose.joints[11] - pose.joints[14], pose.joints[10] - pose.joints[8]
        )
        assert pose.face @ forward > 0.7 * np.linalg.norm(forward)
    assert len(set(seen)) > 30


def test_heights_are_estimated_in_metres(arrays, save):
    motion = MotionCapture(save(**arrays))
    assert 1.5 < np.median(motion.heights) < 1.85


def test_splits_share_no_clip_and_make_up_the_whole(arrays, save):
    path = save(**arrays)
    clips = [
        set(arrays['clip'][MotionCapture(path, split).frames].tolist())
        for split in SPLITS
    ]
    assert sum(map(len, clips)) == 40
    assert set.union(*clips) == set(range(40))
    assert len(clips[0]) > 25


def test_split_of_a_clip_never_changes():
    found = [split_of_clip(c) for c in range(2000)]
    assert found[:6] == [split_of_clip(np.int16(c)) for c in range(6)]
    assert found.count('train') == pytest.approx(1600, abs=60)
    assert found.count('val') == pytest.approx(200, abs=45)


def test_missing_or_foreign_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'none\.npz'):
        MotionCapture(tmp_path / 'none.npz')
    (tmp_path / 'text.npz').write_text('no zip')
    with pytest.raises(ValueError, match=r'text\.npz is not a readable npz'):
        MotionCapture(tmp_path / 'text.npz')
    np.save(tmp_path / 'one.npy', np.zeros(3))
    with pytest.raises(ValueError, match='is not a readable npz'):
        MotionCapture(tmp_path / 'one.npy')


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda a: a.pop('clip'), "no array 'clip'"),
        (lambda a: a.pop('poses'), "no array 'poses'"),
        (lambda a: a.update(poses=a['poses'][:, :16]), r'\(N, 17, 3\), got \(120, 16'),
        (
            lambda a: a.update(clip=a['clip'][:5]),
            r'120 whole numbers, got shape \(5,\)',
        ),
        (lambda a: a.update(clip=a['clip'] * 0.5), 'whole numbers.*float64'),
        (lambda a: a.update(poses=a['poses'] * np.nan), 'NaN'),
        (lambda a: a.update(poses=a['poses'] * 1000), 'metres expected'),
        (lambda a: a.update(poses=a['poses'][..., [0, 2, 1]]), 'y must point up'),
    ],
)
def test_malformed_arrays_are_named(arrays, save, change, message):
    change(arrays)
    with pytest.raises(ValueError, match=message):
        MotionCapture(save(**arrays))


def test_empty_split_is_refused(arrays, save):
    test_clip = next(c for c in range(40) if split_of_clip(c) == 'test')
    rows = arrays['clip'] == test_clip
    path = save(poses=arrays['poses'][rows], clip=arrays['clip'][rows])
    with pytest.raises(ValueError, match="no clip .* split 'train'"):
        MotionCapture(path, 'train')
