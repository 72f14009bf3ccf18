"""FitNet: hints through a regressor."""

from ..distill.losses import mse_loss
from ..distill.method import PairMethod
from ..registry import METHODS


@METHODS.register_module()
class FitNet(PairMethod):
    """Hints of Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015: a regressor and the mean squared difference."""

    loss_key, adapts = 'loss_mse', 'always'

    def loss(self, student, teacher):
        return mse_loss(student, teacher)
