"""What of mmengine's log a terminal shows. The log file in the run folder keeps all of it."""

import logging
import os
import re

#: The environment variable that brings everything back; ``--verbose`` sets it, so processes that a command starts see it too.
VERBOSE = 'VKD_VERBOSE'

#: How the records begin that are left out: dumps of many lines, and remarks of mmengine on itself that no config of vkd can answer.
_LEFT_OUT = re.compile(
    r'\n-+\nSystem environment:'
    r'|Config:\n'
    r'|Hooks will be executed in the following order:'
    r'|\n\S+ - torch\.Size\('  # how a parameter was initialised
    r'|Distributed training is not used, all SyncBatchNorm'
    r'|The prefix is not set in metric class'
    r'|"FileClient" will be deprecated'
    r'|"HardDiskBackend" is the alias'
)


def verbose() -> bool:
    """Whether the terminal shows the whole log: ``VKD_VERBOSE`` is set, and not to 0."""
    return os.environ.get(VERBOSE, '0') not in ('', '0')


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    return record.levelno > logging.WARNING or verbose() or not _LEFT_OUT.match(record.getMessage())


def shorten_terminal(logger: logging.Logger) -> None:
    """Leaves the long dumps out of what ``logger`` prints on a terminal; its files keep them. A second call changes nothing."""
    for handler in logger.handlers:
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
            handler.addFilter(_is_worth_a_line)  # of a filter that is there already, this is no second one
