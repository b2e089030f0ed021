"""What train.py and test.py add to MMPose's tools of the same names."""

import difflib
import importlib.util
import inspect
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import mmpose
from mmengine.config import Config
from mmengine.runner import Runner

import mmpose_pretext  # noqa: F401  lets torch >= 2.6 read MMEngine's checkpoints

CONFIG_ROOT = Path(__file__).resolve().parent.parent / 'configs'


def run_mmpose_tool(name: str, doc: str, argv: Sequence[str] | None = None) -> None:
    """Check the arguments of a tool of MMPose, then run it.

    Args:
        name: File name of the tool, such as ``'train.py'``.
        doc: Text to print before the help of the tool.
        argv: Arguments. Default: those of this process.

    Raises:
        SystemExit: With code 2 if an argument is wrong, 1 if a file that the
            config names does not exist; after one line on standard error.
    """
    if argv is not None:
        sys.argv[1:] = argv
    if {'-h', '--help'} & set(sys.argv[1:]):
        print(doc)
    tool = _load_mmpose_tool(name)
    try:
        try:
            args = tool.parse_args()
        except (ValueError, AssertionError) as error:  # of MMEngine's DictAction
            raise ValueError(
                '--cfg-options takes KEY=VALUE pairs, as in '
                f'optim_wrapper.optimizer.lr=1e-3 ({error})'
            ) from error
        args.config = str(find_config(args.config))
        check_checkpoint(getattr(args, 'checkpoint', None))
        if getattr(args, 'resume', None) != 'auto':
            check_checkpoint(getattr(args, 'resume', None))
        check_options(Config.fromfile(args.config), args.cfg_options or {})
    except (ValueError, OSError) as error:
        print(f'{name}: error: {error}', file=sys.stderr)
        sys.exit(2)
    args.cfg_options = {
        key.removeprefix('+'): value for key, value in (args.cfg_options or {}).items()
    }
    tool.parse_args = lambda: args
    try:
        tool.main()
    except FileNotFoundError as error:
        sys.exit(f'{name}: error: {error}')


def find_config(config: str) -> Path:
    """Find a config by its path or by its name in this package.

    Args:
        config: Path, or name such as ``hsjp_res50_8xb64-210e_coco-256x192``.

    Raises:
        FileNotFoundError: If there is none. The message proposes similar names.
    """
    if Path(config).is_file():
        return Path(config)
    ours = {path.stem: path for path in sorted(CONFIG_ROOT.rglob('*.py'))}
    name = Path(config).stem if config.endswith('.py') else config
    if name in ours:
        return ours[name]
    raise FileNotFoundError(
        f'config {config!r} is neither a file nor the name of a config of '
        f'mmpose_pretext{_did_you_mean(difflib.get_close_matches(name, ours))}'
    )


def check_checkpoint(checkpoint: str | None) -> None:
    """Raise FileNotFoundError if a checkpoint is a path without a file."""
    if checkpoint and '://' not in checkpoint and not Path(checkpoint).is_file():
        raise FileNotFoundError(
            f'checkpoint {checkpoint!r} is not a file; training writes epoch_N.pth '
            'into its --work-dir'
        )


def check_options(cfg: Config, options: Iterable[str]) -> None:
    """Refuse keys of ``--cfg-options`` that would change nothing.

    A key must exist within an argument of MMEngine's Runner. That leaves out
    misspelt keys, which the Runner would ignore, and the variables of a config
    (``codec``, ``data_root``), whose values have been copied when it was read. A
    leading ``+`` adds a key on purpose, and what the config leaves out of the
    Runner's arguments (``randomness``) may always be given.

    Args:
        cfg: The config.
        options: Keys such as ``optim_wrapper.optimizer.lr``.

    Raises:
        ValueError: If a key is refused. The message proposes others.
    """
    arguments = inspect.signature(Runner).parameters
    known = {
        path
        for name in arguments
        if name in cfg
        for path in (name, *_paths(cfg[name], f'{name}.'))
    }
    for key in options:
        parts = key.split('.')
        added = key.startswith('+') or (parts[0] in arguments and parts[0] not in cfg)
        if added or key in known:
            continue
        similar = difflib.get_close_matches(key, known, cutoff=0.8) or sorted(
            path for path in known if path.split('.')[-1] == parts[-1]
        )
        raise ValueError(
            f'unknown config option {key!r}{_did_you_mean(similar[:4])} Nothing that '
            f'the Runner builds from {cfg.filename} has it; to add it all the same, '
            f'write +{key}=VALUE'
        )


def apply_options(cfg: Config, options: dict[str, Any]) -> None:
    """Change a config as ``--cfg-options`` says.

    Args:
        cfg: The config, changed in place.
        options: Values by key; a leading ``+`` adds a key on purpose.

    Raises:
        ValueError: As of :func:`check_options`.
    """
    check_options(cfg, options)
    cfg.merge_from_dict({k.removeprefix('+'): v for k, v in options.items()})


def _paths(value: Any, prefix: str) -> Iterator[str]:
    """Yield the dotted path of everything inside a dict or list."""
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, (list, tuple)):
        items = enumerate(value)
    else:
        return
    for key, child in items:
        yield f'{prefix}{key}'
        yield from _paths(child, f'{prefix}{key}.')


def _did_you_mean(names: Sequence[str]) -> str:
    return f'; did you mean {" or ".join(names)}?' if names else '.'


def _load_mmpose_tool(name: str) -> ModuleType:
    """Import a tool of the installed MMPose, or of its source checkout."""
    package = Path(mmpose.__file__).parent
    folders = [package / '.mim' / 'tools', package.parent / 'tools']
    for path in (folder / name for folder in folders):
        if path.is_file():
            spec = importlib.util.spec_from_file_location(f'mmpose_{path.stem}', path)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return module
    raise FileNotFoundError(
        f"MMPose's {name} is in neither {folders[0]} nor {folders[1]}; reinstall "
        'MMPose with "pip install mmpose"'
    )
