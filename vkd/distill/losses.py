"""Losses between a student's and a teacher's tensors that several methods use: pure functions, float32 inside, no gradient into the
teacher.
"""

import torch
import torch.nn.functional as F


def kl_loss(student: torch.Tensor, teacher: torch.Tensor, tau: float = 1.0) -> torch.Tensor:
    """Mean over pixels of ``tau^2 * KL(softmax(teacher / tau) || softmax(student / tau))``.

    Args:
        student: logits ``[B, K, H, W]``, any range.
        teacher: the same of the teacher; its gradient is not followed.
        tau: temperature.

    Hinton et al., "Distilling the Knowledge in a Neural Network", 2015; per pixel as in Liu et al., CVPR 2019, eq. 2.
    """
    p = F.log_softmax(teacher.detach().float() / tau, dim=1)
    q = F.log_softmax(student.float() / tau, dim=1)
    return (p.exp() * (p - q)).sum(1).mean() * tau**2


def cwd_loss(student: torch.Tensor, teacher: torch.Tensor, tau: float = 4.0) -> torch.Tensor:
    """``tau^2 / C * sum_c KL(softmax_space(teacher_c / tau) || softmax_space(student_c / tau))``, mean over the batch.

    Args:
        student: maps ``[B, C, H, W]``.
        teacher: the same of the teacher; its gradient is not followed.
        tau: temperature of the softmax over the H*W places.

    Shu et al., "Channel-wise Knowledge Distillation for Dense Prediction", ICCV 2021, eq. 4.
    """
    p = F.log_softmax(teacher.detach().float().flatten(2) / tau, dim=2)
    q = F.log_softmax(student.float().flatten(2) / tau, dim=2)
    return (p.exp() * (p - q)).sum(2).mean() * tau**2


def attention_map(x: torch.Tensor, p: float = 2) -> torch.Tensor:
    """``[B, C, H, W]`` -> ``[B, H*W]``: mean over channels of ``|x|^p``, unit length."""
    return F.normalize(x.float().abs().pow(p).mean(1).flatten(1), dim=1)


def at_loss(student: torch.Tensor, teacher: torch.Tensor, p: float = 2) -> torch.Tensor:
    """Mean over batch of the squared distance of the two unit-length attention maps of ``[B, *, H, W]``.

    Zagoruyko and Komodakis, "Paying More Attention to Attention", ICLR 2017, eq. 2 (their code squares and averages;
    here the places are summed, so that the value does not depend on the grid).
    """
    return (attention_map(student, p) - attention_map(teacher.detach(), p)).pow(2).sum(1).mean()


def mse_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of two tensors of one shape.

    Romero et al., "FitNets", ICLR 2015, eq. 3 (mean, without the factor 1/2).
    """
    return F.mse_loss(student.float(), teacher.detach().float())


def cosine_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """``1 - cos`` of the channel vectors, mean over the places of ``[B, C, H, W]``."""
    return (1 - F.cosine_similarity(student.float(), teacher.detach().float(), dim=1)).mean()
