import json
from collections import Counter

import numpy as np
import pytest
import torch
from mmengine.dataset import BaseDataset
from mmengine.structures import InstanceData
from mmpose.registry import DATASETS
from mmpose.structures import PoseDataSample

from mmpose_pretext.datasets import LabelFraction
from mmpose_pretext.datasets.label_fraction import fraction_order


class Numbers(BaseDataset):
    """Samples with an image each of two, a kind and keypoints."""

    def load_data_list(self):
        return [
            dict(
                number=i,
                id=i,
                img_id=i // 2,
                kind='rare' if i // 2 % 10 == 0 else 'common',
                keypoints_visible=np.ones((1, 3 if i % 4 else 1)),
            )
            for i in range(200)
        ]


def chosen(fraction, **kwargs):
    dataset = LabelFraction(Numbers(), fraction, **kwargs)
    return [dataset[i]['number'] for i in range(len(dataset))]


def test_images_are_kept_whole_and_fractions_nested():
    fractions = [0.05, 0.07, 0.1, 0.25, 1.0]
    parts = [chosen(fraction, seed=3) for fraction in fractions]
    assert [len(part) for part in parts] == [10, 14, 20, 50, 200]
    for small, large in zip(parts, parts[1:], strict=False):
        assert set(small) < set(large)
    for part in parts:
        assert part == sorted(part)
        assert set(Counter(n // 2 for n in part).values()) == {2}
    assert chosen(0.25, seed=3) == parts[3]
    assert chosen(0.25, seed=4) != parts[3]


def test_fraction_is_rounded_up_to_an_image():
    assert len(chosen(0.001)) == 2
    assert len(chosen(0.051)) == 12


def test_choice_depends_on_ids_not_on_their_order():
    ids = [f'{i}.jpg' for i in range(50)]
    order = [ids[i] for i in fraction_order(ids, seed=0)]
    backwards = ids[::-1]
    assert [backwards[i] for i in fraction_order(backwards, seed=0)] == order
    # of a set without some images, the order of the others is the same
    some = ids[::3]
    kept = [some[i] for i in fraction_order(some, seed=0)]
    assert kept == [i for i in order if i in some]


def test_choice_is_the_same_everywhere():
    assert fraction_order(list(range(8)), seed=0) == [7, 4, 3, 2, 6, 0, 5, 1]
    first = fraction_order(list(range(100)), seed=0)[:5]
    assert {number // 2 for number in chosen(0.05, seed=0)} == set(first)


def test_choice_is_uniform():
    counts = Counter(
        index for seed in range(400) for index in fraction_order(range(10), seed)[:3]
    )
    # 400 draws of 3 of 10: mean 120, standard deviation 9.2
    assert all(abs(counts[i] - 120) < 45 for i in range(10))


@pytest.mark.parametrize('seed', range(5))
def test_strata_keep_their_share_in_every_prefix(seed):
    strata = ['a'] * 60 + ['b'] * 30 + ['c'] * 10
    order = fraction_order(range(100), seed, strata)
    assert sorted(order) == list(range(100))
    for count in range(1, 101):
        held = Counter(strata[i] for i in order[:count])
        for name, total in dict(a=60, b=30, c=10).items():
            assert abs(held[name] - total * count / 100) <= 2


def test_small_strata_do_not_meet():
    """Strata of one item each are chosen as without strata: at random."""
    firsts = {fraction_order(range(20), seed, range(20))[0] for seed in range(40)}
    assert len(firsts) > 10


def test_stratify_by_key_and_by_keypoints():
    part = chosen(0.2, stratify='kind')
    images = {n // 2 for n in part}
    assert sum(image % 10 == 0 for image in images) == 2
    # an image has 4 labelled keypoints (1 + 3), or 6 (3 + 3): half of them each
    images = {n // 2 for n in chosen(0.1, stratify='num_keypoints')}
    assert sum(image % 2 == 0 for image in images) == 5


def test_samples_outside_of_the_fraction_are_never_drawn():
    """BaseDataset replaces a sample that fails by another: not by a hidden one."""
    dataset = Numbers(pipeline=[])
    wrapped = LabelFraction(dataset, 0.05)
    visible = {wrapped[i]['number'] for i in range(len(wrapped))}
    drawn = {dataset[dataset._rand_another()]['number'] for _ in range(200)}
    assert drawn == visible


@pytest.mark.parametrize('keep_rest', [False, True])
def test_wraps_a_stock_dataset_from_a_config(tmp_path, keep_rest):
    keypoints = [10, 10, 2] * 17
    content = dict(
        images=[dict(id=i, file_name=f'{i}.jpg', height=50, width=50) for i in (1, 2)],
        annotations=[
            dict(
                id=i,
                image_id=i,
                category_id=1,
                iscrowd=0,
                bbox=[5, 5, 30, 30],
                area=900,
                keypoints=keypoints,
                num_keypoints=17,
            )
            for i in (1, 2)
        ],
        categories=[dict(id=1, name='person')],
    )
    (tmp_path / 'a.json').write_text(json.dumps(content))
    dataset = DATASETS.build(
        dict(
            type='mmpose_pretext.LabelFraction',
            fraction=0.5,
            keep_rest=keep_rest,
            dataset=dict(
                type='mmpose.CocoDataset', data_root=str(tmp_path), ann_file='a.json'
            ),
        )
    )
    assert len(dataset) == (2 if keep_rest else 1)
    assert dataset.metainfo['num_keypoints'] == 17
    assert dataset.get_data_info(0)['img_id'] in (1, 2)
    if keep_rest:
        # as the pipeline gets them: with the metainfo that the dataset adds
        samples = [dataset[index] for index in range(2)]
        assert sorted(sample['located'] for sample in samples) == [False, True]
        assert all(len(sample['flip_indices']) == 17 for sample in samples)


@pytest.mark.parametrize('serialize', [True, False])
def test_rest_is_kept_and_the_fraction_marked(serialize):
    reached = []

    def pipeline(info):
        reached.append(info)
        return info

    plain = Numbers()
    parts = {}
    for fraction in (0.05, 0.1, 1.0):
        inner = Numbers(pipeline=[pipeline], serialize_data=serialize)
        dataset = LabelFraction(inner, fraction, seed=3, keep_rest=True)
        assert len(dataset) == len(inner) == len(plain)
        for index in range(len(plain)):
            info = dataset.get_data_info(index)
            assert info['located'] is dataset[index]['located']
            assert reached[-1]['located'] is info.pop('located')
            np.testing.assert_equal(info, plain.get_data_info(index))
        parts[fraction] = [d['number'] for d in reached if d['located']]
        reached.clear()
        assert parts[fraction] == chosen(fraction, seed=3)
        dataset.full_init()
        assert len(dataset) == len(plain)
    assert set(parts[0.05]) < set(parts[0.1])
    assert len(parts[1.0]) == len(plain)


def test_rest_may_not_keep_its_places():
    def pack(info, weight, shift=0):
        labels = InstanceData(keypoint_weights=torch.full((1, 3), float(weight)))
        meta = dict(id=info['id'] + shift)
        sample = PoseDataSample(gt_instance_labels=labels, metainfo=meta)
        return dict(data_samples=sample, located=info['located'])

    def dataset(pipeline):
        return LabelFraction(Numbers(pipeline=[pipeline]), 0.5, keep_rest=True)

    for kept in (
        dataset(lambda info: pack(info, info['located'])),
        dataset(lambda info: pack(info, 1, shift=1)),  # another sample in its place
    ):
        assert [kept[i]['located'] for i in range(200)].count(True) == 100
    leaking = dataset(lambda info: pack(info, 1))
    refused = 0
    for index in range(200):
        if leaking.get_data_info(index)['located']:
            assert leaking[index]['located']
            continue
        refused += 1
        with pytest.raises(ValueError, match='keep_rest needs a transform'):
            leaking[index]
    assert refused == 100


@pytest.mark.parametrize(
    ('fraction', 'share', 'again'),
    # of 200 samples: what is missing of located / (located + rest) = share
    [(0.05, 0.5, 180), (0.05, 0.1, 12), (0.25, 0.5, 100), (0.25, 0.25, 0), (1, 0.9, 0)],
)
def test_located_samples_come_again_for_their_share(fraction, share, again):
    inner = Numbers(pipeline=[])
    dataset = LabelFraction(inner, fraction, keep_rest=True, located_share=share)
    assert len(dataset) == 200 + again
    samples = [dataset[i] for i in range(len(dataset))]
    assert [s['number'] for s in samples[:200]] == list(range(200))
    assert all(s['located'] for s in samples[200:])
    times = Counter(s['number'] for s in samples if s['located'])
    assert sorted(times) == chosen(fraction)
    assert max(times.values()) - min(times.values()) <= 1
    infos = [dataset.get_data_info(i)['number'] for i in range(len(dataset))]
    assert infos == [s['number'] for s in samples]
    one_less = (times.total() - 1) / (len(dataset) - 1)
    assert again == 0 or one_less < share <= times.total() / len(dataset)


@pytest.mark.parametrize(
    ('share', 'keep_rest', 'message'),
    [
        (0, True, r'located_share must be in \(0, 1\), but got 0'),
        (1.0, True, r'located_share must be in \(0, 1\), but got 1.0'),
        (0.5, False, 'located_share=0.5 needs keep_rest=True'),
    ],
)
def test_refuses_shares(share, keep_rest, message):
    with pytest.raises(ValueError, match=message):
        LabelFraction(Numbers(), 0.5, keep_rest=keep_rest, located_share=share)


def test_without_the_rest_nothing_is_marked():
    assert 'located' not in LabelFraction(Numbers(), 0.5).get_data_info(0)


@pytest.mark.parametrize('fraction', [0, -0.1, 1.01])
def test_refuses_fractions(fraction):
    with pytest.raises(ValueError, match=r'fraction must be in \(0, 1\], but got'):
        LabelFraction(Numbers(), fraction)


def test_refuses_an_unknown_key_and_other_datasets():
    with pytest.raises(ValueError, match="stratify='nothing' is no key"):
        LabelFraction(Numbers(), 0.5, stratify='nothing')
    with pytest.raises(TypeError, match='but got list'):
        LabelFraction([1, 2], 0.5)
    combined = dict(
        type='CombinedDataset',
        metainfo=dict(from_file='configs/_base_/datasets/coco.py'),
        datasets=[],
    )
    with pytest.raises(TypeError, match='CombinedDataset; wrap the datasets within'):
        LabelFraction(DATASETS.build(combined), 0.5)
