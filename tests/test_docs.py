"""Every block of code in the docs that can run is run; every command's options and files exist; every page, tutorials from end to end."""

import importlib.util
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest
from helpers import ROOT
from helpers.errors import fails

from vkd import METHODS
from vkd.build.config import resolve_config
from vkd.commands import load
from vkd.commands.line import parser_of
from vkd.runs.cells import read_suite

PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md')), *sorted((ROOT / 'docs').glob('*/*.md'))]
TUTORIALS = sorted((ROOT / 'docs/tutorials').glob('*.md'))
#: a page's suite files, and how many cells each has
SUITES = dict(suite=[10, 6, 23], scale=[9], configs=[9])


def blocks(page, *languages, all=False):
    """``[(language, title, code)]`` of a page, without what a comment above it marks as not run (and why)."""
    found = re.findall(
        r'^(?:<!-- not run: (.+?) -->\n)?```(\w+)(?: title="(.+?)")?\n(.*?)^```', page.read_text(encoding='utf-8'), re.M | re.S
    )
    return [(language, title, code) for why, language, title, code in found if language in languages and (all or not why)]


def tool(script):
    spec = importlib.util.spec_from_file_location('tool_of_docs', ROOT / script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize('page', [p for p in PAGES if p not in TUTORIALS and blocks(p, 'python')], ids=lambda p: p.stem)
def test_python(page, monkeypatch, tmp_path):
    before, suites = dict(METHODS.module_dict), list(SUITES.get(page.stem, []))
    names = {'__name__': page.stem}
    try:
        for _, _, code in blocks(page, 'python'):
            exec(compile(code, str(page), 'exec'), names)
            if 'runs = [' in code:  # a suite file
                (tmp_path / 'suite.py').write_text(code)
                monkeypatch.chdir(ROOT)
                assert len(read_suite(tmp_path / 'suite.py')[1]) == suites.pop(0)
    finally:
        for added in set(METHODS.module_dict) - set(before):
            METHODS.module_dict.pop(added)
    assert len(names) > 2 and not suites


@pytest.mark.slow
@pytest.mark.parametrize('page', TUTORIALS, ids=lambda p: p.stem)
def test_a_tutorial_from_its_first_block_to_its_last(page, tmp_path, monkeypatch):
    """Files are written, commands run, in the order of the page; a suite's cells are loaded, but not trained."""
    monkeypatch.chdir(tmp_path)
    for folder in ('tools', 'configs'):
        (tmp_path / folder).symlink_to(ROOT / folder)
    for language, title, code in blocks(page, 'python', 'bash'):
        if language == 'python':
            (tmp_path / title).write_text(code)
            continue
        for line in code.splitlines():
            if line.startswith('vkd '):
                _, kind, *words = shlex.split(line)
                if kind == 'suite':
                    assert len(read_suite(words[0])[1]) > 2
                else:
                    module = load(kind)
                    module.main(parser_of(module).parse_args(words))
                continue
            _, script, *words = shlex.split(line)
            monkeypatch.setattr(sys, 'argv', [script, *words])
            if script == 'tools/suite.py':
                assert len(read_suite(words[0])[1]) > 2
            elif script.startswith('tools/'):
                module = tool(script)
                module.main(module.arguments().parse_args(words))
            else:
                runpy.run_path(script, run_name='__main__')
    assert list(tmp_path.glob('exported*/*_student.pth'))


@pytest.mark.slow
def test_a_model_of_the_docs_is_built(tmp_path, monkeypatch):
    """The README's own config, with real configs of mmseg; only checkpoints have to be made."""
    import torch
    from helpers.networks import build

    from vkd.build.networks import build_model

    names = {}
    exec(blocks(ROOT / 'README.md', 'python')[0][2], names)
    monkeypatch.chdir(tmp_path)
    from mmengine.registry import DefaultScope

    with DefaultScope.overwrite_default_scope('mmseg'):
        teacher = build_model(names['model']['teacher']['cfg'])
        student = build_model(names['model']['student']['cfg'])
    torch.save(dict(state_dict=teacher.state_dict()), 'mit-b2.pth')
    torch.save(dict(state_dict=student.state_dict()), 'mit-b0.pth')  # its config would fetch ImageNet weights
    names['model']['student']['checkpoint'] = 'mit-b0.pth'
    model = build(names['model'])
    assert model.roles['teacher'].report['share'] == 1 and model.tap_shapes['student'] == {'decode_head.conv_seg': (2, 150, 16, 16)}


COMMANDS = [
    (page, command.strip())
    for page in PAGES
    for _, _, code in blocks(page, 'bash')
    for line in code.splitlines()
    for command in line.split(' && ')
]


@pytest.mark.parametrize('page, command', COMMANDS, ids=lambda x: x.stem if isinstance(x, Path) else x[:60])
def test_commands(page, command):
    """Each names a tool that is there, options that it has, and files of the repository that exist; any other command is marked as not run."""
    words = shlex.split(command)
    words = [w for w in words if not re.match(r'^[A-Z_]+=', w)]
    if words in (['export'], ['pytest'], ['mkdocs', 'build']):
        return
    if words[:2] == ['pip', 'install']:
        setup = (ROOT / 'setup.py').read_text(encoding='utf-8')
        extras = [e for w in words for e in re.findall(r'\w+', w.partition('[')[2])]
        assert all(re.search(rf"'{name}(': \[|>=)", setup) for name in extras + [w for w in words[2:] if w.isalnum()]), command
        return
    if words[0] == 'vkd':
        of_a_kind = words[1] in ('convert', 'visualize')
        module = load(*words[1 : 2 + of_a_kind])
        parser_of(module).parse_args(words[2 + of_a_kind :])
        for word in words:
            if '::' in word:
                resolve_config(word)
            elif word.startswith('configs/'):
                assert (ROOT / word).is_file(), word
        return
    script = next((w for w in words if w.endswith(('.py', '.sh'))), '')
    if not script.startswith('tools/'):  # a file that a tutorial has written
        assert script in [title for _, title, _ in blocks(page, 'python')], (
            f'{page.name}: {command}: say "<!-- not run: why -->" above its block'
        )
        return
    assert (ROOT / script).is_file()
    for word in words:
        if word.startswith('configs/'):
            assert (ROOT / word).is_file(), word
    if script.endswith('.py'):
        tool(script).arguments().parse_args(words[words.index(script) + 1 :])
    assert 'tool_of_docs' not in sys.modules


def test_every_block_is_of_a_kind_that_is_checked():
    for page in PAGES:
        text = page.read_text(encoding='utf-8')
        assert len(re.findall(r'^```\S', text, re.M)) == len(blocks(page, 'python', 'bash', 'text', all=True)), page


@pytest.mark.parametrize('page', PAGES, ids=lambda p: p.stem)
def test_links(page):
    for target in re.findall(r'\]\(([^)#:]+)\)', page.read_text(encoding='utf-8')):
        assert (page.parent / target).exists(), target


def without_clip(model, folder):
    """The config of a CLIP semantic head on a tiny CLIP, synthetic text, and no checkpoint."""
    from helpers.networks import tiny_clip

    from vkd.text.embeddings import save_text_embeddings, synthetic_embeddings
    from vkd.text.zero_shot import SPLITS

    head, teacher = model.student.decode_head, model.get('teacher')
    save_text_embeddings(folder / 'text.safetensors', synthetic_embeddings(SPLITS[head.unseen]['classes'], 16))
    head.text_embeddings, head.clip, head.num_blocks = (
        str(folder / 'text.safetensors'),
        dict(name=tiny_clip(), random=True),
        min(head.get('num_blocks', 1), 1),
    )
    if not str(model.student.get('checkpoint')).startswith('pkg:'):
        first = model.student.pop('checkpoint', None)
        assert first is None or Path(first).parent.name in {p.stem for p in (ROOT / 'configs/chimeraseg').glob('*.py')}
    if teacher and teacher.model.type == 'vkd.ClipImageTower':
        teacher.model, teacher.view.size = dict(type='vkd.ClipImageTower', name=tiny_clip(), random=True), (32, 32)
    elif teacher:
        teacher.pop('checkpoint')
        teacher.model.width = 16


def pipelines(part):
    """Every ``pipeline`` in a part of a config."""
    for key, value in part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, (list, tuple)) else ():
        yield from [value] if key == 'pipeline' else pipelines(value)


@pytest.mark.slow
@pytest.mark.parametrize(
    'path', sorted(p for p in (ROOT / 'configs').glob('*/*.py') if p.parent.name not in ('_base_', 'suites')), ids=lambda p: p.stem
)
def test_every_config_is_built(path, tmp_path):
    """All configs that are shipped: networks and taps agree and pipelines are of known steps, without what is made first: a teacher's
    checkpoint, text embeddings, weights of CLIP.
    """
    from helpers.networks import build
    from mmengine.dataset import Compose
    from mmengine.optim import build_optim_wrapper

    from vkd.build.built import scope
    from vkd.build.config import load_config

    cfg = load_config(path)
    if path.parent.name == 'chimeraseg' or '-csh' in path.stem:
        without_clip(cfg.model, tmp_path)
    elif cfg.model.get('teacher') and 'checkpoint' in cfg.model.teacher and not str(cfg.model.teacher.checkpoint).startswith('pkg:'):
        assert Path(cfg.model.teacher.pop('checkpoint')).parent.name in {p.stem for p in (ROOT / 'configs/alone').glob('*.py')}
    # a stage begins with what another one trained, or with a release
    for network in (cfg.model.get('teacher') or {}, cfg.model.student, cfg.model.student.get('backbone') or {}):
        start = Path((network.pop('init_cfg', None) or {}).get('checkpoint', ''))
        assert (
            start.parts[:1] in ((), ('weights',))
            or (path.parent / f'{start.parent.name}.py').is_file()
            and start.stem == f'iter_{load_config(path.parent / f"{start.parent.name}.py").train_cfg.max_iters}'
        )
    if str(cfg.model.student.get('checkpoint')).startswith('work_dirs/'):  # a network at another scale, or a stage, that is trained first
        assert Path(cfg.model.student.pop('checkpoint')).parent.name in {
            p.stem for folder in ('configs/alone', path.parent) for p in (ROOT / folder).glob('*.py')
        }
    if cfg.model.student.get('decode_head', {}).get('type') == 'Mask2FormerHead' and not all(
        map(importlib.util.find_spec, ('mmdet', 'mmcv._ext'))
    ):
        with fails('missing-package', 'mmdet'):
            build(cfg.model)
        cfg.model.student.decode_head = load_config(ROOT / 'configs/_base_/models/deit-s.py').model.student.decode_head  # all else is built
    model = build(cfg.model)
    assert (
        path.stem.split('_')[0]
        == '+'.join('-'.join([type(m).__name__, *([m.variant] if hasattr(m, 'variant') else [])]) for m in model.methods).lower()
        or path.stem.startswith('alone_')
        and not len(model.methods)
    )
    assert len(path.stem.split('_')) == (4 if path.stem.startswith('alone_') else 5)
    for schedule in cfg.param_scheduler.values() if isinstance(cfg.param_scheduler, dict) else [cfg.param_scheduler]:  # one a role
        assert schedule[-1].get('total_steps', schedule[-1].get('end')) == cfg.train_cfg.max_iters * (
            1.5 if '_official_' in path.stem else 1
        )
    if cfg.optim_wrapper.get('constructor') == 'vkd.PerRole':
        assert list(build_optim_wrapper(model, cfg.optim_wrapper).keys()) == model.learners and len(model.learners) == 2
    assert cfg.train_cfg.max_iters % cfg.train_cfg.val_interval == 0
    with scope(cfg):
        assert [Compose(steps) for steps in pipelines([cfg.get(f'{k}_dataloader') for k in ('train', 'val', 'test')])]
