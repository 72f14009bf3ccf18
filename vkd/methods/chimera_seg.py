"""Selective global distillation: CLIP's one vector of an image teaches those places of the student that already resemble it, fewer and
fewer of them.

Chimera-Seg-style, reconstructed: of Chen et al., "Chimera-Seg" (arXiv 2506.22032) the abstract alone was at hand, which says that dense
features of high similarity to the class token are chosen and that their number falls in training. Formulas, schedule and constants are our
decision (docs/chimera_seg.md); the contrast to other images follows the same authors' CLIP-ZSS (arXiv 2310.02296).

``tokens`` are unit vectors ``[B, L, D]`` of the student, ``cls`` unit vectors ``[B, D]`` of the teacher, ``a [B, L]`` their cosines.
"""

import math

import torch
import torch.nn.functional as F
from mmengine.logging import print_log

from ..distill.align import channel_adapter, tokens_to_map
from ..distill.memory_bank import MemoryBank, gather_vectors
from ..distill.method import Method
from ..distill.taps import student_input
from ..errors import UserError
from ..registry import METHODS
from ..schema import COUNT, POSITIVE, SHARE, WHOLE, name_of


# -- which places ----------------------------------------------------------------------------------------------------------
def keep_count(places, progress, first=1.0, last=0.1, schedule='linear', least=1):
    """How many of ``places`` are kept at ``progress`` (0 to 1; more counts as 1) of the run: a share that goes from ``first`` to ``last``.

    schedule: 'linear'; 'cosine': along half a cosine; 'step': ``first`` in the first half of the run, ``last`` in the second.
    """
    p = min(max(progress, 0.0), 1.0)
    share = dict(
        linear=first + (last - first) * p, cosine=last + (first - last) * (1 + math.cos(math.pi * p)) / 2, step=first if p < 0.5 else last
    )[schedule]
    return min(max(math.floor(share * places + 0.5), least), places)


def select_tokens(a, count, valid=None):
    """``(indices [B, N], kept [B, N])`` of the ``count`` largest of ``a [B, L]``, equal ones by position; ``kept`` is False where an image
    has too few ``valid`` places.
    """
    a = a.detach().float()
    if valid is not None:
        a = a.masked_fill(~valid, -torch.inf)
    value, index = a.sort(dim=1, descending=True, stable=True)  # topk leaves the order of ties open
    return index[:, :count], value[:, :count] > -torch.inf


# -- the loss --------------------------------------------------------------------------------------------------------------
def pool_tokens(chosen, cls, kept, pool='mean'):
    """One unit vector an image ``[B, D]`` of its chosen tokens ``[B, N, D]``: their mean, or (``pool='attn'``) weighted by ``softmax(a /
    sqrt(D))``.
    """
    if pool == 'attn':
        a = torch.einsum('bnd,bd->bn', chosen, cls) / math.sqrt(cls.shape[1])
        weights = a.masked_fill(~kept, -torch.inf).softmax(1).nan_to_num(0.0)
    else:
        weights = kept / kept.sum(1, keepdim=True).clamp(min=1)
    return F.normalize(torch.einsum('bn,bnd->bd', weights, chosen), dim=1, eps=1e-6)


def info_nce(pooled, candidates, own, tau=0.07, there=None):
    """Mean over images of the cross entropy of ``pooled [B, D]`` to its own vector ``own [B]`` among ``candidates [M, D]`` (those ``there
    [M]``, or all), by cosine over ``tau``.
    """
    logits = pooled @ candidates.t() / tau
    return F.cross_entropy(logits if there is None else logits.masked_fill(~there, -torch.inf), own)


def global_distill_loss(
    tokens, cls, count, mode='infonce', tau=0.07, pool='mean', rank_by=None, valid=None, candidates=None, own=None, there=None
):
    """``(loss, a, index, kept)`` of unit tokens ``[B, L, D]`` and their images' unit vectors ``cls [B, D]``.

    Args:
        count: N.
        mode: 'infonce': the pooled tokens against ``candidates [M, D]`` (``cls`` by default; those ``there [M]``) of which ``own [B]`` is
            the image's; 'cosine': mean of ``1 - a`` over the chosen.
        rank_by: ``[B, L]`` to choose by in place of ``a``.
        valid: ``[B, L]``, False at padding.

    The gradient reaches the chosen tokens only.
    """
    cls = cls.detach()
    a = torch.einsum('bld,bd->bl', tokens, cls)
    index, kept = select_tokens(a if rank_by is None else rank_by, count, valid)
    if mode == 'cosine':
        return ((1 - a.gather(1, index)) * kept).sum() / kept.sum().clamp(min=1), a, index, kept
    chosen = tokens.gather(1, index[..., None].expand(-1, -1, tokens.shape[2]))
    pooled = pool_tokens(chosen, cls, kept, pool)
    own = torch.arange(len(cls), device=cls.device) if own is None else own
    return info_nce(pooled, cls if candidates is None else candidates, own, tau, there), a, index, kept


# -- the method ------------------------------------------------------------------------------------------------------------
@METHODS.register_module()
class ChimeraSeg(Method):
    """Selective global distillation (SGD) from a frozen CLIP image tower into the unit vectors of a ``ClipSemanticHead``; semantic
    alignment is that head's own loss.

    Args:
        student: tap of a map ``[B, D, h, w]``; one of another width than the teacher's vector gets a trainable 1x1 adapter.
        teacher: tap of one vector an image ``[B, D]``; a map there is averaged over its places.
        mode: 'infonce', or 'cosine', which needs no other image. With one candidate in all (a batch of one, one process, no bank) the
            first would be zero, so the second is used.
        pool: 'mean' or 'attn'.
        tau: temperature of InfoNCE.
        first: see ``keep_count``.
        last: see ``keep_count``.
        schedule: see ``keep_count``.
        least: see ``keep_count``.
        bank_size: that many vectors of past batches are further candidates; saved with the run. Images of one class in it are false
            negatives.
        select_by: 'student', or 'teacher': places are ranked by the similarity of CLIP's own patch tokens to its class token (a
            ``ClipImageTower`` with a ViT alone).

    Logs ``tokens`` (N), ``similarity_selected`` and ``similarity_all`` (mean cosines). Padding of the data preprocessor is never chosen.
    """

    rules = dict(
        mode=name_of(('infonce', 'cosine')),
        pool=name_of(('mean', 'attn')),
        tau=POSITIVE,
        first=SHARE,
        last=SHARE,
        schedule=name_of(('linear', 'cosine', 'step')),
        least=COUNT,
        bank_size=WHOLE,
        select_by=name_of(('student', 'teacher')),
        loss_weight=POSITIVE,
    )

    def __init__(
        self,
        student='decode_head.embed',
        teacher='visual',
        mode='infonce',
        pool='mean',
        tau=0.07,
        first=1.0,
        last=0.1,
        schedule='linear',
        least=1,
        bank_size=0,
        select_by='student',
        loss_weight=1.0,
    ):
        super().__init__()
        self.keep(mode=mode, pool=pool, tau=tau, first=first, last=last, schedule=schedule, least=least)
        self.keep(bank_size=bank_size, select_by=select_by, loss_weight=loss_weight)
        self.student_taps, self.teacher_taps = [student], [teacher, *(['visual.transformer'] if select_by == 'teacher' else [])]
        self._told = False

    def find_taps(self, student, teacher):
        if self.select_by == 'teacher':
            if not (hasattr(teacher, 'visual') and hasattr(teacher.visual, 'ln_post')):
                raise UserError(
                    "ChimeraSeg: select_by='teacher' needs a ClipImageTower with a ViT, which has patch tokens; the teacher is a "
                    f"{type(teacher).__name__}: choose 'student'."
                )
            self._project = [teacher.project]  # in a list: it is not this module's own

    def setup(self, student, teacher):
        (_, channels, *_), (_, width, *_) = next(iter(student.values())), next(iter(teacher.values()))
        self.adapter = channel_adapter(channels, width)
        if self.bank_size:
            self.bank = MemoryBank(self.bank_size)
            self.bank.reserve(width, self.bank.count.device)

    def forward(self, student, teacher, batch):
        own = student[self.student_taps[0]]
        vector = teacher[self.teacher_taps[0]].detach()
        with torch.autocast(own.device.type, enabled=False):  # half-precision cosines tie, and change the ranks
            cls = F.normalize((vector.flatten(2).mean(2) if vector.dim() > 2 else vector).float(), dim=1, eps=1e-6)
            tokens = F.normalize(self.adapter(own.float()).flatten(2).transpose(1, 2), dim=2, eps=1e-6)
            count = keep_count(tokens.shape[1], batch['progress'], self.first, self.last, self.schedule, self.least)
            valid = valid_places(batch.get('data_samples'), own.shape[-2:], batch['inputs'], own.device)
            rank_by = self._patches(teacher, cls, own.shape[-2:]) if self.select_by == 'teacher' else None
            every, offset = gather_vectors(cls)
            mode, among = self.mode, {}
            if mode == 'infonce' and len(every) == 1 and not self.bank_size:
                mode = 'cosine'
                if not self._told:
                    print_log(
                        "ChimeraSeg: InfoNCE has a single candidate (one image, one process, no bank) and would be zero, so mode='cosine' "
                        "is used.",
                        logger='current',
                        level=30,
                    )
                    self._told = True
            if mode == 'infonce':
                among = dict(candidates=every, own=torch.arange(len(cls), device=cls.device) + offset)
                if self.bank_size:
                    filled = torch.arange(self.bank_size, device=cls.device) < self.bank.count
                    there = torch.cat([filled.new_ones(len(every)), filled])
                    among.update(candidates=torch.cat([every, self.bank.vectors]), there=there)
            loss, a, index, kept = global_distill_loss(tokens, cls, count, mode, self.tau, self.pool, rank_by, valid, **among)
            if self.bank_size and self.training:
                self.bank.push(cls)
        every_place = torch.ones_like(a, dtype=torch.bool) if valid is None else valid
        a = a.detach()
        return dict(
            loss_sgd=self.loss_weight * loss,
            tokens=a.new_full((), count),
            similarity_selected=(a.gather(1, index) * kept).sum() / kept.sum().clamp(min=1),
            similarity_all=(a * every_place).sum() / every_place.sum().clamp(min=1),
        )

    def _patches(self, teacher, cls, size):
        """Cosines ``[B, L]`` of CLIP's patch tokens to its class token, on the student's grid."""
        patches = F.normalize(self._project[0](teacher[self.teacher_taps[1]][:, 1:].float()), dim=2, eps=1e-6)
        a = tokens_to_map(torch.einsum('bld,bd->bl', patches, cls)[..., None])
        return F.interpolate(a, size=size, mode='bilinear', align_corners=False).flatten(1)


def valid_places(samples, size, inputs, device):
    """``[B, L]``, False at places of the grid ``size`` whose centre lies in what the data preprocessor has padded (mmseg notes it in each
    sample); None where nothing was.
    """
    padding = [sample.metainfo.get('padding_size', sample.metainfo.get('img_padding_size', (0, 0, 0, 0))) for sample in samples or []]
    if not any(map(any, padding)):
        return None
    (height, width), (h, w) = student_input(inputs).shape[-2:], size
    y, x = ((torch.arange(n) + 0.5) * full / n for n, full in ((h, height), (w, width)))
    masks = [((y >= top) & (y < height - bottom))[:, None] & ((x >= left) & (x < width - right)) for left, right, top, bottom in padding]
    return torch.stack(masks).flatten(1).to(device, non_blocking=True)
