"""The version of the json files of runs and tables, and the digest that seals a run."""

from collections.abc import Mapping
from typing import Any

from ..io.files import digest

#: of run.json, state.json, metrics.json and leaderboard.json as they are written; docs/suite.md describes them
FORMAT = 2
#: those that are read: 1 has no baseline, and gains that lie flat
READS = (1, 2)


def run_digest(facts: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """Digest of a run: of what run.json says, of the scores ``{'val': …, 'test': …}``, what they are, and the digests of the data lists;
    metrics.json holds it, so that what is changed afterwards shows.
    """
    return digest([facts, {k: metrics[k] for k in ('data_sha256', 'scores', 'val', 'test') if k in metrics}])
