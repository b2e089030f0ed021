import numpy as np
import pytest

from mmpose_pretext.synthetic import Camera
from mmpose_pretext.synthetic.render import Solids, cast, looks

CAMERA = Camera((65, 65), 80.0, 1.0, 0.0)


def cone(start, end, r0, r1, flat=1.0, front=(0, 0, 1)):
    return Solids.cones(
        np.array([start], float),
        np.array([end], float),
        np.array([[r0, r1]]),
        np.array([front], float),
        looks(1),
        flat,
    )


def box(centre, half, yaw=0.0):
    arrays = [np.array([v], float) for v in (centre, half)]
    return Solids.boxes(*arrays, np.array([yaw]), looks(1))


def inside_cone(p, start, end, r0, r1):
    """Whether p lies in one of many spheres between the ends."""
    t = np.linspace(0, 1, 4001)[:, None]
    gap = np.linalg.norm(p - start - t * (end - start), axis=1)
    return (gap < (r0 + t * (r1 - r0)).ravel()).any()


def test_camera_sees_left_on_the_right_and_the_horizon_at_its_height():
    camera = Camera((101, 101), 100.0, 1.5, 0.2)
    point = camera.project(camera.to_camera(np.array([1.0, 1.5, 5.0])))
    assert point[0] < 50  # +x of the world is to the left
    horizon = camera.project(camera.to_camera(np.array([0, 1.5, 1e9])))
    np.testing.assert_allclose(horizon, [50, 50 - 100 * np.tan(0.2)], atol=1e-4)
    assert np.linalg.det(camera.rotation) == pytest.approx(1)


@pytest.mark.parametrize('flat', [1.0, 2.0])
def test_depth_of_a_sphere(flat):
    depth, index = cast(CAMERA, cone((0, 1, 4), (0, 1, 4), 0.5, 0.5, flat))
    assert depth[32, 32] == pytest.approx(4 - 0.5 / flat, abs=1e-4)
    assert index[32, 32] == 0
    assert index[0, 0] == -1
    assert np.isinf(depth[0, 0])
    assert (index >= 0).sum() == pytest.approx(np.pi * 10**2, rel=0.1)


def test_depth_of_a_box_and_of_the_ground():
    depth, index = cast(CAMERA, box((0, 1, 5), (0.5, 0.5, 1)))
    assert depth[32, 32] == pytest.approx(4)
    assert (index >= 0).sum() == pytest.approx(20 * 20, abs=41)
    depth, _ = cast(CAMERA, box((0, 1, 5), (0.5, 0.5, 1), np.pi / 2))
    assert depth[32, 32] == pytest.approx(4.5)
    depth, _ = cast(CAMERA, box((0, -1, 0), (400, 1, 400)))
    assert depth[52, 10] == pytest.approx(1.0 / (20 / 80), rel=1e-5)
    assert np.isinf(depth[31, 32])


@pytest.mark.parametrize(
    ('start', 'end'),
    [((-0.4, 0.8, 3), (0.5, 1.3, 4)), ((0.1, 1, 2.5), (0, 1.05, 4)),
     ((-0.5, 0.6, 3), (0.5, 1.4, 3))],
)  # fmt: skip
def test_cones_agree_with_a_walk_along_the_rays(start, end):
    depth, _ = cast(CAMERA, cone(start, end, 0.3, 0.12))
    x, y = CAMERA.rays()
    found = 0
    for row in range(2, 65, 5):
        for column in range(2, 65, 5):
            ray = CAMERA.rotation.T @ [x[column], y[row], 1]
            z = depth[row, column]
            if np.isfinite(z):
                found += 1
                args = (np.array(start), np.array(end), 0.3, 0.12)
                assert inside_cone(CAMERA.position + (z + 0.003) * ray, *args)
                assert not inside_cone(CAMERA.position + (z - 0.003) * ray, *args)
    assert found > 8


def test_nearer_solid_wins_in_any_order():
    near, far = cone((0, 1, 3), (0, 1, 3), 0.2, 0.2), box((0, 1, 5), (1, 1, 0.2))
    for order, winner in (((near, far), 0), ((far, near), 1)):
        _, index = cast(CAMERA, Solids.join(list(order)))
        assert index[32, 32] == winner
        assert index[32, 22] == 1 - winner


def test_what_lies_behind_the_camera_is_not_seen():
    solids = Solids.join(
        [cone((0, 1, -3), (0, 1, -3), 1, 1), box((0, 1, -5), (1, 1, 1))]
    )
    _, index = cast(CAMERA, solids)
    assert (index == -1).all()
