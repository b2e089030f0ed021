import pytest
import torch

from mmpose_pretext.models.layers import (
    PartCAM,
    PosePrototypes,
    SpatialGuidedContextEncoder,
)


def feats():
    torch.manual_seed(0)
    return [torch.randn(2, 8, 8, 6), torch.randn(2, 16, 4, 3)], torch.rand(2, 1, 32, 24)


@pytest.mark.parametrize('guidance', ['bias', 'gate', 'none'])
def test_encoder_keeps_the_scales(guidance):
    inputs = feats()
    encoder = SpatialGuidedContextEncoder([8, 16], 32, guidance=guidance, num_layers=2)
    encoded = encoder.train()(*inputs)
    assert [e.shape for e in encoded] == [(2, 32, 8, 6), (2, 32, 4, 3)]
    encoder.eval()
    with torch.no_grad():  # torch has another implementation for this
        for a, b in zip(encoded, encoder(*inputs), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(('guidance', 'seen'), [('bias', False), ('none', True)])
def test_bias_hides_what_is_not_guided_to(guidance, seen):
    (fine, coarse), _ = feats()
    encoder = SpatialGuidedContextEncoder([8, 16], 32, guidance=guidance, eps=1e-9)
    weight = torch.zeros(2, 1, 32, 24)
    weight[:, :, :4, :4] = 1  # the first token of the fine scale, and of the coarse
    changed = fine.clone()
    changed[:, :, 5, 5] += 1
    a, b = encoder([fine, coarse], weight)[1], encoder([changed, coarse], weight)[1]
    assert torch.allclose(a, b, atol=1e-5) != seen


def test_encoder_needs_scales_and_a_known_guidance():
    with pytest.raises(ValueError, match='at least one scale'):
        SpatialGuidedContextEncoder([])
    with pytest.raises(ValueError, match="'soft'"):
        SpatialGuidedContextEncoder([8], guidance='soft')


def prototypes(relation, links=((0, 1), (1, 2)), **kwargs):
    torch.manual_seed(0)
    return PosePrototypes(4, links, 32, relation=relation, **kwargs)


@pytest.mark.parametrize(
    ('relation', 'reached'),
    [
        ('none', {0}),
        ('skeleton', {0, 1}),
        ('learned', {0, 1, 2, 3}),
        ('combined', {0, 1, 2, 3}),
    ],
)
def test_who_sees_a_prototype(relation, reached):
    torch.manual_seed(0)
    features, cam = torch.randn(1, 32, 8, 6), torch.randn(1, 4, 8, 6)
    memory = torch.randn(1, 10, 32)
    module = prototypes(relation)
    before = module(features, cam, memory)
    with torch.no_grad():
        module.embeddings[0] += torch.randn(32)
    after = module(features, cam, memory)
    changed = (before - after).abs().amax(dim=2)[0] > 1e-6
    assert set(changed.nonzero().ravel().tolist()) == reached


def test_prototype_is_the_mean_under_the_activation_map():
    module = prototypes('none', num_layers=0)
    torch.nn.init.zeros_(module.embeddings)
    features = torch.randn(1, 32, 8, 6)
    cam = torch.zeros(1, 4, 8, 6)
    cam[0, 2, 3, 4] = 50.0
    result = module(features, cam, torch.zeros(1, 1, 32))[0]
    torch.testing.assert_close(result[2], features[0, :, 3, 4])
    torch.testing.assert_close(result[0], features[0].mean(dim=(1, 2)))


def test_bad_skeletons():
    with pytest.raises(ValueError, match="'combined' needs a skeleton"):
        prototypes('combined', links=())
    prototypes('learned', links=())
    with pytest.raises(ValueError, match=r'\(0, 4\).*0 to 3'):
        prototypes('skeleton', links=[(0, 4)])
    with pytest.raises(ValueError, match="'tree'"):
        prototypes('tree')


def test_cam():
    cam = PartCAM(6, 3, kernel_size=3)
    assert cam(torch.randn(2, 6, 5, 4)).shape == (2, 3, 5, 4)
    with pytest.raises(ValueError, match='kernel_size must be odd, but got 2'):
        PartCAM(6, 3, kernel_size=2)
    with pytest.raises(ValueError, match="'max'"):
        PartCAM(6, 3, pooling='max')
