import re

import cv2
import numpy as np
import pytest

from mmpose_pretext.datasets.transforms import JigsawShuffle

HSJP = 'hsjp_res18-half_1xb16-12e_synthetic-96x64'
POSE = 'td-hm_res18-half_scratch_1xb16-30e_synthetic-96x64'


@pytest.fixture
def in_demo_dir(demo_dir, monkeypatch):
    monkeypatch.chdir(demo_dir)


def run_files(name):
    return f'work_dirs/{name}/{name}.py', f'work_dirs/{name}/epoch_1.pth'


@pytest.mark.usefixtures('in_demo_dir')
def test_jigsaw_puzzles(load_tool, tmp_path, capsys):
    tool = load_tool('visualizations/jigsaw_puzzles.py')
    config, checkpoint = run_files(HSJP)
    out = str(tmp_path / 'new' / 'puzzles.png')
    assert tool.main([config, checkpoint, out, '--num', '3', '--scale', '1']) == 0
    assert cv2.imread(out).shape == (3 * 96 + 2 * 4, 5 * 64 + 4 * 4, 3)
    assert tool.main([config, checkpoint, out]) == 1
    assert f'{out} exists; --force overwrites it' in capsys.readouterr().err
    assert tool.main([config, 'none.pth', out, '--force']) == 1
    assert 'none.pth does not exist' in capsys.readouterr().err
    config, checkpoint = run_files(POSE)
    assert tool.main([config, checkpoint, out, '--force']) == 1
    assert 'has no JigsawShuffle' in capsys.readouterr().err


@pytest.mark.usefixtures('in_demo_dir')
def test_puzzles_are_those_of_the_validation(load_tool, monkeypatch):
    drawn = []
    tool = load_tool('visualizations/jigsaw_puzzles.py')
    monkeypatch.setattr(
        tool, 'draw_puzzle', lambda *args: drawn.append(args) or args[1]
    )
    tool.draw(*run_files(HSJP), num=2)
    for (original, puzzle, targets, predictions, permutation, answer, grid), index in (
        (drawn[0], 0),
        (drawn[1], 3),
    ):
        again = JigsawShuffle(grid=grid, seed=0).transform(
            dict(
                img=original,
                input_size=(64, 96),
                input_center=0,
                input_scale=1,
                sample_idx=index,
            )
        )
        assert (again['img'] == puzzle).all()
        assert (again['jigsaw_permutation'] == permutation).all()
        assert targets.shape == predictions.shape == (6, 24, 16)
        assert sorted(answer) == list(range(6))


@pytest.mark.usefixtures('in_demo_dir')
def test_predicted_poses(load_tool, tmp_path, capsys):
    tool = load_tool('visualizations/predicted_poses.py')
    config, checkpoint = run_files(POSE)
    out = str(tmp_path / 'poses.png')
    assert (
        tool.main([config, out, f'a={checkpoint}', f'b={checkpoint}', '--num=2']) == 0
    )
    picture = cv2.imread(out)
    assert picture.shape == (24 + 2 * 256, 3 * 192, 3)
    # two copies of one network give the same answer, which is not the annotation
    rows = picture[24:]
    assert (rows[:, 192:384] == rows[:, 384:]).all()
    assert (rows[:, :192] != rows[:, 192:384]).any()
    assert tool.main([config, out, checkpoint]) == 1
    assert 'must be NAME=CHECKPOINT' in capsys.readouterr().err
    assert tool.main([config, out, 'a=none.pth']) == 1
    assert 'none.pth does not exist' in capsys.readouterr().err
    assert tool.main([config, out, f'a={checkpoint}']) == 1
    assert 'exists; --force' in capsys.readouterr().err


@pytest.mark.usefixtures('in_demo_dir')
def test_learning_curves(load_tool, tmp_path, capsys):
    tool = load_tool('visualizations/learning_curves.py')
    out = str(tmp_path / 'curves.png')
    run = f'pose=work_dirs/{POSE}'
    assert tool.main([out, run, '--key', 'pck@0.1/PCK', 'loss']) == 0
    assert cv2.imread(out) is not None
    assert tool.main([out, run, '--key', 'loss']) == 1
    assert 'exists; --force' in capsys.readouterr().err
    for arguments, message in (
        ([run, '--key', 'los'], "no run has logged 'los'; logged are .*loss"),
        (['pose', '--key', 'loss'], 'must be NAME=WORK_DIR'),
        (['pose=none', '--key', 'loss'], 'none holds no'),
    ):
        assert tool.main([out, '--force', *arguments]) == 1
        assert re.search(message, capsys.readouterr().err)


def test_poses_are_drawn_where_they_are(load_tool):
    tool = load_tool('visualizations/predicted_poses.py')
    metainfo = dict(
        skeleton_links=[(0, 1), (1, 2)],
        skeleton_link_colors=np.array([[255, 0, 0], [0, 255, 0]]),  # RGB
        keypoint_colors=np.array([[0, 0, 255]] * 3),
    )
    points = np.array([[10.2, 20.1], [50.4, 20.0], [50.0, 60.0]])
    drawn = tool._draw_pose(
        np.zeros((80, 80, 3), dtype=np.uint8),
        points,
        np.array([True, True, False]),
        metainfo,
    )
    assert drawn[20, 10].tolist() == drawn[20, 50].tolist() == [255, 0, 0]
    assert drawn[20, 30].tolist() == [0, 0, 255]
    assert drawn[40:].max() == 0  # nothing of the joint that is not annotated
