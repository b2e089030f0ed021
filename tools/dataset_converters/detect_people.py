"""Find the people in a folder of images with an MMDetection model.

Writes a COCO-style json of person boxes, which PersonCropDataset and
pack_person_crops.py read, so that images without any label serve for pretraining:

    python tools/dataset_converters/detect_people.py IMG_DIR CONFIG CHECKPOINT OUT
    dataset=dict(type='mmpose_pretext.PersonCropDataset', ann_file='OUT',
                 data_prefix=dict(img='IMG_DIR'), bbox_score_thr=0.5)

Any detector serves that knows the class "person", such as the RTMDet models of
MMDetection's model zoo. An interrupted run goes on where it stopped when the same
command is given again.
"""

import argparse
import json
import pickle
import sys
from pathlib import Path

import numpy as np
from mmdet.apis import DetInferencer
from mmengine.device import get_device
from mmengine.runner import CheckpointLoader
from rich.progress import MofNCompleteColumn, Progress

from mmpose_pretext.datasets.person_crop_dataset import IMAGE_SUFFIXES
from mmpose_pretext.datasets.transforms import LoadImageStrict

PERSON = 'person'


def build_detector(config: Path, checkpoint: Path, device: str) -> DetInferencer:
    """Build a detector and load all its weights.

    Args:
        config: MMDetection config.
        checkpoint: Its weights.
        device: Such as ``'cuda:0'`` or ``'cpu'``.

    Returns:
        The inferencer.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If the checkpoint is damaged or does not fit the config.
    """
    for path in (config, checkpoint):
        if not path.is_file():
            raise FileNotFoundError(f'{path} does not exist')
    weights = CheckpointLoader.load_checkpoint(str(checkpoint), 'cpu')
    weights = {
        key.removeprefix('module.'): value
        for key, value in weights.get('state_dict', weights).items()
    }
    inferencer = DetInferencer(
        str(config), str(checkpoint), device=device, show_progress=False
    )
    # MMEngine loads what fits and leaves the rest at random.
    state = inferencer.model.state_dict()
    unfit = [
        key
        for key, value in state.items()
        if getattr(weights.get(key), 'shape', None) != value.shape
    ]
    if unfit:
        raise ValueError(
            f'{checkpoint} does not fit {config}: {len(unfit)} of {len(state)} tensors '
            f'of the model are missing or have another shape, such as {unfit[0]}'
        )
    return inferencer


def find_person_label(classes: tuple[str, ...] | list[str]) -> int:
    """Return the index of the class of people.

    Raises:
        ValueError: If there is none.
    """
    names = [name.lower() for name in classes]
    if PERSON not in names:
        raise ValueError(
            f'the model does not know the class "{PERSON}"; its classes are: '
            + ', '.join(classes)
        )
    return names.index(PERSON)


def list_images(folder: Path) -> list[str]:
    """Return the images in a folder and its subfolders, sorted, relative to it.

    Raises:
        FileNotFoundError: If there is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f'{folder} is not a folder')
    names = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob('*')
        if path.suffix.lower() in IMAGE_SUFFIXES
    )
    if not names:
        raise FileNotFoundError(
            f'{folder} holds no image ({", ".join(IMAGE_SUFFIXES)})'
        )
    return names


def to_boxes(
    prediction, label: int, score_thr: float, width: int, height: int
) -> list[list[float]]:
    """Extract the people from what a detector found on one image.

    Args:
        prediction: A ``DetDataSample``.
        label: Index of the class of people.
        score_thr: Smallest score of a box.
        width: Image width in pixels.
        height: Image height in pixels.

    Returns:
        Boxes (x, y, w, h, score), clipped to the image; empty ones are left out.
    """
    instances = prediction.pred_instances.cpu().numpy()
    keep = (instances.labels == label) & (instances.scores >= score_thr)
    corners = instances.bboxes[keep].reshape(-1, 2, 2).clip(0, (width, height))
    sizes = corners[:, 1] - corners[:, 0]
    boxes = np.concatenate([corners[:, 0], sizes, instances.scores[keep, None]], axis=1)
    return [
        [round(value, 4) for value in box]
        for box in boxes[(sizes > 0).all(axis=1)].tolist()
    ]


class Partial:
    """The results so far, in a file that survives an interruption.

    The first line holds the settings, each other line the result of an image.

    Args:
        path: The file.
        settings: Arguments that must be the same when a run goes on.

    Raises:
        FileExistsError: If the file was begun with other settings.
    """

    def __init__(self, path: Path, settings: dict[str, object]) -> None:
        """Read what is there, or begin."""
        self.path = path
        self.results: dict[str, dict] = {}
        text = path.read_text() if path.exists() else ''
        complete = text[: text.rfind('\n') + 1]
        if text != complete:  # interrupted in the middle of a line
            path.write_text(complete)
        if not complete:
            self._append([settings])
            return
        stored, *results = map(json.loads, complete.splitlines())
        different = [key for key, value in settings.items() if stored.get(key) != value]
        if different:
            raise FileExistsError(
                f'{path} was begun with other {" and ".join(different)}; give the same '
                'arguments to go on, or --force to begin anew'
            )
        self.results = {result['file_name']: result for result in results}

    def add(self, results: list[dict]) -> None:
        """Store the results of some images."""
        self._append(results)
        self.results.update({result['file_name']: result for result in results})

    def _append(self, items: list[dict]) -> None:
        with self.path.open('a') as file:
            file.writelines(json.dumps(item) + '\n' for item in items)


def detect(
    inferencer: DetInferencer,
    img_dir: Path,
    names: list[str],
    partial: Partial,
    score_thr: float,
    batch_size: int,
    skip_bad: bool,
) -> list[str]:
    """Detect people and store them.

    Args:
        inferencer: The detector.
        img_dir: Image folder.
        names: Images to work on, relative to it.
        partial: Where the results go.
        score_thr: Smallest score of a box.
        batch_size: Number of images at a time.
        skip_bad: Whether to go on after a bad image.

    Returns:
        A message for each image that was skipped.

    Raises:
        ValueError: If an image is bad and ``skip_bad`` is not set, or the model does
            not know people.
    """
    label = find_person_label(inferencer.model.dataset_meta['classes'])
    load = LoadImageStrict()
    skipped = []
    with Progress(*Progress.get_default_columns(), MofNCompleteColumn()) as progress:
        task = progress.add_task('images', total=len(names))
        for start in range(0, len(names), batch_size):
            images = {}
            for name in names[start : start + batch_size]:
                try:
                    images[name] = load(dict(img_path=str(img_dir / name)))['img']
                except ValueError as error:
                    if not skip_bad:
                        raise ValueError(
                            f'{error}. What was found so far is kept: repair the image '
                            'and give the same command, or add --skip-bad to leave it '
                            'out'
                        ) from error
                    skipped.append(str(error))
            if images:
                predictions = inferencer(
                    list(images.values()),
                    batch_size=len(images),
                    return_datasamples=True,
                )['predictions']
                results = []
                for (name, img), prediction in zip(
                    images.items(), predictions, strict=True
                ):
                    height, width = img.shape[:2]
                    boxes = to_boxes(prediction, label, score_thr, width, height)
                    results.append(
                        dict(file_name=name, width=width, height=height, boxes=boxes)
                    )
                partial.add(results)
            progress.advance(task, batch_size)
    return skipped


def make_json(names: list[str], results: dict[str, dict]) -> dict[str, list]:
    """Make the COCO-style content; images without a result are left out."""
    images, annotations = [], []
    for image_id, name in enumerate(names, start=1):
        if name not in results:
            continue
        result = results[name]
        images.append(
            dict(
                id=image_id,
                file_name=name,
                width=result['width'],
                height=result['height'],
            )
        )
        for x, y, width, height, score in result['boxes']:
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=image_id,
                    category_id=1,
                    iscrowd=0,
                    bbox=[x, y, width, height],
                    area=round(width * height, 2),
                    score=score,
                )
            )
    return dict(
        images=images,
        annotations=annotations,
        categories=[dict(id=1, name=PERSON)],
    )


def run(args: argparse.Namespace) -> None:
    """Detect the people that the arguments name."""
    if args.out.exists() and not args.force:
        raise FileExistsError(f'{args.out} exists; give --force to replace it')
    names = list_images(args.img_dir)
    inferencer = build_detector(args.config, args.checkpoint, args.device)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    partial_file = args.out.with_name(f'{args.out.name}.partial.jsonl')
    if args.force:
        partial_file.unlink(missing_ok=True)
    settings = dict(
        img_dir=str(args.img_dir.resolve()),
        config=str(args.config.resolve()),
        checkpoint=str(args.checkpoint.resolve()),
        score_thr=args.score_thr,
    )
    partial = Partial(partial_file, settings)
    missing = [name for name in names if name not in partial.results]
    if len(missing) < len(names):
        print(f'going on: {len(names) - len(missing)} images are done already')
    skipped = detect(
        inferencer,
        args.img_dir,
        missing,
        partial,
        args.score_thr,
        args.batch_size,
        args.skip_bad,
    )
    for message in skipped:
        print(f'skipped: {message}', file=sys.stderr)
    content = make_json(names, partial.results)
    writing = args.out.with_name(f'{args.out.name}.partial')
    writing.write_text(json.dumps(content, separators=(',', ':')))
    writing.replace(args.out)
    partial_file.unlink()
    count = len(content['annotations'])
    print(
        f'{count} people on {len(content["images"])} images are in {args.out}'
        + (f'; {len(skipped)} images were skipped' if skipped else '')
    )
    if not count:
        print('warning: no person was found; try a lower --score-thr', file=sys.stderr)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'img_dir',
        metavar='IMG_DIR',
        type=Path,
        help='images, searched with the subfolders',
    )
    parser.add_argument(
        'config', metavar='CONFIG', type=Path, help='MMDetection config file'
    )
    parser.add_argument(
        'checkpoint', metavar='CHECKPOINT', type=Path, help='its weights'
    )
    parser.add_argument('out', metavar='OUT', type=Path, help='json file to write')
    parser.add_argument(
        '--score-thr',
        type=float,
        default=0.3,
        help='leave out boxes with a smaller score; the score is written, so '
        'PersonCropDataset can leave out more (default: %(default)s)',
    )
    parser.add_argument(
        '--batch-size',
        type=int,
        default=8,
        help='images at a time (default: %(default)s)',
    )
    parser.add_argument(
        '--device',
        default=get_device(),
        help='such as cuda:0 or cpu (default here: %(default)s)',
    )
    parser.add_argument(
        '--skip-bad',
        action='store_true',
        help='leave out images that cannot be read, and count them; the default is to '
        'stop',
    )
    parser.add_argument(
        '--force',
        action='store_true',
        help='replace OUT, and forget an interrupted run',
    )
    args = parser.parse_args(argv)
    if args.batch_size < 1:
        parser.error(f'--batch-size must be 1 or more, but got {args.batch_size}')
    if not 0 <= args.score_thr <= 1:
        parser.error(f'--score-thr must be in [0, 1], but got {args.score_thr}')
    return args


def main(argv: list[str] | None = None) -> int:
    """Run the command line tool.

    Args:
        argv: Arguments; those of the process if None.

    Returns:
        Exit code: 0, 1 after an error that is printed, 130 when interrupted.
    """
    args = parse_args(argv)
    try:
        run(args)
    except (OSError, ValueError, pickle.UnpicklingError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('interrupted; the same command goes on', file=sys.stderr)
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
