"""Made files in the layouts of sets with poses in camera space."""

import json

import numpy as np

FOCAL, CENTRE = (1000.0, 900.0), (60.0, 40.0)


def pose(count, depth=4000.0, seed=0):
    """Points of shape (count, 3) in mm, the first in the middle of the image."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(-150, 150, (count, 3)) + [0, 0, depth]
    points[0] = (0, 0, depth)
    return points


def project(points):
    return points[:, :2] / points[:, 2:] * FOCAL + CENTRE


def muco_person(id_, image_id, points, **kwargs):
    pixels = project(points)
    (x1, y1), (x2, y2) = pixels.min(axis=0), pixels.max(axis=0)
    return dict(
        id=id_,
        image_id=image_id,
        bbox=[x1, y1, x2 - x1, y2 - y1],
        keypoints_img=pixels.tolist(),
        keypoints_cam=points.tolist(),
        **kwargs,
    )


def write_muco(path, *people, **image):
    """Write MuCo-3DHP's json of two images, where ``f`` and ``c`` can be replaced."""
    common = dict(width=120, height=80, f=FOCAL, c=CENTRE) | image
    images = [dict(id=i, file_name=f'augmented_set/{i}.jpg', **common) for i in (1, 2)]
    path.write_text(json.dumps(dict(images=images, annotations=people)))


def write_mupots(path, *people, **image):
    """Write MuPoTS-3D's json of an image."""
    common = dict(width=120, height=80, intrinsic=[*FOCAL, *CENTRE]) | image
    images = [dict(id=1, file_name='TS1/img_000001.jpg', **common)]
    path.write_text(json.dumps(dict(images=images, annotations=people)))


H36M_NAMES = [
    'S1/S1_Directions_1.54138969/S1_Directions_1.54138969_000001.jpg',
    'S1/S1_Directions_1.54138969/S1_Directions_1.54138969_000006.jpg',
    'S1/S1_Directions_1.54138969/S1_Directions_1.54138969_000011.jpg',
    'S9/S9_SittingDown.55011271/S9_SittingDown.55011271_000002.jpg',
    'S11/S11_Eating_2.54138969/S11_Eating_2.54138969_000003.jpg',
]


def write_h36m(folder, names=H36M_NAMES, cameras=None, **arrays):
    """Write Human3.6M's npz and cameras, where arrays can be replaced."""
    import pickle

    count = len(names)
    poses = np.stack([pose(17, seed=i) for i in range(count)])
    pixels = np.stack([project(each) for each in poses])
    content = dict(
        imgname=np.array(names),
        center=pixels[:, 0],
        scale=np.full(count, 0.4),
        part=np.concatenate([pixels, np.ones((count, 17, 1))], axis=2),
        S=np.concatenate([poses / 1000, np.ones((count, 17, 1))], axis=2),
    )
    content.update(arrays)
    np.savez(folder / 'h36m.npz', **content)
    if cameras is None:
        camera = dict(f=np.array(FOCAL)[:, None], c=np.array(CENTRE)[:, None])
        cameras = {
            (subject, id_): camera
            for subject in ('S1', 'S9', 'S11')
            for id_ in ('54138969', '55011271')
        }
    (folder / 'cameras.pkl').write_bytes(pickle.dumps(cameras))
    return poses, pixels
