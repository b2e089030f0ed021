# The 17 keypoints of MuPoTS-3D, which are the first of MuCo-3DHP's 21.
left, right, middle = [0, 255, 0], [255, 128, 0], [51, 153, 255]

dataset_info = dict(
    dataset_name='mupots',
    paper_info=dict(
        author='Mehta, Dushyant and Sotnychenko, Oleksandr and Mueller, Franziska and '
        'Xu, Weipeng and Sridhar, Srinath and Pons-Moll, Gerard and Theobalt, Christian',
        title='Single-Shot Multi-Person 3D Pose Estimation From Monocular RGB',
        container='International Conference on 3D Vision',
        year='2018',
        homepage='https://arxiv.org/abs/1712.03453'),
    keypoint_info={
        0: dict(name='head_top', id=0, color=middle, type='upper', swap=''),
        1: dict(name='thorax', id=1, color=middle, type='upper', swap=''),
        2: dict(
            name='right_shoulder', id=2, color=right, type='upper', swap='left_shoulder'
        ),
        3: dict(name='right_elbow', id=3, color=right, type='upper', swap='left_elbow'),
        4: dict(name='right_wrist', id=4, color=right, type='upper', swap='left_wrist'),
        5: dict(
            name='left_shoulder', id=5, color=left, type='upper', swap='right_shoulder'
        ),
        6: dict(name='left_elbow', id=6, color=left, type='upper', swap='right_elbow'),
        7: dict(name='left_wrist', id=7, color=left, type='upper', swap='right_wrist'),
        8: dict(name='right_hip', id=8, color=right, type='lower', swap='left_hip'),
        9: dict(name='right_knee', id=9, color=right, type='lower', swap='left_knee'),
        10: dict(
            name='right_ankle', id=10, color=right, type='lower', swap='left_ankle'
        ),
        11: dict(name='left_hip', id=11, color=left, type='lower', swap='right_hip'),
        12: dict(name='left_knee', id=12, color=left, type='lower', swap='right_knee'),
        13: dict(
            name='left_ankle', id=13, color=left, type='lower', swap='right_ankle'
        ),
        14: dict(name='pelvis', id=14, color=middle, type='lower', swap=''),
        15: dict(name='spine', id=15, color=middle, type='upper', swap=''),
        16: dict(name='head', id=16, color=middle, type='upper', swap=''),
    },
    skeleton_info={
        0: dict(link=('head_top', 'head'), id=0, color=middle),
        1: dict(link=('head', 'thorax'), id=1, color=middle),
        2: dict(link=('thorax', 'spine'), id=2, color=middle),
        3: dict(link=('spine', 'pelvis'), id=3, color=middle),
        4: dict(link=('pelvis', 'right_hip'), id=4, color=right),
        5: dict(link=('right_hip', 'right_knee'), id=5, color=right),
        6: dict(link=('right_knee', 'right_ankle'), id=6, color=right),
        7: dict(link=('pelvis', 'left_hip'), id=7, color=left),
        8: dict(link=('left_hip', 'left_knee'), id=8, color=left),
        9: dict(link=('left_knee', 'left_ankle'), id=9, color=left),
        10: dict(link=('thorax', 'right_shoulder'), id=10, color=right),
        11: dict(link=('right_shoulder', 'right_elbow'), id=11, color=right),
        12: dict(link=('right_elbow', 'right_wrist'), id=12, color=right),
        13: dict(link=('thorax', 'left_shoulder'), id=13, color=left),
        14: dict(link=('left_shoulder', 'left_elbow'), id=14, color=left),
        15: dict(link=('left_elbow', 'left_wrist'), id=15, color=left),
    },
    joint_weights=[1.0] * 17,
    sigmas=[])
