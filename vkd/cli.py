"""What every command line of vkd shares."""
import argparse
import sys

from .errors import UserError


def parser(description):
    """An ArgumentParser that shows its defaults and knows ``--debug``."""
    out = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    out.add_argument('--debug', action='store_true', help='show the traceback of an error')
    return out


def add_config(p):
    """The arguments of a command that reads one mm config."""
    from mmengine.config import DictAction
    p.add_argument('config', help='config file')
    p.add_argument('--cfg-options', nargs='+', action=DictAction, default=None, metavar='KEY=VALUE', help='overrides of the config, such as a.b=1')
    return p


def command(main, p, argv=None):
    """Runs ``main(args)``; a UserError becomes one sentence on stderr and exit code 1, with a traceback only under ``--debug``; so does an interruption."""
    args = p.parse_args(argv)
    try:
        return main(args)
    except KeyboardInterrupt:
        sys.exit('interrupted; the same command, for train.py with --resume, continues')
    except OSError as error:
        if args.debug or isinstance(error, UserError):
            raise
        sys.exit(f'error: {error.strerror or error}: {error.filename!r}; mend the path, its rights, or make room.')
    except UserError as error:
        if args.debug:
            raise
        # a worker process of a data loader hands on its error with its traceback before the sentence
        sys.exit(f'error: {str(error).rstrip().splitlines()[-1].removeprefix("vkd.errors.UserError: ")}')
