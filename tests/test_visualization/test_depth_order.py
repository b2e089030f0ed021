import numpy as np

from mmpose_pretext.visualization import draw_depth_order, pairs_right
from mmpose_pretext.visualization.jigsaw import RIGHT, WRONG

# three people of two keypoints, the nearest on the right, and one without a depth
POINTS = np.array([[[9, 20], [9, 60]], [[50, 20], [50, 60]], [[90, 20], [90, 60]]])
DEPTHS = np.array([3.0, 2.0, -1.0, np.nan])
KEYPOINTS = np.concatenate([POINTS, np.zeros((1, 2, 2))]).astype(float)
VISIBLE = np.array([[1, 1], [1, 1], [1, 1], [0, 0]])
IMAGE = np.full((80, 100, 3), 200, dtype=np.uint8)


def draw(pairs, relations):
    pairs, relations = np.array(pairs, int).reshape(-1, 2), np.array(relations)
    args = KEYPOINTS, VISIBLE, DEPTHS, pairs, relations, [(0, 1)]
    picture = draw_depth_order(IMAGE, *args)
    scale = len(picture) // 80
    assert picture.shape == (80 * scale, 100 * scale, 3)
    return lambda x, y: picture[int((y + 0.5) * scale), int((x + 0.5) * scale)].tolist()


def test_pairs_right():
    depths = np.array([1.0, 2, 2, np.nan])
    pairs = np.array([[0, 1], [1, 0], [0, 1], [1, 2], [0, 3]])
    right = pairs_right(depths, pairs, np.array([-1, 1, 1, 1, 1]))
    assert right.tolist() == [True, True, False, False, False]
    assert pairs_right(depths, np.zeros((0, 2), int), np.zeros(0)).tolist() == []


def test_people_are_coloured_by_rank():
    pixel = draw([], [])
    far, middle, near = (pixel(x, 30) for x in (9, 50, 90))
    assert near == [255, 0, 255]
    assert far == [255, 255, 0]
    assert 100 < middle[1] < 156
    assert pixel(30, 40) == [100, 100, 100]
    assert pixel(0, 0) == [100, 100, 100]  # where keypoints are not visible


def test_pairs_are_joined():
    pixel = draw([[0, 1], [1, 2]], [1, -1])
    assert pixel(30, 40) == list(RIGHT)
    assert pixel(70, 40) == list(WRONG)


def test_one_person():
    args = KEYPOINTS[:1], VISIBLE[:1], DEPTHS[:1]
    empty = np.zeros((0, 2), int), np.zeros(0)
    assert draw_depth_order(IMAGE, *args, *empty, []).max() == 255
