"""Configs composed from their parts: a network, data, a protocol, and what teaches it how.

A part is a file below ``configs/_base_`` that says its own name (``student_name = 'mit-b0'``). Where several parts have one name, each says
what it goes with (``protocol_fits = dict(kind='cnn')``), and the one that fits and says most is taken. ``docs/configs.md`` is the guide.
"""

import argparse
import ast
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import DefaultScope

from ..errors import UserError, nearest
from ..io.files import write_text
from ..registry import DATASETS, METHODS
from .config import load_config, plain, type_name
from .identity import literal
from .networks import ROLE_KEYS

#: folder below ``_base_`` of each kind of part
FOLDERS = dict(student='models', teacher='teachers', data='datasets', protocol='protocols', method='methods')
#: what a part of each kind must hold
HOLDS = dict(student='model.student', teacher='teacher', data='train_dataloader.dataset', protocol='train_cfg', method='methods')
#: what a condition of ``*_fits`` may be about
FACTS = ('student', 'teacher', 'data', 'protocol', 'kind', 'task')


@dataclass(frozen=True)
class Part:
    """A file below ``_base_`` that has a name.

    Args:
        what: a key of ``FOLDERS``.
        name: what it calls itself.
        path: of the file.
        fits: ``{fact: patterns}``, each of which must match one of the other parts' names, the student's kind or the data's task.
        kind: of a student: what else it is called by conditions, such as 'cnn'.
    """

    what: str
    name: str
    path: Path
    fits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    kind: str | None = None

    def suits(self, facts: Mapping[str, str | None]) -> bool:
        """Whether all of its conditions hold."""
        return all(any(fnmatchcase(facts.get(fact) or '', p) for p in patterns) for fact, patterns in self.fits.items())

    def told(self) -> str:
        """``vit_20k (for kind transformer)``."""
        fits = ', '.join(f'{fact} {" or ".join(patterns)}' for fact, patterns in self.fits.items())
        return f'{self.path.stem} (for {fits})' if fits else self.path.stem


def config_roots() -> list[Path]:
    """The folders of configs in which parts are looked up: ``configs`` of the folder one is in, where it has parts, then vkd's own."""
    package = Path(__file__).parents[1]
    own = next((p for p in (package.parent / 'configs', package / 'configs', package / '.mim/configs') if (p / '_base_').is_dir()), None)
    found = [Path('configs')] if Path('configs/_base_').is_dir() else []
    return [*found, own] if own is not None and own.resolve() not in [p.resolve() for p in found] else found


def parts(what: str, root: str | Path | None = None) -> list[Part]:
    """All parts of a kind; a name in one's own folder of configs hides the same name among vkd's. Raises UserError for a broken part."""
    found: list[Part] = []
    for folder in [Path(root)] if root else config_roots():
        known = {part.name for part in found}
        new = [_read(what, p, p.stat().st_mtime_ns) for p in sorted((folder / '_base_' / FOLDERS[what]).glob('*.py'))]
        found += [part for part in new if part and part.name not in known]
    return found


@lru_cache(maxsize=1000)
def _read(what: str, path: Path, changed: int) -> Part | None:
    """What a part says of itself, read without running it; None of a file without a name. ``changed`` is when it was written."""
    wanted, said = {f'{what}_{key}': key for key in ('name', 'fits', 'kind')}, {}
    try:
        for line in ast.parse(path.read_text(encoding='utf-8')).body:
            if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name) and line.targets[0].id in wanted:
                said[wanted[line.targets[0].id]] = literal(line.value)
    except SyntaxError as error:
        raise UserError(f'Config part {str(path)!r} is no Python ({error.msg}, line {error.lineno}); fix it.') from None
    except ValueError:
        raise UserError(
            f'Config part {str(path)!r}: {what}_name, {what}_fits and {what}_kind must be plain values; write them out.'
        ) from None
    fits = said.get('fits') or {}
    unknown = [fact for fact in fits if fact not in FACTS]
    if unknown:
        raise UserError(f'Config part {str(path)!r}: {what}_fits has a condition on {unknown[0]!r}; {nearest(unknown[0], FACTS)}.')
    listed = {fact: (value,) if isinstance(value, str) else tuple(value) for fact, value in fits.items()}
    return Part(what, said['name'], path, listed, said.get('kind')) if 'name' in said else None


def _content(part: Part) -> dict[str, Any]:
    """What a part holds, read once as long as no file beside it is changed. Raises UserError where it lacks what a part of its kind holds."""
    content = deepcopy(_loaded(part.path, max(p.stat().st_mtime_ns for p in part.path.parents[1].glob('*/*.py'))))
    value: Any = content
    for key in HOLDS[part.what].split('.'):
        value = value.get(key) if isinstance(value, Mapping) else None
    if not value:
        raise UserError(f'Config part {str(part.path)!r} has no {HOLDS[part.what]}, which a {part.what} is made of; add it.')
    return content


@lru_cache(maxsize=1000)
def _loaded(path: Path, changed: int) -> dict[str, Any]:
    return load_config(path).to_dict()


def compose(
    student: str,
    data: str,
    protocol: str,
    method: str | None = None,
    teacher: str | None = None,
    options: Mapping[str, Any] | None = None,
    root: str | Path | None = None,
    files: bool = True,
    path: str | Path | None = None,
) -> Config:
    """The config of a run that is named by its parts; it is called by the habit, ``<method>_<student>[_<teacher>]_<protocol>_<data>.py``.

    Args:
        student: name of a network, such as 'mit-b0'; or its file's, as of all parts, where a name has several.
        data: such as 'camvid-160x160'. Networks get its number of classes, its scale, or its scanner.
        protocol: such as 'crops': how long, with which optimizer and schedule.
        method: such as 'KL', 'TransKD-base' or 'MGD+CWD'; None trains the student alone.
        teacher: name of the network that teaches, or of the one that learns beside the student. One that is trained here starts from where
            its own config alone leaves its last checkpoint, below work_dirs.
        options: dotted overrides.
        root: folder of configs; ``config_roots`` by default.
        files: whether a file of that very name below ``root`` is taken before parts are. One of the student alone always is: it says what
            parts do not.
        path: what the config says its file is; its name by habit by default.

    Raises UserError for a part that does not exist, several that fit, or some that do not fit each other.
    """
    names = dict(student=student, data=data, protocol=protocol)
    cfg = _Composition(names, method, teacher, Path(root) if root else None, files).config()
    if options:
        try:
            cfg.merge_from_dict(dict(options))
        except (KeyError, TypeError, IndexError, ValueError) as error:
            raise UserError(f'{cfg.filename}: the options {options} do not fit ({error}); name keys that exist.') from error
    return _called(cfg.to_dict(), path) if path else cfg


def names_in(path: str | Path) -> dict[str, str] | None:
    """The arguments of ``compose`` that the name of a config file stands for; None of a name by no habit, or elsewhere than right below a
    folder of ``config_roots``.
    """
    path = Path(path)
    if path.suffix != '.py' or path.resolve().parent.parent not in [root.resolve() for root in config_roots()]:
        return None
    method, *names = path.stem.split('_')
    if len(names) not in (3, 4) or (method == 'alone') != (len(names) == 3):
        return None
    student, *teacher, protocol, data = names
    return dict(student=student, data=data, protocol=protocol, **(dict(method=method, teacher=teacher[0]) if teacher else {}))


def compose_by_name(path: str | Path) -> Config | None:
    """The config that a file's name stands for, where it has gone because its parts say the same; None of a name that stands for none.
    Raises UserError where its parts make none.
    """
    names = names_in(path)
    if names is None:
        return None
    try:
        cfg = _of_names(names, path)
    except UserError as error:
        raise UserError(f'Config {str(path)!r} does not exist, and cannot be composed from its name: {error}') from None
    print_log(f'{path}: composed from its name; there is no such file', logger='current')
    return cfg


def _of_names(names: Mapping[str, str], path: str | Path | None = None) -> Config:
    method, teacher = names.get('method'), names.get('teacher')
    return compose(names['student'], names['data'], names['protocol'], method, teacher, files=False, path=path)


def is_composed(path: str | Path) -> bool:
    """Whether a config can be had from its name alone."""
    names = names_in(path)
    try:
        return names is not None and bool(_of_names(names))
    except UserError:
        return False


def write_composed(cfg: Config) -> None:
    """Writes a composed config, with everything that it holds, where its file is said to be."""
    write_text(Path(cfg.filename), f'{cfg.text}\n{cfg.pretty_text}')


# -- the command line ------------------------------------------------------------------------------------------------------
def composed_of(args: argparse.Namespace, folder: str | Path = 'work_dirs') -> Config | None:
    """The config of the parts that a command was given, written as ``folder/<its name>/<its name>.py``, which ``args.config`` then names;
    None where it was given a file. Raises UserError for both, neither, or a part that is missing.
    """
    given = {what: getattr(args, what) for what in ('student', 'data', 'protocol', 'method', 'teacher') if getattr(args, what)}
    if args.config and given:
        first = next(iter(given))
        raise UserError(f'Config {args.config!r} and --{first} {given[first]} were given; keep the file, or the parts.')
    if args.config:
        return None
    missing = [what for what in ('student', 'data', 'protocol') if what not in given]
    if missing:
        known = parts(missing[0])
        raise UserError(
            f'{"No config was given" if len(missing) == 3 else f"--{missing[0]} is missing"}; give a config file, or --student, --data and '
            f'--protocol (such as --{missing[0]} {known[0].name if known else "…"}).'
        )
    cfg = compose(**given, options=args.cfg_options)
    args.config = str(Path(args.work_dir or Path(folder, Path(cfg.filename).stem), Path(cfg.filename).name))
    return _called(cfg.to_dict(), args.config)


# -- composing -------------------------------------------------------------------------------------------------------------
class _Composition:
    """One run that is named by its parts; the arguments are those of ``compose``."""

    def __init__(self, names: Mapping[str, str], method: str | None, teacher: str | None, root: Path | None, files: bool = True) -> None:
        if teacher and not method:
            raise UserError(f'Teacher {teacher!r} was given without a method; add one, such as KL.')
        self.names, self.method, self.teacher = dict(names), method, teacher
        self.root, self.files = root, files
        self.facts: dict[str, str | None] = dict(names, teacher=teacher)

    @property
    def roots(self) -> list[Path]:
        """The folders of configs."""
        return [self.root] if self.root else config_roots()

    @property
    def alone(self) -> str:
        """Name of the config of the student alone."""
        return '_'.join(['alone', *(str(self.facts[what]) for what in ('student', 'protocol', 'data'))])

    @property
    def stem(self) -> str:
        """Name of the config."""
        if not self.method:
            return self.alone
        names = [self.method.lower(), self.facts['student'], self.facts['teacher'], self.facts['protocol'], self.facts['data']]
        return '_'.join(str(name) for name in names if name)

    def config(self) -> Config:
        """The whole config."""
        file = self._file(self.stem) if self.files else None
        if file:
            return load_config(file)
        content = self._distilled() if self.method else self._of_parts()
        return _called(content, f'{self.stem}.py')

    # -- finding parts
    def _candidates(self, what: str, name: str) -> list[Part]:
        known = parts(what, self.root)
        found = [p for p in known if p.name == name] or [p for p in known if p.path.stem == name]
        if not found:
            names = dict.fromkeys([*(p.name for p in known), *(p.path.stem for p in known)])
            raise UserError(f'{what.capitalize()} {name!r} is not among the parts of configs; {nearest(name, names)}.')
        return found

    def _chosen(self, found: Sequence[Part], typed: str) -> Part:
        """The part of several that fits, and says most of what it fits; one that was named by its file is meant. Raises UserError."""
        fitting = [p for p in found if p.suits(self.facts)]
        if len(found) == 1 and (fitting or typed != found[0].name):
            return found[0]
        most = max((len(p.fits) for p in fitting), default=0)
        fitting = [p for p in fitting if len(p.fits) == most]
        if len(fitting) == 1:
            return fitting[0]
        what, listed = found[0].what, fitting or found
        others = ', '.join(f'{fact} {value!r}' for fact, value in self.facts.items() if value and fact != what)
        raise UserError(
            f'{what.capitalize()} {typed!r} {"is the name of several parts that fit" if fitting else "does not fit"} {others}: '
            f'{"; ".join(p.told() for p in listed)}; name one of them by its file, such as {listed[0].path.stem!r}.'
        )

    def _file(self, stem: str) -> Path | None:
        """A config file of that name."""
        found = (file for root in self.roots for file in sorted(root.glob(f'*/{stem}.py')) if file.parent.name != '_base_')
        return next(found, None)

    # -- the student alone
    def _alone(self) -> dict[str, Any]:
        """The config of the student alone: a file that says what parts do not, or of its parts."""
        file = self._file(self.alone)
        if not file:
            return self._of_parts()
        content = _bare(load_config(file).to_dict())
        self.facts |= {what: content.get(f'{what}_name') or name for what, name in self.names.items()}
        self.facts['task'] = _Data(str(self.facts['data']), content).task
        return content

    def _of_parts(self) -> dict[str, Any]:
        found = {what: self._candidates(what, name) for what, name in self.names.items()}
        self.facts |= {what: candidates[0].name for what, candidates in found.items()}
        self.facts['kind'] = found['student'][0].kind
        content: dict[str, Any] = {}
        for what in ('student', 'data', 'protocol'):
            if what == 'protocol':
                self.facts['task'] = _Data(str(self.facts['data']), content).task
            part = self._chosen(found[what], self.names[what])
            self._add(content, part.path, _content(part))
        runtime = self._runtime()
        self._add(content, runtime, load_config(runtime).to_dict())
        content['default_hooks'] = _merged(content.get('default_hooks') or {}, content.pop('protocol_hooks', None) or {})
        data = _Data(str(self.facts['data']), content)
        model = content['model']
        if data.task == 'ct':
            model['data_preprocessor'] = _merged(model.get('data_preprocessor') or {}, content['scanner'])
        data.check(str(self.facts['student']), model)
        data.fit(f'student {self.facts["student"]!r}', _network(model['student']))
        return _bare(content)

    def _runtime(self) -> Path:
        """What all configs share. Raises UserError."""
        found = next((file for root in self.roots if (file := root / '_base_/runtime.py').is_file()), None)
        if found is None:
            raise UserError(f'{self.stem}: there is no _base_/runtime.py in {[str(root) for root in self.roots]}; add one.')
        return found

    def _add(self, content: dict[str, Any], path: Path, more: dict[str, Any]) -> None:
        twice = sorted(content.keys() & more.keys())
        if twice:
            raise UserError(f'{self.stem}: {str(path)!r} sets {twice[0]!r}, which another of its parts sets already; rename one.')
        content.update(more)

    # -- with a method
    def _distilled(self) -> dict[str, Any]:
        content = self._alone()
        methods, peers = self._methods()
        content['model'] = dict(content['model'], methods=methods)
        if self.teacher:
            content['teacher_name'] = self.teacher
            if peers:
                self._add_peer(content, peers)
            else:
                self._add_teacher(content)
        return content

    def _methods(self) -> tuple[list[dict[str, Any]], dict[str, str]]:
        """``(model.methods, names of peers)``: of the parts of the methods that are named, or of their types."""
        names = [str(self.method)] if self._method_parts(str(self.method)) else str(self.method).split('+')
        methods: list[dict[str, Any]] = []
        peers: dict[str, str] = {}
        for name in names:
            found = self._method_parts(name)
            said: dict[str, Any] = _content(self._chosen(found, name)) if found else dict(methods=[self._plain_method(name)])
            methods += said['methods']
            peers = peers or said.get('method_peers') or {}
        return methods, peers

    def _method_parts(self, name: str) -> list[Part]:
        return [p for p in parts('method', self.root) if p.name.lower() == name.lower() and p.suits(self.facts)]

    def _plain_method(self, name: str) -> dict[str, Any]:
        """A method by its type, with a variant behind a hyphen, on its own defaults."""
        METHODS.import_from_location()
        kinds = {kind.lower(): kind for kind in METHODS.module_dict}
        kind, _, variant = name.lower().partition('-')
        if kind not in kinds:
            known = dict.fromkeys([*(p.name for p in parts('method', self.root)), *METHODS.module_dict])
            raise UserError(f'Method {name!r} is not registered; {nearest(name, known)}.')
        return dict(type=kinds[kind], **(dict(variant=variant) if variant else {}))

    def _add_teacher(self, content: dict[str, Any]) -> None:
        part = self._teacher_part()
        own, model = _content(part), content['model']
        self.facts['teacher'] = content['teacher_name'] = part.name
        trained_here = any(p.name == part.name for p in parts('student', self.root))
        if not trained_here and set(own['teacher']) <= ROLE_KEYS - {'cfg', 'model'}:  # it is made of the student
            model['teacher'] = dict(model=_without_role(model['student']), **own['teacher'])
        elif not trained_here:  # it brings its weights
            content.update(_bare(own))
            model['teacher'] = deepcopy(own['teacher'])
        else:
            before = _without_role(own['model']['student'] if part.what == 'student' else own['teacher'])
            network = deepcopy(before)
            _Data(str(self.facts['data']), content).fit(f'teacher {part.name!r}', network)
            if network == before:  # a variable of the config too, as in a file that takes the part as it is
                content['teacher'] = before
            model['teacher'] = dict(model=network, checkpoint=self._checkpoint(part.name), **_own_view(network, model['student']))

    def _teacher_part(self) -> Part:
        """The part that teaches: one among the teachers, or else a network that a student may be as well."""
        typed = str(self.teacher)
        known = [*parts('teacher', self.root), *parts('student', self.root)]
        found = [p for p in known if p.name == typed] or [p for p in known if p.path.stem == typed]
        if not found:
            raise UserError(f'Teacher {typed!r} is not among the parts of configs; {nearest(typed, dict.fromkeys(p.name for p in known))}.')
        teachers = [p for p in found if p.what == 'teacher']
        others = [p for p in found if p.what == 'student']
        return self._chosen(teachers if not others or any(p.suits(self.facts) for p in teachers) else others, typed)

    def _other(self, student: str) -> '_Composition':
        """The same data and protocol for another network alone."""
        return _Composition(dict(self.names, student=student), None, None, self.root)

    def _checkpoint(self, teacher: str) -> str:
        """Where the config of a teacher alone leaves its last checkpoint."""
        other = self._other(teacher)
        length = other.config().train_cfg.get('max_iters')
        if not length:
            raise UserError(
                f'{self.stem}: teacher {teacher!r} is not trained by iterations under protocol {self.facts["protocol"]!r}, so the name of its '
                'last checkpoint is unknown; give model.teacher.checkpoint.'
            )
        return f'work_dirs/{other.alone}/iter_{length}.pth'

    def _add_peer(self, content: dict[str, Any], peers: Mapping[str, str]) -> None:
        """Adds the network that learns beside the student: on its own normalisation, with the optimizer and schedule that it has alone."""
        role = next(name for name in peers.values() if name != 'student')
        own = self._other(str(self.teacher)).config().to_dict()
        learner = own['model']['student']
        network, options = _without_role(learner), {k: learner[k] for k in ROLE_KEYS - {'cfg', 'model'} if k in learner}
        view = _own_view(network, content['model']['student'])
        content['model']['teachers'] = {role: dict(model=network, trainable=True, **options, **view)}
        how = ('optim_wrapper', 'param_scheduler')
        if any(plain(own[key]) != plain(content[key]) for key in how):
            content.update({key: {'student': content[key], role: own[key]} for key in how})
            content['optim_wrapper']['constructor'] = 'vkd.PerRole'
        for key in ('val_evaluator', 'test_evaluator'):
            content[key] = dict(content[key], peers=dict(peers))


class _Data:
    """What networks must know of the data of a config: its task, and classes, scale or scanner.

    Args:
        name: of the data.
        content: with ``train_dataloader``.
    """

    def __init__(self, name: str, content: Mapping[str, Any]) -> None:
        self.name, self.dataset = name, content['train_dataloader']['dataset']
        self.scale = self.dataset.get('scale')
        self.task = 'ct' if content.get('scanner') else 'super-resolution' if self.scale else 'segmentation'

    def classes(self) -> int | None:
        """How many classes its labels have; None where the data set does not say."""
        datasets = [self.dataset]
        while datasets:
            one = datasets.pop(0)
            with DefaultScope.overwrite_default_scope('mmseg'):
                kind = DATASETS.get(one['type']) if isinstance(one['type'], str) else one['type']
            said = (one.get('metainfo') or {}).get('classes') or getattr(kind, 'METAINFO', {}).get('classes')
            if said:
                return len(said)
            datasets += [*(one.get('datasets') or []), *([one['dataset']] if one.get('dataset') else [])]
        return None

    def check(self, student: str, model: Mapping[str, Any]) -> None:
        """Raises UserError where a network takes images of another kind than these."""
        wanted, given = next(iter(model.get('probe_shape') or (3,))), 1 if self.task == 'ct' else 3
        if wanted != given:
            raise UserError(f'Student {student!r} takes images of {wanted} channels, and data {self.name!r} has {given}; choose another.')

    def fit(self, owner: str, network: dict[str, Any] | None) -> None:
        """Gives a network what the data ask for, in place. Raises UserError where it cannot have it."""
        if network is None:  # a config file of another house: it is as it is
            return
        restores = type_name(network) == 'Restorer'
        if restores != (self.task != 'segmentation'):
            does = 'restores images' if restores else 'segments images'
            raise UserError(f'The {owner} {does}, and data {self.name!r} are for {self.task}; choose another.')
        if self.task == 'super-resolution':
            backbone = network['backbone']
            if ('scale' in backbone) == (self.scale == 1):
                can = 'enlarges images' if 'scale' in backbone else 'keeps the size of images'
                raise UserError(f'The {owner} {can}, and data {self.name!r} are of scale {self.scale}; choose another.')
            if self.scale != 1:
                backbone['scale'] = self.scale
        if self.task == 'segmentation':
            self._fit_classes(owner, network)

    def _fit_classes(self, owner: str, network: dict[str, Any]) -> None:
        count = self.classes()
        if count is None:
            return
        for head in (network.get('decode_head'), network.get('auxiliary_head')):
            if not isinstance(head, dict) or 'num_classes' not in head:
                continue
            loss = head.get('loss_decode')
            weights = loss.get('class_weight') if isinstance(loss, dict) else None
            if weights and len(weights) != count:
                raise UserError(f'The {owner} weighs {len(weights)} classes, and data {self.name!r} have {count}; choose another.')
            head['num_classes'] = count


def _called(content: dict[str, Any], path: str | Path) -> Config:
    """A Config of a file that need not be there, which mmengine would read."""
    return Config(content, cfg_text=f'# composed of its parts: {Path(path).stem}', filename=str(path))


def _network(role: dict[str, Any]) -> dict[str, Any] | None:
    """The network's own dict in a role; None where that is a file of another house."""
    return role if 'type' in role else role.get('model') if isinstance(role.get('model'), dict) else None


def _without_role(role: dict[str, Any]) -> dict[str, Any]:
    """A copy of the network of a role, without what it starts from."""
    network = _network(role)
    return deepcopy({k: v for k, v in network.items() if k not in ROLE_KEYS} if network else role)


def _own_view(network: dict[str, Any], student: dict[str, Any]) -> dict[str, Any]:
    """``dict(view=…)`` of a network that normalises images otherwise than the student does."""
    own, seen = ((_network(net) or {}).get('data_preprocessor') or {} for net in (network, student))
    view = {k: own[k] for k in ('mean', 'std') if k in own}
    return dict(view=view) if view and plain(view) != plain({k: seen.get(k) for k in view}) else {}


def _bare(content: Mapping[str, Any]) -> dict[str, Any]:
    """A config without what its parts say of themselves to be found."""
    return {k: v for k, v in content.items() if not k.endswith(('_fits', '_kind'))}


def _merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``more`` put in, dict by dict."""
    out = dict(base)
    for key, value in more.items():
        out[key] = _merged(out[key], value) if isinstance(value, Mapping) and isinstance(out.get(key), Mapping) else value
    return out
