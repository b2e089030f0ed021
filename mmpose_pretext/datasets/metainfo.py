"""The package's own descriptions of keypoints."""

from pathlib import Path


def metainfo_file(name: str) -> str:
    """Find a file of ``configs/_base_/datasets``, without its ``.py``.

    It is in the package's folder ``.mim`` in an installation, and beside the package in
    a checkout that is not installed.
    """
    package, path = Path(__file__).parents[1], f'configs/_base_/datasets/{name}.py'
    installed = package / '.mim' / path
    return str(installed if installed.is_file() else package.parent / path)
