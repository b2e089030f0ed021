import cv2
import numpy as np
import pytest
from mmpose.structures.bbox import get_warp_matrix

from mmpose_pretext.codecs import PresenceLabel
from mmpose_pretext.datasets.transforms.presence_windows import box_corners

CODEC = dict(input_size=(48, 64), heatmap_size=(12, 16), sigma=1.0)
NOWHERE = (np.zeros((1, 3, 2)), np.zeros((1, 3)))
CROP = dict(
    img_shape=(200, 150),
    input_center=np.array([70.0, 90.0]),
    input_scale=np.array([60.0, 80.0]),
)


def encode(windows, presence=None, codec=None, **kwargs):
    windows = box_corners(np.array(windows, dtype=np.float32))
    if presence is None:
        presence = np.zeros((len(windows), 3), dtype=np.float32)
    codec = codec or PresenceLabel(**CODEC)
    return codec.encode(
        *NOWHERE, presence=presence, presence_windows=windows, **(CROP | kwargs)
    )


def test_windows_move_with_the_pixels_of_the_image():
    box = (60, 80, 90, 120)
    image = np.zeros((200, 150), dtype=np.float32)
    image[box[1] : box[3], box[0] : box[2]] = 1
    for flip in (False, True):
        for rotation in (0, 30, -75):
            view = image[:, ::-1].copy() if flip else image
            matrix = get_warp_matrix(
                CROP['input_center'], CROP['input_scale'], rotation, (48, 64)
            )
            view = cv2.warpAffine(view, matrix, (48, 64))
            corners = encode(
                [box],
                flip=flip,
                flip_direction='horizontal' if flip else None,
                flip_indices=[1, 0, 2],
                bbox_rotation=np.array([rotation]),
            )['presence_windows'][0, 0]
            drawn = np.zeros((64, 48), dtype=np.float32)
            cv2.fillPoly(drawn, [np.round(corners * 4).astype(np.int32)], 1)
            both, either = np.minimum(view, drawn).sum(), np.maximum(view, drawn).sum()
            assert both / either > 0.9, (flip, rotation)


def test_pixels_of_the_heatmap_are_centred_on_whole_numbers():
    # the crop is x 40 to 100, y 50 to 130: 5 pixels of the image are one of the heatmap
    corners = encode([(50, 60, 100, 130)])['presence_windows'][0, 0]
    np.testing.assert_allclose(corners[[0, 2]], [[2, 2], [12, 16]], atol=1e-5)


def test_present_in_a_window_that_is_cut_off_is_unknown():
    windows = [(50, 60, 90, 120), (0, 60, 50, 120)]
    presence = np.array([[1, 0, -1], [1, 0, -1]], dtype=np.float32)
    encoded = encode(windows, presence)['presence'][0]
    np.testing.assert_array_equal(encoded, [[1, 0, -1], [-1, 0, -1]])
    lenient = PresenceLabel(**CODEC, min_visible=0.1)
    encoded = encode(windows, presence, lenient)['presence'][0]
    np.testing.assert_array_equal(encoded, presence)


def test_without_labels_it_is_the_stock_codec():
    points = np.array([[[9.0, 20.0], [30.0, 40.0], [0.0, 0.0]]])
    encoded = PresenceLabel(**CODEC).encode(points, np.array([[1.0, 1.0, 0.0]]))
    assert set(encoded) == {'heatmaps', 'keypoint_weights'}
    assert encoded['heatmaps'][0].argmax() == 5 * 12 + 2  # nearest to (9, 20) / 4
    assert encoded['keypoint_weights'].tolist() == [[1, 1, 0]]


def test_bad_arguments():
    with pytest.raises(ValueError, match=r'min_visible.*1\.5'):
        PresenceLabel(**CODEC, min_visible=1.5)
    with pytest.raises(ValueError, match="'vertical'"):
        encode([(0, 0, 1, 1)], flip=True, flip_direction='vertical')
