# COCO's 17 keypoints, then the neck and the top of the head, which MPII, PoseTrack18
# and CrowdPose label. Sigmas: MMPose's of COCO, and of CrowdPose for the last two.
left, right, middle = [0, 255, 0], [255, 128, 0], [51, 153, 255]

dataset_info = dict(
    dataset_name='mcpc',
    keypoint_info={
        0: dict(name='nose', id=0, color=middle, type='upper', swap=''),
        1: dict(name='left_eye', id=1, color=middle, type='upper', swap='right_eye'),
        2: dict(name='right_eye', id=2, color=middle, type='upper', swap='left_eye'),
        3: dict(name='left_ear', id=3, color=middle, type='upper', swap='right_ear'),
        4: dict(name='right_ear', id=4, color=middle, type='upper', swap='left_ear'),
        5: dict(
            name='left_shoulder', id=5, color=left, type='upper', swap='right_shoulder'
        ),
        6: dict(
            name='right_shoulder', id=6, color=right, type='upper', swap='left_shoulder'
        ),
        7: dict(name='left_elbow', id=7, color=left, type='upper', swap='right_elbow'),
        8: dict(name='right_elbow', id=8, color=right, type='upper', swap='left_elbow'),
        9: dict(name='left_wrist', id=9, color=left, type='upper', swap='right_wrist'),
        10: dict(
            name='right_wrist', id=10, color=right, type='upper', swap='left_wrist'
        ),
        11: dict(name='left_hip', id=11, color=left, type='lower', swap='right_hip'),
        12: dict(name='right_hip', id=12, color=right, type='lower', swap='left_hip'),
        13: dict(name='left_knee', id=13, color=left, type='lower', swap='right_knee'),
        14: dict(name='right_knee', id=14, color=right, type='lower', swap='left_knee'),
        15: dict(
            name='left_ankle', id=15, color=left, type='lower', swap='right_ankle'
        ),
        16: dict(
            name='right_ankle', id=16, color=right, type='lower', swap='left_ankle'
        ),
        17: dict(name='neck', id=17, color=middle, type='upper', swap=''),
        18: dict(name='head_top', id=18, color=middle, type='upper', swap=''),
    },
    skeleton_info={
        0: dict(link=('left_ankle', 'left_knee'), id=0, color=left),
        1: dict(link=('left_knee', 'left_hip'), id=1, color=left),
        2: dict(link=('right_ankle', 'right_knee'), id=2, color=right),
        3: dict(link=('right_knee', 'right_hip'), id=3, color=right),
        4: dict(link=('left_hip', 'right_hip'), id=4, color=middle),
        5: dict(link=('left_shoulder', 'left_hip'), id=5, color=middle),
        6: dict(link=('right_shoulder', 'right_hip'), id=6, color=middle),
        7: dict(link=('left_shoulder', 'right_shoulder'), id=7, color=middle),
        8: dict(link=('left_shoulder', 'left_elbow'), id=8, color=left),
        9: dict(link=('right_shoulder', 'right_elbow'), id=9, color=right),
        10: dict(link=('left_elbow', 'left_wrist'), id=10, color=left),
        11: dict(link=('right_elbow', 'right_wrist'), id=11, color=right),
        12: dict(link=('left_eye', 'right_eye'), id=12, color=middle),
        13: dict(link=('nose', 'left_eye'), id=13, color=middle),
        14: dict(link=('nose', 'right_eye'), id=14, color=middle),
        15: dict(link=('left_eye', 'left_ear'), id=15, color=middle),
        16: dict(link=('right_eye', 'right_ear'), id=16, color=middle),
        17: dict(link=('head_top', 'neck'), id=17, color=middle),
        18: dict(link=('neck', 'left_shoulder'), id=18, color=middle),
        19: dict(link=('neck', 'right_shoulder'), id=19, color=middle),
    },
    joint_weights=[
        1.0,
        1.0,
        1.0,
        1.0,
        1.0,
        1.0,
        1.0,
        1.2,
        1.2,
        1.5,
        1.5,
        1.0,
        1.0,
        1.2,
        1.2,
        1.5,
        1.5,
        1.0,
        1.0,
    ],
    sigmas=[
        0.026,
        0.025,
        0.025,
        0.035,
        0.035,
        0.079,
        0.079,
        0.072,
        0.072,
        0.062,
        0.062,
        0.107,
        0.107,
        0.087,
        0.087,
        0.089,
        0.089,
        0.079,
        0.079,
    ],
)
