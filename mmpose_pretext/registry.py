"""Child registries of MMEngine's and MMPose's registries.

A config keeps ``default_scope='mmpose'`` and names a type of this package by
its scope, as in ``type='mmpose_pretext.JigsawHeatmap'``. MMEngine then imports
this module, and the modules in ``locations`` when the type is looked up, so no
``custom_imports`` is needed.
"""

from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import OPTIM_WRAPPERS as MMENGINE_OPTIM_WRAPPERS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import WEIGHT_INITIALIZERS as MMENGINE_WEIGHT_INITIALIZERS
from mmengine.registry import Registry
from mmpose.registry import KEYPOINT_CODECS as MMPOSE_KEYPOINT_CODECS

SCOPE = 'mmpose_pretext'

DATASETS = Registry(
    'dataset',
    parent=MMENGINE_DATASETS,
    scope=SCOPE,
    locations=['mmpose_pretext.datasets'],
)
TRANSFORMS = Registry(
    'transform',
    parent=MMENGINE_TRANSFORMS,
    scope=SCOPE,
    locations=['mmpose_pretext.datasets.transforms'],
)
# MMPose's codec registry has no root, so ours is a child of MMPose's.
KEYPOINT_CODECS = Registry(
    'keypoint codec',
    parent=MMPOSE_KEYPOINT_CODECS,
    scope=SCOPE,
    locations=['mmpose_pretext.codecs'],
)
WEIGHT_INITIALIZERS = Registry(
    'weight initializer',
    parent=MMENGINE_WEIGHT_INITIALIZERS,
    scope=SCOPE,
    locations=['mmpose_pretext.transfer'],
)
METRICS = Registry(
    'metric',
    parent=MMENGINE_METRICS,
    scope=SCOPE,
    locations=['mmpose_pretext.evaluation'],
)
HOOKS = Registry(
    'hook',
    parent=MMENGINE_HOOKS,
    scope=SCOPE,
    locations=['mmpose_pretext.engine'],
)
MODELS = Registry(
    'model',
    parent=MMENGINE_MODELS,
    scope=SCOPE,
    locations=['mmpose_pretext.models'],
)
OPTIM_WRAPPERS = Registry(
    'optimizer wrapper',
    parent=MMENGINE_OPTIM_WRAPPERS,
    scope=SCOPE,
    locations=['mmpose_pretext.engine'],
)
