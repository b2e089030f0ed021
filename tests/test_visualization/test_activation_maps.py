import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from mmpose_pretext.models.heads import LocationFreeHead
from mmpose_pretext.visualization import branch_maps, draw_activations

METAINFO = dict(
    dataset_name='three',
    keypoint_info={
        0: dict(name='head', id=0, color=[0, 0, 255], type='upper', swap=''),
        1: dict(name='left', id=1, color=[0, 0, 0], type='lower', swap='right'),
        2: dict(name='right', id=2, color=[0, 0, 0], type='lower', swap='left'),
    },
    skeleton_info={
        0: dict(link=('head', 'left'), id=0, color=[255, 0, 0]),
        1: dict(link=('head', 'right'), id=1, color=[0, 255, 0]),
    },
    joint_weights=[1.0, 1.0, 1.0],
    sigmas=[0.1, 0.1, 0.1],
)
CONTEXT = dict(context=dict(), context_indices=(0, 1))


def make_head(**kwargs):
    init_default_scope('mmpose')
    torch.manual_seed(0)
    head = LocationFreeHead(
        in_channels=[8, 16],
        metainfo=METAINFO,
        deconv_out_channels=(16,),
        deconv_kernel_sizes=(4,),
        dims=32,
        decoder=dict(
            type='mmpose_pretext.PresenceLabel',
            input_size=(32, 32),
            heatmap_size=(8, 8),
            sigma=1.0,
        ),
        **kwargs,
    )
    # large weights, so that maps are far from flat
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return head.eval()


def make_feats():
    torch.manual_seed(1)
    return torch.randn(2, 8, 8, 8), torch.randn(2, 16, 4, 4)


@pytest.mark.parametrize(
    ('parts', 'names'),
    [
        (dict(), {'cam'}),
        (dict(CONTEXT, context=dict(guidance='none')), {'cam'}),
        (CONTEXT, {'cam', 'guidance'}),
        (
            dict(CONTEXT, prototypes=dict(num_layers=0)),
            {'cam', 'guidance', 'similarity'},
        ),
        (
            dict(CONTEXT, prototypes=dict()),
            {'cam', 'guidance', 'similarity', 'attention'},
        ),
    ],
)
def test_maps_are_those_of_the_head(parts, names):
    head, feats = make_head(**parts), make_feats()
    with torch.no_grad():
        before = head.branches(feats)
    maps = branch_maps(head, feats)
    with torch.no_grad():
        after = head.branches(feats)
    assert maps.keys() == names
    assert torch.equal(maps['cam'], before['cam'])
    if 'guidance' in names:
        strongest = before['cam'].sigmoid().max(dim=1, keepdim=True).values
        assert torch.equal(maps['guidance'], strongest)
    if 'similarity' in names:
        torch.testing.assert_close(maps['cam'] + maps['similarity'], before['location'])
    for name, value in before.items():  # the hooks are gone
        assert torch.equal(value, after[name])


def test_attention_is_that_of_the_last_layer():
    head, feats = make_head(**CONTEXT, prototypes=dict(num_layers=2)), make_feats()
    attend = head.prototypes.layers[-1].multihead_attn
    inputs = []
    hook = attend.register_forward_pre_hook(lambda module, args: inputs.append(args))
    result = branch_maps(head, feats)['attention']
    hook.remove()
    assert not attend._forward_hooks
    assert not attend._forward_pre_hooks

    query, key, _ = (x.detach() for x in inputs[0])
    weight, bias = attend.in_proj_weight.detach(), attend.in_proj_bias.detach()
    q = query @ weight[:32].T + bias[:32]
    k = key @ weight[32:64].T + bias[32:64]
    for b in range(2):
        for keypoint in range(3):
            tokens = torch.zeros(64 + 16)
            for start in range(0, 32, 8):  # 4 heads
                channels = slice(start, start + 8)
                logits = k[b, :, channels] @ q[b, keypoint, channels] / 8**0.5
                tokens += logits.softmax(dim=0) / 4
            fine, coarse = tokens[:64].view(8, 8), tokens[64:].view(4, 4)
            expected = fine.numpy() + cv2.resize(coarse.numpy(), (8, 8)) / 4
            np.testing.assert_allclose(
                result[b, keypoint].numpy(), expected, rtol=1e-4, atol=1e-6
            )
    torch.testing.assert_close(result.sum(dim=(2, 3)), torch.ones(2, 3))
    assert result.amax(dim=(2, 3)).min() > 1.5 / 64  # not a flat one


def test_draw_activations():
    rng = np.random.default_rng(0)
    img = rng.integers(0, 255, (64, 48, 3), dtype=np.uint8)
    cam, final = rng.normal(size=(2, 3, 16, 12))
    guidance = rng.random((16, 12))
    points = np.array([[10.0, 11.0], [20.0, 31.0], [30.0, 51.0]])
    figure = draw_activations(
        img,
        {'CAM': cam, 'final map': final},
        points,
        np.array([0.75, 0.5, 0.25]),
        [2, 0],
        parse_pose_metainfo(METAINFO),
        guidance,
    )
    axes = np.array(figure.axes).reshape(3, 3)
    for axis in axes.flat:
        if axis.images:
            np.testing.assert_array_equal(axis.images[0].get_array(), img)
    shown = [[len(axis.images) for axis in row] for row in axes]
    assert shown == [[1, 2, 2], [1, 2, 2], [2, 0, 0]]
    for axis, values in (
        (axes[0, 1], cam[2]),
        (axes[1, 1], cam[0]),
        (axes[0, 2], final[2]),
        (axes[1, 2], final[0]),
        (axes[2, 0], guidance),
    ):
        np.testing.assert_array_equal(axis.images[1].get_array(), values)
        assert axis.get_xlabel() == f'{values.min():.2g} to {values.max():.2g}'
        assert axis.images[1].get_extent() == axis.images[0].get_extent()
    titles = [[axis.get_title() for axis in row] for row in axes]
    assert titles == [['crop', 'CAM', 'final map'], ['pose', *2 * ['']]] + [
        ['guidance', '', '']
    ]
    labels = [axis.get_ylabel() for axis in axes[:, 1]]
    assert labels == ['right\npresence 0.25', 'head\npresence 0.75', '']

    (line,) = axes[1, 0].lines  # of the link without the absent keypoint
    np.testing.assert_array_equal(line.get_xydata(), points[:2])
    assert line.get_color() == pytest.approx((1, 0, 0))
    (dots,) = axes[1, 0].collections
    np.testing.assert_array_equal(dots.get_offsets(), points[:2])
    np.testing.assert_array_equal(dots.get_facecolors()[0], [0, 0, 1, 1])


def test_nothing_present(tmp_path):
    figure = draw_activations(
        np.zeros((16, 12, 3), dtype=np.uint8),
        {'CAM': np.zeros((3, 4, 3))},
        np.zeros((3, 2)),
        np.zeros(3),
        [0],
        parse_pose_metainfo(METAINFO),
    )
    figure.savefig(tmp_path / 'a.png')
    assert cv2.imread(str(tmp_path / 'a.png')) is not None
