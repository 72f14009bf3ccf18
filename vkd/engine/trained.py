"""An optimizer over the parameters that are trained, without the frozen ones."""

from mmengine.optim import DefaultOptimWrapperConstructor

from ..build.networks import unwrapped
from ..errors import UserError
from ..registry import OPTIM_WRAPPER_CONSTRUCTORS
from .peers import part_of


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class TrainedOnly(DefaultOptimWrapperConstructor):
    """mmengine's constructor over the parameters that require a gradient: a frozen encoder takes no optimizer state.

    Raises UserError where nothing is trained.
    """

    def __call__(self, model):
        model = unwrapped(model)
        trained = part_of(model, {n for n, p in model.named_parameters() if p.requires_grad})
        if trained is None:
            raise UserError(
                f'optim_wrapper: no parameter of the {type(model).__name__} requires a gradient; unfreeze what is to be trained.'
            )
        return super().__call__(trained)
