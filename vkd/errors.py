"""The one exception that a user is meant to read, and help with misspelt names."""

import re
from contextlib import contextmanager
from difflib import get_close_matches


class UserError(ValueError):
    """Something in a config, file or command is wrong; the message is one sentence that names it and the fix."""


def nearest(name, names, n=3):
    """A clause that lists the names nearest to ``name``, or all when there are few and none is near."""
    names = [str(x) for x in names]
    close = get_close_matches(str(name), names, n=n, cutoff=0.4)
    if not close:
        close = names[:n] if len(names) > 8 else names
    return f'nearest: {", ".join(repr(c) for c in close)}' if close else 'there are no names to choose from'


@contextmanager
def of_a_method():
    """An error that a method's own code raises within keeps its type and its traceback: whoever builds a model passes it on as it is,
    where others of its type would be called a wrong option (see ``is_of_a_method``).
    """
    try:
        yield
    except Exception as error:
        error._of_a_method = True
        raise


def is_of_a_method(error):
    """Whether ``error`` was raised within ``of_a_method``."""
    return getattr(error, '_of_a_method', False)


def sentence(error):
    """The sentence of a UserError; a worker process of a data loader hands on its own with a traceback before it."""
    return str(error).rstrip().splitlines()[-1].removeprefix('vkd.errors.UserError: ')


def choice(owner, name, value, known):
    """``value``, the option ``name`` of ``owner``. Raises UserError, with the nearest, unless it is in ``known``."""
    if value not in list(known):
        raise UserError(f'{owner}: {name} {value!r} is unknown; {nearest(value, known)}.')
    return value


def expect(holds, owner, name, value, wanted):
    """Raises UserError unless ``holds``: the option ``name`` of ``owner`` is ``value``, but must be ``wanted``."""
    if not holds:
        raise UserError(f'{owner}: {name} is {value!r}; give {wanted}.')


#: what networks, data sets and losses say of common mistakes, in words of their own, and the fix
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


def fix(error):
    """What to do about an error of mm or torch that stands for a common mistake; None where it is not known."""
    text = f'{type(error).__name__}: {error}'
    return next((told for pattern, told in _KNOWN if re.search(pattern, text)), None)
