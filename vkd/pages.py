"""Templates of the pages of results."""

from jinja2 import Environment, PackageLoader

from .tables import VERDICTS, digits, extra_columns, gain_head, human, named, number, score_head, verdict, with_unit


def render(template, **content):
    """The text of ``templates/<template>`` with ``content``; whatever comes from a run is escaped."""
    environment = Environment(loader=PackageLoader('vkd', 'templates'), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(number=number, human=human, digits=digits)
    environment.globals.update(
        verdict=verdict,
        named=named,
        extra_columns=extra_columns,
        with_unit=with_unit,
        score_head=score_head,
        gain_head=gain_head,
        VERDICTS=VERDICTS,
    )
    return environment.get_template(template).render(**content)
