import copy
import inspect
import json
import re
from functools import cache
from pathlib import Path
from unittest import mock

import mmpose
import pytest
import torch
from mim.commands.search import convert2df
from mmengine.config import Config
from mmengine.fileio import load
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData
from mmengine.visualization import Visualizer
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import (
    DATA_SAMPLERS,
    DATASETS,
    HOOKS,
    KEYPOINT_CODECS,
    METRICS,
    MODELS,
    PARAM_SCHEDULERS,
    WEIGHT_INITIALIZERS,
)
from mmpose.structures import PoseDataSample
from modelindex.load_model_index import load as load_model_index

ROOT = Path(__file__).parents[1]
PATHS = sorted((ROOT / 'configs').rglob('*.py'))
# those of MMPretrain are tested in test_peers.py, metainfos with their datasets
CONFIGS = {
    path.stem: path
    for path in PATHS
    if path.parent.name not in ('peers', 'datasets')
    and not path.stem.startswith('image-pose-lift')  # in test_pose_3d_training.py
}
LOCATION_FREE = [
    name
    for name, path in CONFIGS.items()
    if 'location_free' in path.parts and '_lspet-' not in name
]
COCO = [n for n in CONFIGS if '_coco-' in n and n not in LOCATION_FREE]
WSP = [name for name in CONFIGS if name.startswith('wsp')]
POSE_3D = [name for name in CONFIGS if name.startswith('integral-pose3d_')]
CLASSIFICATION = [n for n in CONFIGS if n.startswith(('permutation_', 'rotation_'))]
HEATMAPS = [name for name in CONFIGS if name not in CLASSIFICATION]
AFFINE = ('TopdownAffine', 'BottomupRandomAffine', 'BottomupResize')
STOCK = Path(mmpose.__file__).parent.joinpath(
    '.mim', 'configs', 'body_2d_keypoint', 'topdown_heatmap'
)


read_yaml = cache(load)


@cache
def _load(path):
    # MMEngine reads all metafiles of MMPose for every 'mmpose::' base
    with mock.patch('mmengine.config.utils.load', read_yaml):
        return Config.fromfile(path)


def config(name):
    return copy.deepcopy(_load(CONFIGS[name]))


def dicts(value):
    """Yield all dicts within a config."""
    if isinstance(value, dict):
        yield value
        value = value.values()
    if not isinstance(value, str) and hasattr(value, '__iter__'):
        for child in value:
            yield from dicts(child)


def without(value, *keys):
    """Return a copy as plain Python, without some keys at any depth."""
    if isinstance(value, dict):
        items = ((k, v) for k, v in value.items() if k not in (*keys, '_scope_'))
        return {key: without(child, *keys) for key, child in items}
    if isinstance(value, (list, tuple)):
        return [without(child, *keys) for child in value]
    return value


def stock(name):
    """Return the config of MMPose that a config follows."""
    name = re.sub(r'^(hsjp|locfree|locfree-cam)_', 'td-hm_', name)
    name = re.sub(r'_(scratch|hsjp(-ema)?-\d+e-pre)_', '_', name)
    name = re.sub(r'-25pct(-only)?-', '-', name.replace('_ema-', '_'))
    data = re.search(r'_([a-z]+)-\d+x\d+$', name)[1]
    return _load(STOCK / data / f'{name}.py')


def network(model, *keys):
    """Return a model's config without some keys, with a default spelt out."""
    model = without(model, *keys)
    head = inspect.signature(MODELS.get('HeatmapHead')).parameters
    default = list(head['deconv_out_channels'].default)
    model['head'].setdefault('deconv_out_channels', default)
    return model


def loaders(cfg):
    return [cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader]


def source(loader):
    """Return the config of a loader's dataset, without wrappers."""
    dataset = loader.dataset
    while 'dataset' in dataset:
        dataset = dataset.dataset
    return dataset


@pytest.fixture(autouse=True)
def default_scope():
    init_default_scope('mmpose')


def test_names_are_unique():
    """MIM looks configs up by name."""
    assert len({path.stem for path in PATHS}) == len(PATHS)


@pytest.mark.parametrize('name', CONFIGS)
def test_builds(name):
    cfg = config(name)
    assert cfg.default_scope == 'mmpose'
    # _delete_ in a dict that a list holds, or that overrides nothing, stays
    assert not any('_delete_' in child for child in dicts(cfg.to_dict()))

    for loader in loaders(cfg):
        assert DATA_SAMPLERS.get(loader.sampler.type)
        dataset = DATASETS.build(dict(source(loader), lazy_init=True))
        assert len(dataset.pipeline.transforms) == len(source(loader).pipeline)
        assert (loader.num_workers > 0) >= loader.get('persistent_workers', False)
    assert not config(name).train_dataloader.dataset.get('test_mode', False)
    assert cfg.val_dataloader.dataset.test_mode
    assert cfg.test_dataloader.dataset.test_mode

    for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
        metrics = evaluator.get('metrics', evaluator)
        for metric in metrics if isinstance(metrics, list) else [metrics]:
            assert METRICS.get(metric.type)
    Visualizer.get_instance('test_configs')  # which a hook looks for
    for hook in (*cfg.default_hooks.values(), *cfg.custom_hooks):
        HOOKS.build(hook)
    for child in dicts(cfg.model.to_dict()):
        init_cfg = child.get('init_cfg') or []
        for init in init_cfg if isinstance(init_cfg, list) else [init_cfg]:
            assert WEIGHT_INITIALIZERS.get(init['type'])

    # a name that the optimizer or scheduler does not know is an error here
    optim_wrapper = build_optim_wrapper(torch.nn.Linear(1, 1), cfg.optim_wrapper)
    for scheduler in cfg.param_scheduler:
        scheduler = dict(scheduler, optimizer=optim_wrapper)
        if scheduler.pop('convert_to_iter_based', False):
            PARAM_SCHEDULERS.get(scheduler['type']).build_iter_from_epoch(
                **{k: v for k, v in scheduler.items() if k not in ('type', '_scope_')},
                epoch_length=10,
            )
        else:
            PARAM_SCHEDULERS.build(scheduler)


@pytest.mark.parametrize('name', HEATMAPS)
def test_label_is_the_same_everywhere(name):
    """Overriding the codec of a parent reaches neither its head nor pipelines."""
    cfg = config(name)
    codec = without(cfg.codec)
    assert without(cfg.model.head.decoder) == codec
    KEYPOINT_CODECS.build(codec)
    pipelines = [source(loader).pipeline for loader in loaders(cfg)]
    for pipeline in pipelines:
        (affine,) = [t for t in pipeline if t.type in AFFINE]
        assert affine.input_size == tuple(codec['input_size'])
    targets = [[t for t in p if t.type == 'GenerateTarget'] for p in pipelines]
    assert len(targets[0]) == 1
    assert all(without(t.encoder) == codec for found in targets for t in found)
    if name in WSP:  # its head predicts at labelled points
        assert [len(found) for found in targets] == [1, 1, 1]

    shuffles = [[t for t in p if 'JigsawShuffle' in t.type] for p in pipelines]
    if codec['type'] == 'mmpose_pretext.JigsawHeatmap':
        assert [len(found) for found in shuffles] == [1, 1, 1]
        assert all(list(found[0].grid) == codec['grid'] for found in shuffles)
        seeded = [found[0].get('seed') is not None for found in shuffles]
        assert seeded == [False, True, True]  # fixed puzzles for validation
        outputs = codec['grid'][0] * codec['grid'][1]
        for pipeline in pipelines[1:]:
            assert {'jigsaw_grid', 'jigsaw_permutation'} <= {*pipeline[-1].meta_keys}
    else:
        assert shuffles == [[], [], []]
        dataset = DATASETS.build(dict(source(cfg.train_dataloader), lazy_init=True))
        outputs = dataset.metainfo['num_keypoints']
    if 'metainfo' in cfg.model.head:
        of_head = parse_pose_metainfo(dict(cfg.model.head.metainfo))
        assert of_head['keypoint_name2id'] == dataset.metainfo['keypoint_name2id']
    elif name in POSE_3D:
        assert cfg.model.head.num_keypoints == outputs
        root = dataset.metainfo['keypoint_id2name'][codec.get('root_index', 0)]
        assert root in ('root', 'pelvis')
        for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
            assert evaluator.get('root_index', 0) == codec.get('root_index', 0)
    else:
        assert cfg.model.head.out_channels == outputs


@pytest.mark.parametrize('name', CLASSIFICATION)
def test_classification_differs_from_hsjp_in_the_pretext_only(name):
    cfg, hsjp = config(name), config(f'hsjp_{name.partition("_")[2]}')
    differs = 'num_permutations', 'pipeline', 'train_pipeline', 'val_pipeline'
    differs += 'head', 'val_evaluator', 'test_evaluator'
    assert without(cfg.to_dict(), *differs) == without(hsjp.to_dict(), *differs)
    assert cfg.val_evaluator == cfg.test_evaluator

    labels = 'JigsawShuffle', 'RandomQuarterTurn', 'GenerateTarget', 'PackPoseInputs'
    for ours, theirs in zip(loaders(cfg), loaders(hsjp), strict=True):
        same, reference = (
            [
                t.to_dict()
                for t in loader.dataset.pipeline
                if not t.type.endswith(labels)
            ]
            for loader in (ours, theirs)
        )
        if name.startswith('rotation_') and ours is cfg.train_dataloader:
            assert same[3].pop('rotate_prob') == 0
        assert same == reference
        kinds = [t.type for t in ours.dataset.pipeline]
        (place,) = [n for n, kind in enumerate(kinds) if kind.endswith(labels[:2])]
        pretext = ours.dataset.pipeline[place]
        assert ('seed' in pretext) == (ours is not cfg.train_dataloader)
        if name.startswith('permutation_'):
            assert pretext.type == 'mmpose_pretext.JigsawShuffle'
            assert pretext.grid == hsjp.codec.grid
            assert pretext.num_permutations == cfg.model.head.num_classes
        else:
            assert pretext.type == 'mmpose_pretext.RandomQuarterTurn'
            assert cfg.model.head.num_classes == 4
            assert kinds[place + 1] == 'TopdownAffine'


@pytest.mark.parametrize('name', CONFIGS)
def test_initial_weights(name):
    """A network starts from random weights, or from a pretraining config's."""
    backbone = config(name).model.backbone
    init_cfg = backbone.get('init_cfg')
    if '-pre_' in name:
        assert init_cfg.type == 'mmpose_pretext.PretrainedBackbone'
        source = Path(init_cfg.checkpoint).parent.name
        method = re.search(r'_([a-z]+(?:-heatmap|-shuffled)?)(-ema)?-(\d+e)-pre_', name)
        assert source.startswith(f'{method[1]}_')
        assert ('_ema-' in source) == bool(method[2])
        assert f'-{method[3]}_' in source
        pretrained = config(source).model.backbone
        # the strict transfer needs the same backbone
        assert without(pretrained, 'init_cfg') == without(backbone, 'init_cfg')
        head = config(name).model.head
        if head.get('init_cfg'):
            assert head.init_cfg.type == 'mmpose_pretext.PretrainedDeconv'
            assert head.init_cfg.checkpoint == init_cfg.checkpoint
            if '_wsp' in name:  # other heads, of the same deconvolutions
                theirs = config(source).model.head
                assert head.in_channels == theirs.in_channels
                ours, theirs = (
                    tuple(h.get('deconv_out_channels', (256, 256, 256)))
                    for h in (head, theirs)
                )
                assert ours == theirs
            else:
                own = ('init_cfg', 'decoder', 'out_channels', 'test_cfg')
                ours, theirs = (network(config(n).model, *own) for n in (name, source))
                assert ours == theirs
        # ResNets' deconvolutions come along, but in the first run that was made
        assert bool(head.get('init_cfg')) == (
            backbone.type == 'ResNet' and '-30e_' not in name
        )
    elif name in LOCATION_FREE:
        assert without(init_cfg) == without(stock(name).model.backbone.init_cfg)
    elif '_scratch_' not in name and ('_mcpc-' in name or '-25e_' in name):
        (parent,) = STOCK.glob(
            f'coco/td-hm_{name.split("_")[1]}_8xb??-*_coco-256x192.py'
        )
        assert without(init_cfg) == without(_load(parent).model.backbone.init_cfg)
    elif init_cfg is not None:
        default = inspect.signature(MODELS.get(backbone.type)).parameters['init_cfg']
        assert without(init_cfg) == default.default


@pytest.mark.parametrize('name', COCO)
def test_follows_the_stock_recipe(name):
    cfg, parent = config(name), stock(name)
    own = ['init_cfg']
    if not name.startswith('td-hm'):
        own += ['decoder', 'out_channels', 'test_cfg']
    assert network(cfg.model, *own) == network(parent.model, *own)
    for key in ('optim_wrapper', 'param_scheduler', 'auto_scale_lr', 'train_cfg'):
        assert without(cfg[key]) == without(parent[key])
    batch_size = parent.train_dataloader.batch_size
    assert cfg.train_dataloader.batch_size == batch_size
    for key in ('input_size', 'heatmap_size', 'sigma'):
        assert cfg.codec[key] == parent.codec[key]
    if name.startswith('td-hm'):
        assert set(cfg.keys()) == {*parent.keys(), 'custom_imports'}
        same = set(parent.keys()) - {'model'}
        assert all(without(cfg[key]) == without(parent[key]) for key in same)


@pytest.mark.parametrize('name', LOCATION_FREE)
def test_location_free_follows_the_stock_recipe(name):
    cfg, parent = config(name), stock(name)
    same = set(parent.keys()) - {'model', 'codec', 'train_pipeline', 'train_dataloader'}
    assert all(without(cfg[key]) == without(parent[key]) for key in same)
    # what the context encoder needs more is no other network
    more = 'out_indices', 'multiscale_output'
    ours, theirs = (c.model.to_dict() for c in (cfg, parent))
    for key in ('backbone', 'data_preprocessor', 'test_cfg'):
        assert without(ours[key], *more) == without(theirs[key])

    dataset, original = source(cfg.train_dataloader), source(parent.train_dataloader)
    assert without(dataset, 'pipeline') == without(original, 'pipeline')
    labels = 'GenerateTarget', 'RandomHalfBody', 'PresenceWindows'
    for_both = [
        [t for t in without(d.pipeline) if not t['type'].endswith(labels)]
        for d in (dataset, original)
    ]
    assert for_both[0] == for_both[1]
    kinds = {t.type for t in dataset.pipeline}
    if '-25pct-' in name:
        expected = dict(fraction=0.25, stratify='num_keypoints')
        semi = '-only-' not in name and name.startswith('locfree')
        wrapper = cfg.train_dataloader.dataset
        if not semi:  # as many iterations as the others
            assert (wrapper.type, wrapper.times) == ('RepeatDataset', 4)
            wrapper = wrapper.dataset
        assert {k: wrapper[k] for k in expected} == expected
        assert wrapper.get('keep_rest', False) == semi
    # places only where they may be known
    located = '-only-' in name or name.startswith('td-hm')
    assert located == ('mmpose_pretext.PresenceWindows' not in kinds)
    if name.startswith('td-hm'):
        assert without(cfg.model.to_dict()) == without(parent.model.to_dict())
    else:
        # half bodies are cut out by the places of keypoints
        assert 'RandomHalfBody' not in kinds
        head = cfg.model.head
        assert located == ('presence_loss' in head and head.presence_loss is None)


@pytest.mark.parametrize(
    'name', [n for n in WSP if n.startswith(('wsp-heatmap_', 'wsp-shuffled_'))]
)
def test_wsp_controls_change_one_thing(name):
    cfg, full = config(name), config(f'wsp_{name.partition("_")[2]}')
    if name.startswith('wsp-heatmap_'):
        assert cfg.model.head.depth_loss.pop('loss_weight') == 0
        assert full.model.head.depth_loss.pop('loss_weight') > 0
    else:
        assert cfg.train_dataloader.dataset.pop('shuffle_relations') is not None
    assert cfg.to_dict() == full.to_dict()


@pytest.mark.parametrize('name', [n for n in WSP if n.startswith('wsp-coordinates_')])
def test_coordinates_are_of_upright_images_and_a_ground(name):
    cfg, full = config(name), config(f'wsp_{name.partition("_")[2]}')
    assert cfg.model.head.pop('coordinates') is True
    (key,) = cfg.optim_wrapper.pop('paramwise_cfg')['custom_keys']
    assert key == 'head.depth_layer'
    dataset = cfg.train_dataloader.dataset
    assert dataset.pipeline[1].rotate_factor == 0
    assert dataset.ann_file == 'train_ground.json'
    dataset.ann_file = full.train_dataloader.dataset.ann_file
    assert without(cfg.to_dict(), 'rotate_factor') == without(
        full.to_dict(), 'rotate_factor'
    )


@pytest.mark.parametrize('name', CONFIGS)
def test_stock_tools_read_the_checkpoint(name):
    """MMPose's own tools import the package before they read a checkpoint.

    torch >= 2.6 needs that. A type of the package sees to it, unless it is an
    initializer: nothing builds it when a model is tested.
    """
    cfg = without(config(name).to_dict(), 'init_cfg')
    types = {str(child.get('type')) for child in dicts(cfg)}
    ours = any(kind.startswith('mmpose_pretext.') for kind in types)
    assert ours or cfg['custom_imports']['imports'] == ['mmpose_pretext']


HAVE_LEARNED = {}  # models, by their architecture
HEATMAP_SIZES = {}  # by architecture and input_size


@pytest.mark.parametrize('name', HEATMAPS)
def test_model_runs(name):
    """Every parameter gets a finite gradient, and the heatmaps have their size."""
    cfg = config(name)
    keys = ('init_cfg', 'decoder', 'out_channels', 'metainfo', 'test_cfg')
    depth = cfg.codec.heatmap_size[2:]  # of a volume
    architecture = json.dumps([network(cfg.model, *keys), depth], sort_keys=True)
    if architecture not in HAVE_LEARNED:
        model = revert_sync_batchnorm(MODELS.build(cfg.model))
        learn(model, depth)
        HAVE_LEARNED[architecture] = model.to('meta')  # shapes, no arithmetic
    HAVE_LEARNED[architecture].head.decoder.heatmap_size = cfg.codec.heatmap_size

    width, height = cfg.codec.input_size
    key = architecture, width, height
    if key not in HEATMAP_SIZES:
        inputs = torch.empty(1, 3, height, width, device='meta')
        heatmaps = HAVE_LEARNED[architecture](inputs, None, mode='tensor')
        if name in WSP:
            heatmaps, depths = heatmaps
            assert depths.shape == (1, 1, *heatmaps.shape[2:])
        elif name in POSE_3D:
            heatmaps, root_depths = heatmaps
            assert root_depths.shape == (1, 1)
        HEATMAP_SIZES[key] = tuple(heatmaps.shape[:1:-1])
    assert HEATMAP_SIZES[key] == cfg.codec.heatmap_size


@pytest.mark.parametrize('name', CLASSIFICATION)
def test_classification_model_runs(name):
    torch.manual_seed(0)
    model = MODELS.build(config(name).model)
    samples = [PoseDataSample(), PoseDataSample()]
    for label, sample in enumerate(samples):
        labels = InstanceData(pretext_labels=torch.tensor([label]))
        sample.gt_instance_labels = labels
    model.loss(torch.randn(2, 3, 64, 64), samples)['loss_pretext'].backward()
    for parameter in model.parameters():
        assert parameter.grad.isfinite().all()


def learn(model, depth, size=64, stride=4):
    """Run a model of heatmaps or volumes forward and backward on small images."""
    torch.manual_seed(0)
    outputs = model.head.out_channels
    if depth:
        outputs = model.head.num_keypoints
    model.head.decoder.heatmap_size = (size // stride, size // stride, *depth)
    samples = []
    for _ in range(2):
        heatmaps = torch.rand(outputs, size // stride, size // stride)
        sample = PoseDataSample(gt_fields=PixelData(heatmaps=heatmaps))
        sample.gt_instance_labels = InstanceData(
            keypoint_weights=torch.ones(1, outputs, *(3 for _ in depth)),
            presence=torch.ones(1, 1, outputs),  # for heads that learn from it
            presence_windows=torch.rand(1, 1, 4, 2),
            depth_points=torch.rand(1, 2, outputs, 2),
            depth_points_visible=torch.ones(1, 2, outputs, dtype=torch.bool),
            depth_pairs=torch.tensor([[[0, 1]]]),
            depth_relations=torch.ones(1, 1),
            keypoint_labels=torch.rand(1, outputs, 3),
            root_depth_labels=torch.rand(1, 1),
            root_depth_weights=torch.ones(1, 1),
            depth_confidences=torch.ones(1, 1),
        )
        samples.append(sample)
    losses = model.loss(torch.randn(2, 3, size, size), samples)
    loss, _ = model.parse_losses(losses)
    loss.backward()
    assert loss.isfinite()
    for parameter in model.parameters():
        assert parameter.grad is not None  # DDP waits for it
        assert parameter.grad.isfinite().all()


@pytest.fixture(scope='module')
def metadata():
    index = load(ROOT / 'model-index.yml')
    return {
        path: load(ROOT / path) for path in index['Import'] if (ROOT / path).is_file()
    }


def test_metafiles_list_every_config(metadata):
    """Configs on made data are not listed: there is nothing to publish."""
    assert set(metadata) == {
        str(path.relative_to(ROOT)) for path in ROOT.glob('configs/*/metafile.yml')
    }
    models = [model for file in metadata.values() for model in file['Models']]
    listed = sorted(model['Config'] for model in models)
    paths = [str(path.relative_to(ROOT)) for path in CONFIGS.values()]
    assert listed == sorted(p for p in paths if not p.startswith('configs/synthetic/'))
    assert all(model['Name'] == Path(model['Config']).stem for model in models)


def test_metafiles_agree_with_the_configs(metadata):
    for path, file in metadata.items():
        collections = [collection['Name'] for collection in file['Collections']]
        downstream = {}
        for model in file['Models']:
            assert model['In Collection'] in collections
            assert Path(model['Config']).is_relative_to(Path(path).parent)
            name, data = model['Name'], model['Metadata']
            cfg = config(name)
            assert data['Epochs'] == cfg.train_cfg.max_epochs
            gpus, batch = map(int, re.search(r'_(?:ema-)?(\d+)xb(\d+)-', name).groups())
            assert batch == cfg.train_dataloader.batch_size
            assert data['Batch Size'] == gpus * batch
            assert data['Architecture'] == cfg.model.backbone.type
            assert f'_{data["Training Data"].lower()}-' in name
            height, width = map(int, name.rpartition('-')[2].split('x'))
            assert cfg.codec.input_size == (width, height)
            for child in model.get('Downstream', []):
                downstream[child] = name
        for name in (
            model['Name'] for model in file['Models'] if '-pre_' in model['Name']
        ):
            checkpoint = config(name).model.backbone.init_cfg.checkpoint
            assert downstream.pop(name) == Path(checkpoint).parent.name
        assert not downstream


def test_mim_reads_the_metafiles(metadata):
    index = load_model_index(str(ROOT / 'model-index.yml'))
    index.build_models_with_collections()
    table = convert2df(index)
    name = 'hsjp_hrnet-w32_8xb64-210e_coco-256x192'
    assert len(table) == sum(len(file['Models']) for file in metadata.values())
    assert table.loc[name, 'config'] == f'configs/hsjp/{name}.py'
    assert table.loc[name, 'training_data'] == 'coco'
