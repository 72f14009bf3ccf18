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
#: what a room of the package is called in the API reference; modules beside the rooms stand on the page 'core'
TITLES = dict(
    core='Errors, registries and rules of options',
    distill='The Distiller and what it is made of',
    methods='Methods',
    build='What a config describes',
    models='Networks',
    datasets='Data',
    text='Text embeddings',
    evaluation='Metrics',
    engine='What mmengine lacks',
    physics='Physics of images',
    runs='Runs and suites',
    leaderboard='From runs to tables and pages',
    robustness='Corruptions and attacks',
    costs='What networks and steps cost',
    check='The dry run',
    export='The export',
    restore='Restoring files',
    convert='Checkpoints of other projects',
    visualize='Pictures',
    io='Files',
    commands='Command lines',
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
def modules():
    """``{name: file}`` of all modules of the package, sub-packages without their ``__init__``."""
    files = (f for f in sorted((ROOT / 'vkd').rglob('*.py')) if not f.stem.startswith('_'))
    return {'.'.join(f.relative_to(ROOT).with_suffix('').parts): f for f in files}


def room_of(module):
    """``'vkd.build.config'`` -> 'build'; 'core' of a module beside the rooms."""
    parts = module.split('.')
    return parts[1] if len(parts) > 2 else 'core'


def api_pages():
    """``{page: markdown}``, each module of the package once."""
    pages = {name: [] for name in TITLES}
    for module, file in modules().items():
        if ast.get_docstring(ast.parse(file.read_text(encoding='utf-8'))):
            pages[room_of(module)].append(module)
    return {name: f'# {TITLES[name]}\n\n' + '\n\n'.join(f'::: {module}' for module in own) + '\n' for name, own in pages.items()}


# -- the rooms ---------------------------------------------------------------------------------------------------------------
def arrows():
    """``{room: {other room: [module -> module]}}`` of all imports between rooms, also of those inside functions."""
    out = {}
    for file in sorted((ROOT / 'vkd').rglob('*.py')):
        own = file.relative_to(ROOT).with_suffix('').parts
        package = own[:-1]
        module = package if own[-1] in ('__init__', '__main__') else own
        for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
            if not isinstance(node, ast.ImportFrom) or len(module) < 2:  # the package itself, and its command line
                continue
            source = (
                (*package[: len(package) - node.level + 1], *(node.module or '').split('.'))
                if node.level
                else (node.module or '').split('.')
            )
            source = [part for part in source if part]
            if source[:1] != ['vkd']:
                continue
            for target in [source] if len(source) > 1 else [[*source, alias.name] for alias in node.names]:
                here, there = (m[1] if len(m) > 2 or (ROOT.joinpath(*m[:2])).is_dir() else 'core' for m in (module, target))
                if here != there:
                    out.setdefault(here, {}).setdefault(there, []).append(f'{".".join(module)} -> {".".join(target)}')
    return out


def rooms():
    """Markdown table of the rooms: what is in each, and which others it imports."""
    found, lines = arrows(), ['| room | what is in it | imports |', '|---|---|---|']
    for name in TITLES:
        if name == 'core':
            continue
        told = ast.get_docstring(ast.parse((ROOT / 'vkd' / name / '__init__.py').read_text(encoding='utf-8')))
        others = ', '.join(f'`{other}`' for other in TITLES if other in found.get(name, {}) and other != 'core')
        lines.append(f'| [`{name}`](../vkd/{name}) | {" ".join(told.split())} | {others or "nothing"} |')
    return '\n'.join(lines)


# -- the parts of configs ----------------------------------------------------------------------------------------------------
def parts_of_configs():
    """Markdown tables of all parts of configs, by kind: name, file, and what each goes with."""
    from vkd.build.compose import FOLDERS, parts

    out = []
    for what, folder in FOLDERS.items():
        out += [f'\n### {what.capitalize()}\n', '| name | file | goes with |', '|---|---|---|']
        for part in sorted(parts(what, ROOT / 'configs'), key=lambda part: part.name):
            file = f'[`{part.path.name}`](../configs/_base_/{folder}/{part.path.name})'
            fits = '; '.join(f'{fact} {", ".join(f"`{p}`" for p in patterns)}' for fact, patterns in part.fits.items())
            out.append(f'| `{part.name}` | {file} | {fits or (f"protocols of kind `{part.kind}`" if part.kind else "any")} |')
    return '\n'.join(out)


def generated(markdown):
    """A page with the tables that are made from the repository in the places that it keeps for them."""
    for place, table in (('<!-- rooms -->', rooms), ('<!-- parts -->', parts_of_configs)):
        if place in markdown:
            markdown = markdown.replace(place, table())
    return markdown


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
        linked(generated(file.content_string), file.src_uri, lambda path, page=file.src_uri: paths.add((path, page)))
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
    markdown = generated(markdown)
    markdown = linked(markdown, own, lambda path: posixpath.relpath(f'source/{path}.md', posixpath.dirname(own) or '.'))
    return re.sub(r'<!-- results: (.*?) -->', lambda match: '\n' + results([p.strip() for p in match[1].split(',')], own) + '\n', markdown)


def on_post_build(config):
    """The page of all tables leads to a page of the site, where the repository has a file."""
    board = Path(config.site_dir) / 'leaderboard/board.html'
    board.write_text(board.read_text(encoding='utf-8').replace('href="../numbers.md#', 'href="../numbers/index.html#'), encoding='utf-8')
