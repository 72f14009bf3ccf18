"""GloReDi: a network that sees few views learns the global representation of one that sees more.

Li et al., "Learning to Distill Global Representation for Sparse-View CT", ICCV 2023. The paper's text was not at hand: the terms are those
of the authors' code (longzilicart/GloReDi, commit b412cae); docs/gloredi.md lists what differs on purpose.
"""

import math
from functools import lru_cache

import torch
import torch.nn.functional as F

from ..distill.losses import cosine_loss
from ..distill.memory_bank import MemoryBank
from ..distill.method import Method
from ..errors import UserError
from ..registry import METHODS
from ..schema import WEIGHT, check_value, name_of, optional

#: 1.414^2 / 2: the release's two roundings of the root of 2 leave this of a band's edges
_EDGE = 1.414**2 / 2


# -- the terms -------------------------------------------------------------------------------------------------------------
@lru_cache(maxsize=16)
def dct_matrix(n, rows, device):
    """The first ``rows`` rows of the DCT-II of ``n`` samples, not normalised: ``2 cos(pi k (2 i + 1) / (2 n))``, float32."""
    k, i = torch.arange(rows, dtype=torch.float64, device=device)[:, None], torch.arange(n, dtype=torch.float64, device=device)
    return (2 * torch.cos(math.pi * k * (2 * i + 1) / (2 * n))).float()


def dct(x, rows=None, columns=None):
    """``[..., H, W]`` -> its two-dimensional DCT-II without normalisation (as SciPy's ``dctn``), or the lowest ``rows`` x ``columns``
    coefficients of it.
    """
    h, w = x.shape[-2:]
    return dct_matrix(h, rows or h, x.device) @ x @ dct_matrix(w, columns or w, x.device).T


@lru_cache(maxsize=16)
def band_mask(size, band, device=torch.device('cpu')):
    """Which DCT coefficients ``[H, W]`` lie in the square ring ``band = (low, high)``; bool, cut off after the last.

    A coefficient is kept whose two indices are at most ``high * W``, unless both are at most ``low * H``; ``low = 0`` takes out nothing, so
    the mean (the coefficient 0, 0) stays. This is the rule of the authors' code: on a map that is not square the inner edge follows the
    height and the outer one the width, and the ring stays square.

    Raises UserError where nothing is left.
    """
    low, high = (math.floor(_EDGE * n * share) for n, share in zip(size, band, strict=False))
    i, j = (torch.arange(min(high, n - 1) + 1, device=device) for n in size)
    mask = (i[:, None] > low) | (j > low) if band[0] else torch.ones(len(i), len(j), dtype=torch.bool, device=device)
    if not mask.any():
        raise UserError(
            f'GloReDi: the band {tuple(band)} of a map of {size[0]}x{size[1]} keeps no coefficient, since it starts at {low} of the height '
            f'and ends at {high} of the width; give a wider band.'
        )
    return mask


def band_vectors(x, band):
    """``[B, C, H, W]`` -> unit vectors ``[B, C K]`` of the K coefficients in the band."""
    mask = band_mask(tuple(x.shape[-2:]), tuple(band), x.device)
    return F.normalize(dct(x, *mask.shape)[..., mask].flatten(1), dim=1)


def supervised_contrastive_loss(vectors, labels, tau=0.07):
    """Mean over rows of the mean over others of the same label of ``-log(E_ij / sum_{k != i} E_ik)``, ``E = exp(a - max a) + 1e-5`` with
    ``a = v v^T / tau``; ``vectors [N, D]`` of unit length, ``labels [N]``.

    A row without another of its label is left out. Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020, eq. 2, with the
    release's 1e-5.
    """
    scores = vectors @ vectors.T / tau
    others = ~torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    like = (labels[:, None] == labels) & others
    e = torch.exp(scores - scores.amax(1, keepdim=True)) + 1e-5
    rows = (like * (torch.log((e * others).sum(1, keepdim=True)) - torch.log(e))).sum(1) / like.sum(1).clamp(min=1)
    return rows.sum() / like.any(1).sum().clamp(min=1)


def band_contrast_loss(student, teacher, memory, tau=0.07):
    """Band-pass-specific contrastive distillation (BPCD) of unit vectors ``[B, D]`` of both and ``memory [M, D]``: a slice's two vectors
    belong together, and so do, as one class, all of the memory's.
    """
    own = torch.arange(1, len(student) + 1, device=student.device)
    return supervised_contrastive_loss(
        torch.cat([student, teacher.detach(), memory]), torch.cat([own, own, own.new_zeros(len(memory))]), tau
    )


# -- the method ------------------------------------------------------------------------------------------------------------
@METHODS.register_module()
class GloReDi(Method):
    """RDD and BPCD between the representations of a student and of a teacher that sees more views.

    RDD, representation directional distillation, is ``cosine_loss``. Both are on the first ``channel_ratio`` of the
    channels.

    The teacher is a role of the Distiller: ``trainable=True`` with its own loss on its own ``view``, beginning as the student does
    (``start='student'``), its decoder following the student's (``ema={'backbone.decoder': 'backbone.decoder'}``). Nothing of these terms
    reaches it.

    Args:
        student: taps of the representations ``[B, C, H, W]``.
        teacher: the same of the teacher.
        variant: 'full' (both terms with the weights 0.1 and 1e-6 that the release has as defaults), 'rdd' (the first alone), or 'release'
            (its sample run: RDD with 0.002, no BPCD).
        rdd_weight: theta of the RDD term, in place of the variant's; a term of weight 0 is not built.
        bpcd_weight: theta of the BPCD term.
        channel_ratio: share of the channels, fixed to one half in the release.
        band: ``(low, high)``, shares of the map's height and width (see ``band_mask``).
        tau: temperature.
        memory_size: past vectors of students. Until there are as many, BPCD is 0. They are kept in the checkpoint: 300 of 256x256 images
            take 226 MB.
        pretrain: share of the run in which both terms are 0 and nothing is remembered.

    Raises UserError for options out of range, and taps of unlike shapes.
    """

    variants = dict(full=(0.1, 1e-6), rdd=(0.1, 0.0), release=(0.002, 0.0))
    rules = dict(variant=name_of(variants), rdd_weight=optional(WEIGHT), bpcd_weight=optional(WEIGHT))

    def __init__(
        self,
        student='backbone.encoder',
        teacher='backbone.encoder',
        variant='full',
        rdd_weight=None,
        bpcd_weight=None,
        channel_ratio=0.5,
        band=(0.1, 0.6),
        tau=0.07,
        memory_size=300,
        pretrain=0.0,
    ):
        super().__init__()
        for name, value in (('variant', variant), ('rdd_weight', rdd_weight), ('bpcd_weight', bpcd_weight)):
            check_value('GloReDi', name, value, self.rules[name])
        rdd_weight, bpcd_weight = (
            own if given is None else given for own, given in zip(self.variants[variant], (rdd_weight, bpcd_weight), strict=False)
        )
        if not (0 < channel_ratio <= 1 and 0 <= band[0] < band[1] <= 1 and 0 <= pretrain <= 1 and tau > 0 and memory_size >= 1):
            raise UserError(
                f'GloReDi: channel_ratio {channel_ratio}, band {tuple(band)}, pretrain {pretrain}, tau {tau} and memory_size {memory_size} '
                'were given; shares lie in 0 to 1, the band rises, tau and memory_size are positive.'
            )
        if not (rdd_weight or bpcd_weight):
            raise UserError('GloReDi: both weights are 0, so nothing would be distilled; set rdd_weight or bpcd_weight.')
        self.student_taps, self.teacher_taps = [student], [teacher]
        self.variant, self.rdd_weight, self.bpcd_weight, self.channel_ratio, self.band, self.tau, self.pretrain = (
            variant,
            rdd_weight,
            bpcd_weight,
            channel_ratio,
            tuple(band),
            tau,
            pretrain,
        )
        if bpcd_weight:
            self.memory = MemoryBank(memory_size)

    def setup(self, student_shapes, teacher_shapes):
        (s,), (t,) = student_shapes.values(), teacher_shapes.values()
        if len(s) != 4 or len(t) != 4 or s[2:] != t[2:] or self.count(s[1]) != self.count(t[1]):
            raise UserError(
                f'GloReDi: tap {self.student_taps[0]!r} of the student gives {tuple(s)} and {self.teacher_taps[0]!r} of the teacher '
                f'{tuple(t)}; it compares maps [B, C, H, W] of one grid and one width: pair equal encoders.'
            )

    def count(self, channels):
        return max(1, int(channels * self.channel_ratio))

    def forward(self, student, teacher, batch):
        z_s, z_t = (next(iter(own.values())) for own in (student, teacher))
        names = [name for name, weight in (('loss_rdd', self.rdd_weight), ('loss_bpcd', self.bpcd_weight)) if weight]
        if batch['progress'] < self.pretrain:
            return {name: 0 * z_s.float().mean() for name in names}
        with torch.autocast(z_s.device.type, enabled=False):
            z_s, z_t = (z[:, : self.count(z.shape[1])].float() for z in (z_s, z_t.detach()))
            terms = dict(
                loss_rdd=self.rdd_weight and self.rdd_weight * cosine_loss(z_s, z_t),
                loss_bpcd=self.bpcd_weight and self.bpcd_weight * self.contrast(z_s, z_t),
            )
        return {name: terms[name] for name in names}

    def contrast(self, z_s, z_t):
        """BPCD, 0 until the memory is full; then the student's vectors are remembered."""
        v_s, v_t = band_vectors(z_s, self.band), band_vectors(z_t, self.band)
        self.memory.reserve(v_s.shape[1], v_s.device)
        loss = band_contrast_loss(v_s, v_t, self.memory.vectors, self.tau)
        loss = torch.where(self.memory.full, loss, 0 * loss)
        if self.training:
            self.memory.push(v_s)
        return loss
