"""The one exception that a user is meant to read, and help with misspelt names."""
from difflib import get_close_matches


class UserError(ValueError):
    """Something in a config, file or command is wrong; the message is one sentence that names it and the mend."""


def nearest(name, names, n=3):
    """A clause that lists the names nearest to ``name``, or all when there are few and none is near."""
    names = [str(x) for x in names]
    close = get_close_matches(str(name), names, n=n, cutoff=0.4)
    if not close:
        close = names[:n] if len(names) > 8 else names
    return f'nearest: {", ".join(repr(c) for c in close)}' if close else 'there are no names to choose from'


def sentence(error):
    """The sentence of a UserError; a worker process of a data loader hands on its own with a traceback before it."""
    return str(error).rstrip().splitlines()[-1].removeprefix('vkd.errors.UserError: ')
