import pytest
import torch
from mmengine.registry import DefaultScope

from mmpose_pretext.models.losses import RelativeDepthLoss

SMALLEST = '--people 3 --images 2 --size 32 --repeats 1 --threads 1'.split()


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('benchmarks/ranking_loss_speed.py')


def test_the_loop_computes_the_loss(tool):
    torch.manual_seed(0)
    data = dict(
        depths=torch.randn(3, 5, 1),
        visible=torch.ones(3, 5, 1, dtype=torch.bool),
        pairs=torch.combinations(torch.arange(5)).expand(3, -1, -1),
        relations=torch.randint(0, 2, (3, 10)).float() * 2 - 1,
        confidences=torch.rand(3, 10),
    )
    torch.testing.assert_close(
        tool.loop_over_pairs(**data), RelativeDepthLoss()(**data)
    )


def test_all_pairs_are_labelled(tool):
    with DefaultScope.overwrite_default_scope('mmpose'):
        batch = tool.make_batch(2, 4, 64)
    labels = [sample.gt_instance_labels for sample in batch['data_samples']]
    assert [tuple(label.depth_pairs.shape) for label in labels] == [(1, 6, 2)] * 2
    assert not torch.equal(labels[0].depth_points, labels[1].depth_points)
    assert labels[0].depth_points_visible.all()
    assert batch['inputs'][0].shape == (3, 64, 64)


def test_table(tool, capsys):
    threads = torch.get_num_threads()
    assert tool.main(SMALLEST) == 0
    assert torch.get_num_threads() == threads
    table, _, note = capsys.readouterr().out.rpartition('\n\n')
    rows = [line.split(' | ')[0] for line in table.splitlines() if line[:3] != '|--']
    assert rows[-4:] == [
        '| loop over pairs',
        '| loss',
        '| all after the depth map',
        '| training step',
    ]
    assert '2 images of 32 x 32 pixels with 3 people, 3 pairs each; ResNet-18' in note


def test_ratios_are_of_the_same_turn(tool):
    seconds = dict(loss=[1, 2, 4], loop=[100, 400, 400], branch=[2, 4, 9])
    table = tool.summarize(seconds | dict(step=[100, 100, 100]))
    assert '| loop over pairs | 400000.00 | 100 (100 to 200) times the loss |' in table
    assert '| loss | 2000.00 | 2.00% (1.00% to 4.00%) of the step |' in table
    assert '| 4000.00 | 4.00% (2.00% to 9.00%) of the step |' in table


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--people', '1'], '--people must be 2 or more'),
        (['--repeats', '0'], '--repeats must be 1 or more'),
        (['--size', '33'], '--size must be a multiple of 32, but got 33'),
    ],
)
def test_bad_options(tool, options, message, capsys):
    with pytest.raises(SystemExit) as info:
        tool.main(options)
    assert info.value.code == 2
    assert message in capsys.readouterr().err
