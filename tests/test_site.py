"""The documentation site is built without a warning, and takes its tables and API reference from the repository as it is."""

import importlib.util
import logging

import pytest
from helpers import ROOT
from helpers.run_folders import write

from vkd.leaderboard import build

pytest.importorskip('material', reason="pip install -e '.[docs]'")
pytest.importorskip('mkdocstrings', reason="pip install -e '.[docs]'")


@pytest.fixture(scope='module')
def site():
    """The hooks of docs/site.py."""
    spec = importlib.util.spec_from_file_location('site_of_docs', ROOT / 'docs/site.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_it_is_built_with_warnings_as_errors(tmp_path, monkeypatch):
    """Strict: a link inside the site, its anchor, a link into the repository, a page in no menu, a docstring that cannot be read."""
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    monkeypatch.chdir(ROOT)
    monkeypatch.setenv('NO_MKDOCS_2_WARNING', 'true')
    config = load_config(str(ROOT / 'mkdocs.yml'), site_dir=str(tmp_path))
    assert config.strict
    build(config)
    pages = {p.relative_to(tmp_path).as_posix(): p.read_text(encoding='utf-8') for p in tmp_path.rglob('index.html')}
    assert 'fonts.googleapis' not in ''.join(pages.values())  # nothing is fetched when it is read
    assert '−1.31\u00a0±' in pages['logits/index.html'] and 'vkd.methods.cwd.cwd_loss' in pages['api/methods/index.html']
    assert 'href="kl.py/"' in pages['source/vkd/methods/index.html'] and 'source/vkd/methods/kl.py/index.html' in pages
    assert (
        'href="../numbers/index.html#' in (tmp_path / 'leaderboard/board.html').read_text()
        and 'id="intervals-and-verdicts"' in pages['numbers/index.html']
    )
    assert (tmp_path / 'leaderboard/demo/leaderboard.html').is_file()


def test_a_link_to_nowhere_in_the_repository_is_a_warning(site, caplog):
    from mkdocs.config import load_config
    from mkdocs.structure.files import File, Files

    config = load_config(str(ROOT / 'mkdocs.yml'))
    config.plugins._current_plugin = 'site.py'  # as while a hook runs
    files = Files(
        [
            File.generated(
                config, 'guide/a.md', content='[a](../../vkd/nothing.py) [b](../../vkd/distill/taps.py)\n```\n[c](../../none.py)\n```\n'
            )
        ]
    )
    with caplog.at_level(logging.WARNING, 'mkdocs'):
        site.on_files(files, config)
    assert [r.getMessage() for r in caplog.records] == ["Page 'guide/a.md' links to 'vkd/nothing.py', which the repository does not hold."]
    assert 'source/vkd/distill/taps.py.md' in files.src_uris


def test_links_out_of_docs_lead_to_pages_that_show_the_file(site):
    assert (
        site.linked('[x](../vkd/distill/taps.py#L3) [y](data.md) [z](https://a.b/c) `k`', 'methods.md', str.upper)
        == '[x](VKD/DISTILL/TAPS.PY) [y](data.md) [z](https://a.b/c) `k`'
    )
    assert '````python\n' in site.source_page('vkd/distill/taps.py') and '- [`kl.py`](methods/kl.py.md)' in site.source_page('vkd/methods')


def test_every_module_is_in_the_api_reference_once(site):
    found = [line.removeprefix('::: ') for page in site.api_pages().values() for line in page.splitlines() if line.startswith('::: ')]
    assert len(found) == len(set(found)) and {
        'vkd.distill.distiller',
        'vkd.methods.kl',
        'vkd.models.heads.clip_semantic',
        'vkd.leaderboard.pages',
        'vkd.check.checking',
    } <= set(found)


def test_results_of_a_page(site, tmp_path):
    for seed in range(3):
        own = dict(folder=tmp_path / 'runs', seed=seed, data='d')
        write(**own, student='s', score=50.0 + 0.1 * seed)
        write(**own, student='other')
        write(**own, student='s', teacher='big', method='KL', score=52.0 + 0.1 * seed)
        write(**own, student='s', teacher='big', method='CWD<script>', score=49.0 + 0.1 * seed)
    write(tmp_path / 'runs', data='d', student='s', teacher='big', method='KL', protocol='q')
    write(tmp_path / 'runs', data='d', student='s', protocol='q')
    write(tmp_path / 'runs', data='d', student='big', method='teacher', role='teacher')
    build(tmp_path / 'runs', tmp_path / 'mine')
    found = site.results(['*/KL'], 'tutorials/a.md', tmp_path)
    assert (
        found.count('| s | big | KL |') == 2
        and '| 52.10 ± 0.25 | +2.00 ± 0.00 | better than alone |' in found.replace('\u00a0', ' ')
        and 'withheld: needs a second seed' in found
    )
    assert (
        '| big | – | teacher |' in found
        and '| s | – | alone |' in found
        and 'other' not in found
        and 'CWD' not in found
        and '(../leaderboard/mine/leaderboard.md)' in found
    )
    everything = site.results(['mine/*'], 'a.md', tmp_path)
    assert '| other | – | alone |' in everything and 'CWD&lt;script&gt;' in everything and '(leaderboard/mine/leaderboard.md)' in everything
    assert 'No run of `Nobody` is among the [results](leaderboard/README.md) yet.' in site.results(['*/Nobody', '*/KL'], 'a.md', tmp_path)
    assert '(../numbers.md#intervals-and-verdicts)' in found and 'No run' not in found
