"""Imports mmseg without what it prints and warns of on import: optional parts that it lacks, none of which vkd uses."""

import contextlib
import warnings
from io import StringIO

with contextlib.redirect_stdout(StringIO()), warnings.catch_warnings():
    warnings.simplefilter('ignore')
    import mmseg.datasets
    import mmseg.engine
    import mmseg.evaluation
    import mmseg.models  # noqa: F401
