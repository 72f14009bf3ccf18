"""Templates of the pages of results."""

from typing import Any

from jinja2 import Environment, PackageLoader

from .gains import benefit
from .tables import human, number
from .words import VERDICTS, digits, extra_columns, gain_head, named, remarks, score_head, verdict, with_unit


def render(template: str, **content: Any) -> str:
    """The text of ``templates/<template>`` with ``content``; whatever comes from a run is escaped."""
    environment = Environment(loader=PackageLoader('vkd.leaderboard', 'templates'), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(number=number, human=human, digits=digits)
    environment.globals.update(
        benefit=benefit,
        verdict=verdict,
        remarks=remarks,
        named=named,
        extra_columns=extra_columns,
        with_unit=with_unit,
        score_head=score_head,
        gain_head=gain_head,
        VERDICTS=VERDICTS,
    )
    return environment.get_template(template).render(**content)
