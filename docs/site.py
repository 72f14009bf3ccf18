"""Hooks of the documentation site (mkdocs.yml): what its pages take out of the repository at the time of the build.

- The first page is the README.
- ``<!-- results: transkd_*/TransKD-*, */CWD -->`` in a page is followed by the rows of docs/leaderboard/<folder>/leaderboard.json whose
  folder and method match, with their teachers and students alone.
- A link to a file or folder of the repository leads to a page that shows it; one that leads nowhere is a warning, and so an error.
- The API reference has every module of the package on one page.
"""

import ast
import json
import logging
import posixpath
import re
from fnmatch import fnmatchcase
from pathlib import Path

from mkdocs.structure.files import File

from vkd.leaderboard.pages import worked_out
from vkd.leaderboard.tables import cell, markdown_table
from vkd.leaderboard.words import by_protocol, legend

ROOT = Path(__file__).parent.parent
LOG = logging.getLogger('mkdocs.hooks')
#: modules of vkd itself by page; a sub-package has its own page, and what is named nowhere stands behind the tools
CORE = dict(
    distiller=[
        'distiller',
        'roles',
        'method',
        'wires',
        'networks',
        'building',
        'taps',
        'align',
        'losses',
        'peers',
        'memory_bank',
        'registry',
        'checkpoint',
        'config',
        'errors',
    ],
    runs=[
        'run',
        'evaluate',
        'suite',
        'cells',
        'budgets',
        'identity',
        'formats',
        'jobs',
        'robustness',
        'corruption',
        'attack',
        'curves',
        'pictures',
        'provenance',
        'files',
    ],
)
TITLES = dict(
    distiller='The Distiller and what it is made of',
    runs='Runs, suites and their results',
    tools='Behind the tools',
    leaderboard='From runs to tables and pages',
    methods='Methods',
    models='Networks',
    datasets='Data',
    evaluation='Metrics',
    engine='What mmengine lacks',
    physics='Physics of images',
    benchmarks='Benchmarks',
)
LANGUAGES = {'.py': 'python', '.sh': 'bash', '.md': 'markdown', '.yml': 'yaml', '.json': 'json', '.html': 'html'}
CODE = re.compile(r'(^```.*?^```[^\n]*$)', re.M | re.S)
#: a folder of up to so many files has a page for each
SHOWN = 60
LINK = re.compile(r'(\]\()([^)\s#:]+)(#[^)\s]*)?(\))')


# -- links -----------------------------------------------------------------------------------------------------------------
def outside_code(text, change):
    """``text`` with ``change`` applied to all but its blocks of code."""
    return ''.join(part if i % 2 else change(part) for i, part in enumerate(CODE.split(text)))


def in_repository(target, page):
    """Path in the repository of a link of the page ``docs/<page>``; None of one that stays inside docs/."""
    path = posixpath.normpath(posixpath.join('docs', posixpath.dirname(page), target))
    return None if path == 'docs' or path.startswith('docs/') else path


def linked(text, page, change):
    """``text`` of ``docs/<page>`` in which each link to the repository outside docs/ leads to ``change(path)``."""

    def one(match):
        path = in_repository(match[2], page)
        return match[0] if path is None else f'{match[1]}{change(path)}{match[4]}'

    return outside_code(text, lambda part: LINK.sub(one, part))


def files_below(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob('*') if p.is_file() and '__pycache__' not in p.parts)


def source_page(path):
    """Markdown that shows a file, or what a folder holds."""
    head, file = f'---\nsearch: {{exclude: true}}\nhide: [toc]\n---\n\n# {path}\n\n', ROOT / path
    if file.is_dir():
        names = files_below(file)
        line = f'- [`{{0}}`]({posixpath.basename(path)}/{{0}}.md)' if len(names) <= SHOWN else '- `{0}`'
        return head + '\n'.join(map(line.format, names))
    return f'{head}````{LANGUAGES.get(file.suffix, "text")}\n{file.read_text(encoding="utf-8")}\n````\n'


# -- results -----------------------------------------------------------------------------------------------------------------
def results(patterns, page, folder=ROOT / 'docs/leaderboard'):
    """Markdown tables of the rows whose ``<folder>/<method>`` matches one of ``patterns`` (as of file names), one a data set and protocol,
    with the students alone and the teachers they are compared with.
    """
    out, known = [], []
    for file in sorted(folder.glob('*/leaderboard.json')):
        content, name = json.loads(file.read_text(encoding='utf-8')), file.parent.name
        up = posixpath.relpath('leaderboard', posixpath.dirname(page) or '.')
        score, table = worked_out(content)
        for section in by_protocol(table, score):
            known += [f'{name}/{row.method}' for row in section['rows'] if row.role == 'student']
            asked = [
                row for row in section['rows'] if row.role == 'student' and any(fnmatchcase(f'{name}/{row.method}', p) for p in patterns)
            ]
            compared, teachers = {row.student for row in asked}, {row.teacher for row in asked}
            shown = [
                row
                for row in section['rows']
                if row in asked or row.alone and row.student in compared or row.role == 'teacher' and row.student in teachers
            ]
            if not asked:
                continue
            drawn = f' ([curves and pictures]({up}/{name}/leaderboard.html))' if file.with_suffix('.html').is_file() else ''
            out += [
                f'[{cell(content["title"])}]({up}/{name}/leaderboard.md){drawn}; data {cell(section["data"])}, protocol '
                f'{cell(section["protocol"])}:',
                '',
                *markdown_table(shown, score, networks=False),
                '',
                *legend(shown, networks=False),
                '',
            ]
    results_page, numbers = (posixpath.relpath(p, posixpath.dirname(page) or '.') for p in ('leaderboard/README.md', 'numbers.md'))
    lacking = [p for p in patterns if not any(fnmatchcase(own, p) for own in known)]
    if out:
        out += [f'What the [verdicts]({numbers}#intervals-and-verdicts) say, and do not.', '']
    if lacking:
        names = ', '.join(f'`{p.rpartition("/")[2].rstrip("*") or p}`' for p in lacking)
        out += [f'No run of {names} is among the [results]({results_page}) yet{_why(names)}.', '']
    return '\n'.join(['<div class="results" markdown>', '', *out, '</div>'])


def _why(names, file=ROOT / 'docs/leaderboard/not_run.json'):
    """The reason of not_run.json's first entry that has one of the words in backquotes; empty where none has."""
    words = re.findall('`(.*?)`', names)
    entries = json.loads(file.read_text(encoding='utf-8'))
    entry = next((e for e in entries if any(re.search(rf'\b{re.escape(w)}\b', e['suite']) for w in words)), None)
    return f': {entry["reason"].rstrip(".")}' if entry else ''


# -- the API reference -------------------------------------------------------------------------------------------------------
def api_pages():
    """``{page: markdown}``, each module of the package once."""
    pages = {name: [] for name in (*CORE, 'tools')}
    for file in sorted((ROOT / 'vkd').rglob('*.py')):
        parts = file.relative_to(ROOT / 'vkd').with_suffix('').parts
        if parts[-1] == '__init__':
            continue
        page = parts[0] if len(parts) > 1 else next((name for name, own in CORE.items() if parts[0] in own), 'tools')
        if ast.get_docstring(ast.parse(file.read_text(encoding='utf-8'))):
            pages.setdefault(page, []).append('.'.join(('vkd', *parts)))
    for name, own in CORE.items():
        pages[name].sort(key=lambda module: own.index(module.split('.')[1]))
    return {
        name: f'# {TITLES.get(name, name)}\n\n' + '\n\n'.join(f'::: {module}' for module in modules) + '\n'
        for name, modules in pages.items()
    }


# -- what mkdocs calls -------------------------------------------------------------------------------------------------------
def on_files(files, config):
    def add(path, content):
        files.append(File.generated(config, path, content=content))

    readme = (ROOT / 'README.md').read_text(encoding='utf-8')

    def from_docs(match):  # where the page will stand; a folder of docs/ is its README there
        target = match[2] + '/README.md' * (match[2].startswith('docs/') and (ROOT / match[2]).is_dir())
        return f'{match[1]}{posixpath.relpath(target, "docs")}{match[3] or ""}{match[4]}'

    add('index.md', outside_code(readme, lambda part: LINK.sub(from_docs, part)))
    for name, content in api_pages().items():
        add(f'api/{name}.md', content)
    paths = set()
    for file in files.documentation_pages():
        linked(file.content_string, file.src_uri, lambda path: paths.add((path, file.src_uri)))
    for path, page in sorted(paths):
        if (ROOT / path).is_dir() and len(names := files_below(ROOT / path)) <= SHOWN:
            paths |= {(f'{path}/{name}', page) for name in names}
    for path, page in sorted(paths):
        if not (ROOT / path).exists():
            LOG.warning(f"Page '{page}' links to '{path}', which the repository does not hold.")
        elif not files.get_file_from_path(f'source/{path}.md'):
            add(f'source/{path}.md', source_page(path))
    return files


def on_page_markdown(markdown, page, config, files):
    own = page.file.src_uri
    if own.startswith(('source/', 'api/')):
        return markdown
    markdown = linked(markdown, own, lambda path: posixpath.relpath(f'source/{path}.md', posixpath.dirname(own) or '.'))
    return re.sub(r'<!-- results: (.*?) -->', lambda match: '\n' + results([p.strip() for p in match[1].split(',')], own) + '\n', markdown)


def on_post_build(config):
    """The page of all tables leads to a page of the site, where the repository has a file."""
    board = Path(config.site_dir) / 'leaderboard/board.html'
    board.write_text(board.read_text(encoding='utf-8').replace('href="../numbers.md#', 'href="../numbers/index.html#'), encoding='utf-8')
