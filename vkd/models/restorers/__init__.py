"""Networks that restore images and CT slices."""

from ...registry import import_all
from .ct_preprocessor import SparseViewCTPreprocessor
from .edsr import EDSR
from .fbpconvnet import FBPConvNet
from .gloredi import GloReNet
from .imdn import IMDN
from .imdn_as import IMDN_AS
from .imdn_rtc import IMDN_RTC
from .preprocessor import RestorationPreprocessor
from .rcan import RCAN
from .restorer import Restorer
from .rfdn import RFDN
from .untouched import Untouched

__all__ = [
    'EDSR',
    'IMDN',
    'IMDN_AS',
    'IMDN_RTC',
    'RCAN',
    'RFDN',
    'FBPConvNet',
    'GloReNet',
    'RestorationPreprocessor',
    'Restorer',
    'SparseViewCTPreprocessor',
    'Untouched',
]

import_all(__name__, __path__)
