"""Whether a pipeline keeps people, their order and their relative size."""

from collections.abc import Callable, Iterator, Sequence

from mmengine.dataset import Compose

# by names, so that those of other packages are known without them
SEPARATELY = 'it resizes people or images separately'
PEOPLE = 'it drops people, and so mixes up which are a pair'
REFUSED = dict(
    GetBBoxCenterScale='it is for crops of one person',
    RandomBBoxTransform='it is for crops of one person',
    TopdownAffine='it crops one person',
    RandomHalfBody='it crops one person',
    Mosaic=SEPARATELY,
    CachedMosaic=SEPARATELY,
    YOLOXMixUp=SEPARATELY,
    MixUp=SEPARATELY,
    CachedMixUp=SEPARATELY,
    CopyPaste=SEPARATELY,
    FilterAnnotations=PEOPLE,
    BottomupRandomCrop=PEOPLE,
    BottomupRandomChoiceResize='it moves keypoints, but tells the codec otherwise',
)
MOVING = ('BottomupRandomAffine', 'BottomupResize', 'RandomFlip')


def check_pipeline(pipeline: Compose | Sequence[dict | Callable]) -> None:
    """Refuse transforms after which labels of relative depth are wrong.

    Depth order from perspective survives one affine map of the whole image
    (``BottomupRandomAffine``, ``BottomupResize``), flips, and changes of colour. It
    does not survive what treats people separately, and the labels name people by
    their index, so none may be dropped. Transforms that are not known are allowed.

    ``RandomFlip`` of MMPose 1.3 flips about the wrong axis after
    ``BottomupResize``, which leaves the keypoints in the image, and after a
    ``BottomupRandomAffine`` to an input that is not square, whose width it takes for
    its height: it must come before them. ``BottomupGetHeatmapMask`` follows a
    ``BottomupRandomAffine`` and then a ``RandomFlip`` only.

    Args:
        pipeline: The built pipeline of a dataset, or its config. Wrappers such as
            ``RandomApply`` are looked into.

    Raises:
        ValueError: If a transform is refused. It is named, with what would do.
    """
    if not isinstance(pipeline, Compose):
        pipeline = Compose(pipeline)
    moved, askew = [], None
    for transform in _flatten(pipeline):
        bases = [base.__name__ for base in type(transform).__mro__]
        for base in bases:
            if base in REFUSED:
                raise ValueError(
                    f'{bases[0]} cannot be used with labels of relative depth: '
                    f'{REFUSED[base]}; use BottomupRandomAffine or BottomupResize, '
                    'which treat the whole image alike'
                )
        if 'BottomupResize' in bases and transform.use_udp:
            raise ValueError(
                'BottomupResize(use_udp=True) cannot be used with labels of relative '
                'depth, which are not of UDP; use use_udp=False'
            )
        if 'RandomFlip' in bases and askew:
            raise ValueError(
                f'RandomFlip must come before {askew}, after which it flips '
                'keypoints about another axis than the image'
            )
        if 'BottomupGetHeatmapMask' in bases and moved[:1] != ['BottomupRandomAffine']:
            raise ValueError(
                'BottomupGetHeatmapMask needs BottomupRandomAffine as the first '
                'transform that moves the image, and RandomFlip, if any, after it, but '
                f'got {" and ".join(moved) or "none"}: the mask would lie elsewhere'
            )
        moved += [base for base in bases if base in MOVING]
        if 'BottomupResize' in bases or (
            'BottomupRandomAffine' in bases and len(set(transform.input_size)) > 1
        ):
            askew = bases[0]


def _flatten(transforms: Callable | Sequence[Callable]) -> Iterator[Callable]:
    """Yield the transforms of a pipeline, and of wrappers in it."""
    inner = getattr(transforms, 'transforms', transforms)
    if isinstance(inner, (list, tuple)):
        for transform in inner:
            yield from _flatten(transform)
    elif inner is not transforms:
        yield from _flatten(inner)
    else:
        yield transforms
