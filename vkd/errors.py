"""The one exception that a user is meant to read, and help with misspelt names."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any, TypeVar

_T = TypeVar('_T')


#: What the codes of UserErrors mean. A code stays when its sentence is worded anew, so that tests and scripts can rely on it; an error
#: that nobody has to tell from others has none.
CODES = {
    # a config, its options and the names in it
    'bad-value': 'an option has a value of the wrong kind, or out of its range',
    'broken-config': 'a config file cannot be read: its Python fails',
    'broken-model': 'a network cannot be built from its config',
    'frozen-learner': 'a method is to teach a network that is frozen',
    'missing-key': 'a dict of options lacks one that it needs',
    'missing-option': 'a method is built without an option that has no default',
    'missing-package': 'a package that the config needs is not installed',
    'no-such-config': 'a config file does not exist',
    'no-such-method': 'a method is not registered',
    'no-such-option': 'a method, or the config, has no option of that name',
    'no-such-role': 'no student, teacher or peer has that name',
    'unknown-choice': 'an option is none of the few names that it may be',
    'unknown-key': 'a dict of options has a key that nothing reads',
    # taps and methods
    'adds-nothing': 'a method adds nothing to the objective',
    'no-such-tap': 'a tap names no module of the network',
    'not-a-method': 'a class that is registered as a method is no vkd.Method',
    'tap-never-ran': 'a tap is a module that the forward pass does not run',
    # checkpoints
    'broken-checkpoint': 'a checkpoint is cut off, or of another format',
    'empty-checkpoint': 'a checkpoint holds no tensors where they are looked for',
    'no-such-checkpoint': 'a checkpoint does not exist',
    'partial-checkpoint': 'a checkpoint does not fit all tensors of a network',
    'unsafe-checkpoint': 'a checkpoint holds more than plain weights, and is not unpickled',
    # files and data
    'broken-file': 'an image, label, slice or embedding cannot be read',
    'file-exists': 'a file would be written over',
    'incomplete-set': 'a metric saw another number of images than the set has',
    'no-such-file': 'a file or folder of data does not exist',
    'not-finite': 'a loss, parameter, input or prediction is nan or infinite',
    # runs
    'busy': 'another process works in the run folder',
    'disk-full': 'the disk of the run folder is full',
    'other-run': 'the run folder holds a run of another config',
    'run-exists': 'the run folder holds a run, and --resume was not given',
}


class UserError(ValueError):
    """Something in a config, file or command is wrong; the message is one sentence that names it and the fix.

    Args:
        message: the sentence.
        code: the kind of mistake, a key of ``CODES``; None where there is none.
    """

    def __init__(self, message: str = '', code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


def nearest(name: object, names: Iterable[object], n: int = 3) -> str:
    """A clause that lists the names nearest to ``name``, or all when there are few and none is near.

    >>> nearest('alin', ['align', 'tau', 'loss_weight'])
    "nearest: 'align'"
    """
    names = [str(x) for x in names]
    close = get_close_matches(str(name), names, n=n, cutoff=0.4)
    if not close:
        close = names[:n] if len(names) > 8 else names
    return f'nearest: {", ".join(repr(c) for c in close)}' if close else 'there are no names to choose from'


@contextmanager
def of_a_method() -> Iterator[None]:
    """Marks errors that a method's own code raises inside this context. ``build_model`` lets them through with their type and traceback;
    other errors of these types it reports as a wrong option (see ``is_of_a_method``).
    """
    try:
        yield
    except Exception as error:
        error._of_a_method = True
        raise


def is_of_a_method(error: BaseException) -> bool:
    """Whether ``error`` was raised within ``of_a_method``."""
    return getattr(error, '_of_a_method', False)


def sentence(error: BaseException) -> str:
    """The sentence of a UserError. An error from a worker process of a data loader has a traceback before its sentence, which is cut off."""
    return str(error).rstrip().splitlines()[-1].removeprefix('vkd.errors.UserError: ')


def choice(owner: str, name: str, value: _T, known: Iterable[Any]) -> _T:
    """``value``, the option ``name`` of ``owner``. Raises UserError, with the nearest, unless it is in ``known``."""
    if value not in list(known):
        raise UserError(f'{owner}: {name} {value!r} is unknown; {nearest(value, known)}.', code='unknown-choice')
    return value


def expect(holds: object, owner: str, name: str, value: object, wanted: str) -> None:
    """Raises UserError unless ``holds``: the option ``name`` of ``owner`` is ``value``, but must be ``wanted``."""
    if not holds:
        raise UserError(f'{owner}: {name} is {value!r}; give {wanted}.', code='bad-value')


#: common mistakes, by the errors that networks, data sets and losses raise for them, and how to fix each
_KNOWN = (
    (r'Distiller is not in the', "write type='vkd.Distiller', and custom_imports = dict(imports=['vkd'])"),
    (r'Distiller\.__init__\(\) got an unexpected keyword', 'write _delete_=True in a model that inherits from another, or fix the option'),
    (r"'Distiller' object has no attribute 'backbone'", 'this optimizer constructor looks for a plain model; use paramwise_cfg instead'),
    (r'at least one array to concatenate', 'a data set is empty: fix its data_root, data_prefix, ann_file or suffixes'),
    (r'Target \d+ is out of bounds', 'a label holds a class that the network lacks; vkd check CONFIG --every-sample names the file'),
    (r'only batches of spatial targets', 'label images have several channels; save the class index alone'),
    (r'stack expects each tensor to be equal size', 'images of a batch differ in size; end the pipeline with a crop or a resize'),
    (r'failed to load image', 'vkd check CONFIG --every-sample names all files that cannot be read'),
    (r"__init__\(\) got an unexpected keyword argument '", 'fix this option of the config'),
    (r'None is not a callable object', "a type of the config is misspelt, probably the optimizer's"),
    (r'is not in the .* registry', 'fix this type, or import what defines it by custom_imports'),
)


def fix(error: BaseException) -> str | None:
    """What to do about an error of mm or torch that stands for a common mistake; None where it is not known."""
    text = f'{type(error).__name__}: {error}'
    return next((told for pattern, told in _KNOWN if re.search(pattern, text)), None)
