"""Many short cells, their workers killed at random: nothing is lost, and no score is another's."""

import functools

from rich.console import Console

from vkd.benchmarks import scale


def test_cells_whose_workers_are_killed(monkeypatch):
    monkeypatch.setattr(scale, 'Killing', functools.partial(scale.Killing, share=0.4, within=0.2))
    found = scale.measure(1, 'cpu', seeds=6, workers=4)
    assert found['cells'] == found['counted'] == 25 and found['lost'] == found['wrong'] == 0 and found['kills'] > 0 and found['starts'] > 1
    console = Console(record=True, width=400)
    scale.show(console, found)
    assert f'{found["kills"]} kills' in console.export_text()
