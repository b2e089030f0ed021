import torch

from mmpose_pretext.models.layers import soft_argmax_3d


def slow(volumes):
    """Sum over the voxels, one after another."""
    b, k, d, h, w = volumes.shape
    result = torch.zeros(b, k, 3, dtype=torch.float64)
    for i in range(b):
        for j in range(k):
            exponentials = volumes[i, j].double().exp()
            total = exponentials.sum()
            for z in range(d):
                for y in range(h):
                    for x in range(w):
                        place = torch.tensor([x, y, z], dtype=torch.float64)
                        result[i, j] += place * exponentials[z, y, x] / total
    return result


def test_equals_slow_reference():
    volumes = torch.randn(2, 3, 4, 5, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        soft_argmax_3d(volumes).double(), slow(volumes), atol=1e-5, rtol=1e-5
    )


def test_uniform_volume_has_its_middle():
    places = soft_argmax_3d(torch.full((1, 2, 3, 5, 9), 7.0))
    torch.testing.assert_close(places, torch.tensor([[[4.0, 2.0, 1.0]] * 2]))


def test_large_values_and_half_precision():
    volumes = torch.zeros(1, 1, 2, 2, 4, dtype=torch.float16)
    volumes[0, 0, 1, 0, 3] = 60000
    places = soft_argmax_3d(volumes)
    assert places.dtype == torch.float32
    torch.testing.assert_close(places, torch.tensor([[[3.0, 0.0, 1.0]]]))


def test_gradient():
    volumes = torch.randn(
        1, 2, 2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    ).requires_grad_()
    assert torch.autograd.gradcheck(soft_argmax_3d, [volumes])
