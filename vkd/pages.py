"""Templates of the pages of results."""
from jinja2 import Environment, PackageLoader

from .tables import digits, extra_columns, human, named, number, verdict, with_interval


def render(template, **content):
    """The text of ``templates/<template>`` with ``content``; whatever comes from a run is escaped."""
    environment = Environment(loader=PackageLoader('vkd', 'templates'), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(number=number, human=human, digits=digits, column=lambda head: (head, ''))
    shared = dict(verdict=verdict, named=named, extra_columns=extra_columns, with_interval=with_interval)
    return environment.get_template(template).render(**shared, **content)
