"""Checkpoints of MMEngine on torch >= 2.6, with ``weights_only`` left on.

Since torch 2.6, ``torch.load`` reads only tensors and plain containers unless
told otherwise, and what ``Runner.save_checkpoint`` of MMEngine 0.10 writes holds
a little more: the log history in the message hub, and arrays of the dataset's
meta information. Importing :mod:`mmpose_pretext` calls :func:`activate`, which
allows exactly these, so that ``load_from``, ``--resume`` and ``mim test mmpose``
read them. A file that names anything else is refused, and nothing in it runs.

On torch < 2.6 nothing is changed: there ``torch.load`` is as permissive as ever.
"""

import os.path as osp
import pickle
import re
import struct
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader
from mmengine.utils import digit_version

# The methods that ``HistoryBuffer.__getstate__`` writes; pickle names a method
# as getattr(class, name).
_STATISTICS = ('min', 'max', 'current', 'mean')

_DAMAGED = re.compile(
    'PytorchStreamReader|inline_container|hasRecord|magic number'
    '|protocol version|unexpected EOF'
)


def safe_getattr(obj: Any, name: str) -> Any:
    """Serve ``builtins.getattr`` of a pickle for HistoryBuffer's statistics only.

    Args:
        obj: The object that the pickle asks.
        name: The attribute that it asks for.

    Returns:
        One of the statistics methods of ``HistoryBuffer``.

    Raises:
        pickle.UnpicklingError: If anything else is asked for.
    """
    if obj is HistoryBuffer and name in _STATISTICS:
        return getattr(obj, name)
    owner = obj.__name__ if isinstance(obj, type) else type(obj).__name__
    raise pickle.UnpicklingError(f'GLOBAL builtins.getattr({owner}, {name!r})')


def mmengine_globals() -> list:
    """List the globals in a checkpoint of MMEngine that torch does not know.

    Returns:
        Classes and ``(object, name)`` pairs for
        ``torch.serialization.add_safe_globals``. The names are those of both
        NumPy 1 and NumPy 2, whichever is installed.
    """
    reconstruct = np.empty(0).__reduce__()[0]
    scalar = np.float64(0).__reduce__()[0]
    codes = np.typecodes['AllInteger'] + np.typecodes['AllFloat'] + '?U'
    return [
        HistoryBuffer,
        (safe_getattr, 'builtins.getattr'),
        bytes,  # the data of an empty array
        np.ndarray,
        np.dtype,
        *{type(np.dtype(code)) for code in codes},
        *(
            (function, f'{core}.multiarray.{name}')
            for core in ('numpy.core', 'numpy._core')
            for name, function in (('_reconstruct', reconstruct), ('scalar', scalar))
        ),
    ]


def load_from_local(filename: str, map_location: Any = None) -> Any:
    """Load a checkpoint file with ``weights_only=True``.

    It takes the place of MMEngine's loader of the same name and differs in its
    error messages only.

    Args:
        filename: Path of the file; ``~`` is expanded.
        map_location: As in ``torch.load``.

    Returns:
        What the file holds, usually a dict.

    Raises:
        FileNotFoundError: If there is no such file.
        pickle.UnpicklingError: If the file names a global that is not allowed.
        ValueError: If the file is damaged or no checkpoint.
    """
    path = osp.expanduser(filename)
    if not osp.isfile(path):
        raise FileNotFoundError(f'{filename} can not be found.')
    try:
        return torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        found = re.search(r'GLOBAL (builtins\.getattr\(.*?\)|[\w.]+)', str(error))
        if found is None:
            raise _unreadable(filename, error) from None
        raise pickle.UnpicklingError(_refusal(filename, found[1])) from None
    except (EOFError, LookupError, UnicodeError, AssertionError, struct.error) as error:
        raise _unreadable(filename, error) from error
    except RuntimeError as error:
        if not _DAMAGED.search(str(error)):
            raise
        raise _unreadable(filename, error) from error


def _refusal(filename: str, name: str) -> str:
    return (
        f"{filename} was refused: it asks for '{name}', which is neither a tensor, "
        'a plain container nor one of the few types that MMEngine writes. A file '
        'can run any code through such a name, so nothing in it was run. If you do '
        'not know who made the file, do not use it. If you do: where it was made, '
        "save the weights alone, torch.save({'state_dict': model.state_dict()}, "
        f"...); or, if '{name}' is a class that you trust, allow it before loading "
        'with torch.serialization.add_safe_globals([...]).'
    )


def _unreadable(filename: str, error: Exception) -> ValueError:
    # Torch puts its advice around the unpickler's own words.
    reason = str(error).partition('WeightsUnpickler error: ')[2] or str(error)
    reason = reason.strip().partition('\n')[0]
    return ValueError(
        f'{filename} is damaged or not a PyTorch checkpoint '
        f'({type(error).__name__}: {reason}). Was it copied or downloaded to its end?'
    )


def activate() -> None:
    """Allow what MMEngine writes, and use :func:`load_from_local` for files."""
    if digit_version(torch.__version__) >= digit_version('2.6'):
        torch.serialization.add_safe_globals(mmengine_globals())
        CheckpointLoader.register_scheme('', load_from_local, force=True)
