"""A part of the labels of a dataset."""

import hashlib
import math
from collections.abc import Hashable, Sequence
from itertools import cycle, islice

import numpy as np
from mmengine.dataset import BaseDataset
from mmpose.datasets import CombinedDataset

from mmpose_pretext.registry import DATASETS


def _draw(seed: int, key: Hashable) -> float:
    """Return a number in [0, 1) that depends on the seed and the key only."""
    digest = hashlib.sha256(f'{seed}:{key}'.encode()).digest()
    return int.from_bytes(digest[:6], 'big') / 2**48


def fraction_order(
    ids: Sequence[Hashable], seed: int, strata: Sequence[Hashable] | None = None
) -> list[int]:
    """Order items so that the first m are the random choice of m of them.

    An item's place is drawn from the seed and its id alone, so choices of
    different sizes are nested and do not depend on the order of the items, the
    version of NumPy or the machine.

    Args:
        ids: An id of each of the N items, such as the image's.
        seed: Seed of the choice.
        strata: A label of each item. If given, the first m items hold of each of
            the strata the share m / N, to within two items.

    Returns:
        The N indices of the items, in order.
    """
    draws = [_draw(seed, key) for key in ids]
    if strata is None:
        places = draws
    else:
        members: dict[Hashable, list[int]] = {}
        for index in sorted(range(len(ids)), key=draws.__getitem__):
            members.setdefault(strata[index], []).append(index)
        places = [0.0] * len(ids)
        for stratum, indices in members.items():
            # evenly spaced from a random start, so that small strata do not meet
            start = _draw(seed, f'stratum {stratum}')
            for rank, index in enumerate(indices):
                places[index] = (rank + start) / len(indices)
    return sorted(range(len(ids)), key=lambda i: (places[i], draws[i]))


@DATASETS.register_module()
class LabelFraction:
    """The samples of a random, seeded fraction of a dataset's images.

    The unit is the image, which an annotator opens once: all people of a chosen
    image are kept. Fractions of one seed are nested: 5 % are within 10 %.

    Use, over any dataset that derives from MMEngine's ``BaseDataset``, as all of
    MMPose do::

        train_dataloader = dict(
            dataset=dict(
                type='mmpose_pretext.LabelFraction',
                fraction=0.1,
                dataset=dict(type='CocoDataset', ...),
            )
        )

    To take a fraction of each dataset in a ``CombinedDataset``, wrap each.

    With ``keep_rest`` the rest stays as well, for semi-supervised training: every
    sample then has the key ``located``, True in the fraction and False in the rest,
    from which a transform has to take the places, as
    :class:`mmpose_pretext.PresenceWindows` does; a sample of the rest that still has
    some after the pipeline is an error.

    Args:
        dataset: Dataset or its config.
        fraction: Fraction of the images, in (0, 1], rounded up to whole images.
        seed: Seed of the choice.
        stratify: Key of the samples (as in ``get_data_info``) whose values the
            fraction should hold in the proportions of the whole, or
            ``'num_keypoints'``: the number of labelled keypoints of an image. An
            image with several people takes the value of the first, but for
            ``'num_keypoints'``, where it takes their sum.
        keep_rest: Keep all samples, and mark those of the fraction as ``located``.
            They are the samples that there would be without ``keep_rest``.
        located_share: Least share of the located samples in an epoch, in (0, 1), with
            ``keep_rest``. If the fraction is smaller, its samples come again in turn
            until they have the share, which makes the epoch longer. A small fraction
            is in few batches otherwise, and seldom seen. Default: None, each once.

    Raises:
        TypeError: If the dataset cannot give a subset.
        ValueError: If the fraction or ``located_share`` is outside its range, there is
            a ``located_share`` without ``keep_rest``, the dataset is empty, or the
            samples do not have the key ``stratify``.
    """

    def __init__(
        self,
        dataset: BaseDataset | dict,
        fraction: float,
        seed: int = 0,
        stratify: str | None = None,
        keep_rest: bool = False,
        located_share: float | None = None,
    ) -> None:
        if not 0 < fraction <= 1:
            raise ValueError(f'fraction must be in (0, 1], but got {fraction!r}')
        if located_share is not None and not keep_rest:
            raise ValueError(
                f'located_share={located_share!r} needs keep_rest=True: without the '
                'rest all samples are located'
            )
        if located_share is not None and not 0 < located_share < 1:
            raise ValueError(
                f'located_share must be in (0, 1), but got {located_share!r}'
            )
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        if not isinstance(self.dataset, BaseDataset) or isinstance(
            self.dataset, CombinedDataset
        ):
            raise TypeError(
                'LabelFraction needs a dataset that derives from '
                "MMEngine's BaseDataset and has samples of its own, but got "
                f'{type(self.dataset).__name__}; wrap the datasets within it'
            )
        self.fraction = fraction
        self.seed = seed
        self.stratify = stratify
        self.keep_rest = keep_rest
        self.located_share = located_share
        self.full_init()

    def full_init(self) -> None:
        """Load the dataset and reduce it to the fraction, or mark that, once."""
        if getattr(self, '_reduced', False):
            return
        self.dataset.full_init()
        images: dict[Hashable, list[int]] = {}
        values: dict[Hashable, Hashable] = {}
        for index in range(len(self.dataset)):
            info = self.dataset.get_data_info(index)
            image = info.get('img_id', info.get('img_path', index))
            if isinstance(image, np.generic):
                image = image.item()
            images.setdefault(image, []).append(index)
            if self.stratify == 'num_keypoints':
                labelled = int(np.count_nonzero(info['keypoints_visible']))
                values[image] = values.get(image, 0) + labelled
            elif self.stratify is not None:
                if self.stratify not in info:
                    raise ValueError(
                        f'stratify={self.stratify!r} is no key of the samples of '
                        f'{type(self.dataset).__name__}; they have {sorted(info)}'
                    )
                values.setdefault(image, str(info[self.stratify]))
        if not images:
            raise ValueError('there is nothing to take a fraction of: no sample')
        ids = list(images)
        strata = [values[image] for image in ids] if values else None
        order = fraction_order(ids, self.seed, strata)
        # the small number: 0.07 * 100 is 7.000000000000001
        count = math.ceil(self.fraction * len(ids) - 1e-9)
        chosen = sorted(i for unit in order[:count] for i in images[ids[unit]])
        self._again: list[int] = []
        if self.keep_rest:
            self._mark(set(chosen))
            if self.located_share is not None:
                rest = len(self.dataset) - len(chosen)
                share = self.located_share
                # the small number: as above
                wanted = math.ceil(share * rest / (1 - share) - 1e-9)
                missing = max(wanted - len(chosen), 0)
                self._again = list(islice(cycle(chosen), missing))
        else:
            self.dataset.get_subset_(chosen)
        self._reduced = True

    def _index(self, idx: int) -> int:
        """Return the index in the dataset: behind its end the fraction comes again."""
        behind = idx - len(self.dataset)
        return self._again[behind] if behind >= 0 else idx

    def _mark(self, chosen: set[int]) -> None:
        """Store with each sample of the dataset whether it is a chosen one."""
        self._located = chosen
        infos = []
        for index in range(len(self.dataset)):
            # what is stored: datasets add their metainfo to it when they are asked
            info = BaseDataset.get_data_info(self.dataset, index)
            del info['sample_idx']
            infos.append(dict(info, located=index in chosen))
        self.dataset.data_list = infos
        if self.dataset.serialize_data:
            serialized = self.dataset._serialize_data()
            self.dataset.data_bytes, self.dataset.data_address = serialized

    @property
    def metainfo(self) -> dict:
        """Metainfo of the dataset."""
        return self.dataset.metainfo

    def get_data_info(self, idx: int) -> dict:
        """Return the annotation of a sample of the fraction."""
        return self.dataset.get_data_info(self._index(idx))

    def __len__(self) -> int:
        """Return the number of samples in an epoch."""
        return len(self.dataset) + len(self._again)

    def __getitem__(self, idx: int) -> dict:
        """Return a sample of the fraction, after the dataset's pipeline.

        Raises:
            ValueError: With ``keep_rest``, if a sample of the rest has places to learn.
        """
        idx = self._index(idx)
        data = self.dataset[idx]
        if self.keep_rest and idx not in self._located:
            self._check_places_are_taken(idx, data)
        return data

    def _check_places_are_taken(self, idx: int, data: dict) -> None:
        sample = data.get('data_samples')
        labels = getattr(sample, 'gt_instance_labels', {})
        if 'keypoint_weights' in labels and (labels.keypoint_weights > 0).any():
            # a dataset gives another sample instead of one that cannot be loaded
            if self.dataset.get_data_info(idx).get('id') != sample.get('id'):
                return
            raise ValueError(
                'a sample that is not located has places to learn after the pipeline, '
                'so training would have the labels of all images. keep_rest needs a '
                'transform that takes them, such as mmpose_pretext.PresenceWindows'
            )
