"""Tables and numbers on a terminal."""

from collections.abc import Sequence
from typing import IO

from rich import box
from rich.console import Console
from rich.table import Table


def console(file: IO[str] | None = None) -> Console:
    """A rich console; without a terminal plain, wide and colourless."""
    out = Console(file=file, highlight=False)
    return out if out.is_terminal else Console(file=file, highlight=False, width=180, color_system=None)


def show_table(out: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints rows of strings and numbers under ``columns``; numbers to the right."""
    table = Table(title=title, title_justify='left', title_style='bold', box=box.SIMPLE_HEAD if out.is_terminal else None, pad_edge=False)
    for i, column in enumerate(columns):
        table.add_column(column, justify='right' if rows and isinstance(rows[0][i], (int, float)) else 'left', overflow='fold')
    for row in rows:
        table.add_row(
            *(
                ('-' if x is None else f'{x:,}' if isinstance(x, int) else f'{x:.4g}' if isinstance(x, float) else str(x)).replace(
                    '[', r'\['
                )
                for x in row
            )
        )
    out.print(table)
    out.print()


def duration(seconds: float) -> str:
    """``'3 h 05 min'``, ``'4 min 10 s'``, ``'12.3 s'`` or ``'40 ms'``.

    >>> duration(250), duration(11100)
    ('4 min 10 s', '3 h 05 min')
    """
    if seconds < 1:
        return f'{1000 * seconds:.0f} ms'
    if seconds < 60:
        return f'{seconds:.1f} s'
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f'{hours} h {m:02d} min' if hours else f'{m} min {s:02d} s'
