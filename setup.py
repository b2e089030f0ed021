"""Packaging of mmpose_pretext with the files that MIM looks for in ``.mim``."""

import os
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.editable_wheel import editable_wheel

ROOT = Path(__file__).resolve().parent
PACKAGE = ROOT / 'mmpose_pretext'
MIM_FILES = ('configs', 'tools', 'model-index.yml')


def requirements(name: str) -> list[str]:
    """Read requirements/NAME.txt without its comments."""
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines()
    return [line for line in lines if line and not line.startswith('#')]


def version() -> str:
    """Read the version without importing the package."""
    scope: dict = {}
    exec((PACKAGE / 'version.py').read_text(), scope)
    return scope['__version__']


class BuildWithMim(build_py):
    """Puts ``.mim`` into the build folder, so the source tree stays clean."""

    def run(self) -> None:
        """Build the package, then copy the files of MIM beside it."""
        super().run()
        if self.editable_mode:
            return
        mim = Path(self.build_lib) / PACKAGE.name / '.mim'
        shutil.rmtree(mim, ignore_errors=True)
        mim.mkdir(parents=True)
        for name in MIM_FILES:
            if (ROOT / name).is_dir():
                shutil.copytree(
                    ROOT / name,
                    mim / name,
                    ignore=shutil.ignore_patterns('__pycache__', '*.py[cod]'),
                )
            else:
                shutil.copyfile(ROOT / name, mim / name)


class EditableWithMim(editable_wheel):
    """Links ``.mim`` in the source tree and tells MIM where that is.

    MIM and MMEngine look for ``site-packages/<name in top_level.txt>``, where an
    editable package is not. With an absolute path in top_level.txt they find it,
    because ``os.path.join`` drops what stands before an absolute path.
    """

    def run(self) -> None:
        """Link the files of MIM, then build the wheel that points here."""
        mim = PACKAGE / '.mim'
        mim.mkdir(exist_ok=True)
        for name in MIM_FILES:
            link = mim / name
            link.unlink(missing_ok=True)
            link.symlink_to(os.path.relpath(ROOT / name, mim))
        if self.dist_info_dir is None:
            dist_info = self.reinitialize_command('dist_info', output_dir=self.dist_dir)
            self.run_command('dist_info')
            self.dist_info_dir = dist_info.dist_info_dir
        Path(self.dist_info_dir, 'top_level.txt').write_text(f'{PACKAGE}\n')
        super().run()


setup(
    name='mmpose_pretext',
    version=version(),
    description='Pretraining of human pose networks as a plugin of MMPose 1.x',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    author='MMPose Pretext contributors',
    keywords='computer vision, human pose estimation, self-supervised learning',
    license='Apache-2.0',
    classifiers=[
        'Development Status :: 4 - Beta',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
    ],
    python_requires='>=3.10',
    packages=find_packages(include=['mmpose_pretext', 'mmpose_pretext.*']),
    install_requires=requirements('runtime'),
    extras_require={
        name: requirements(file)
        for name, file in {
            'mim': 'mminstall',
            'tests': 'tests',
            'optional': 'optional',
        }.items()
    },
    cmdclass={'build_py': BuildWithMim, 'editable_wheel': EditableWithMim},
    zip_safe=False,
)
