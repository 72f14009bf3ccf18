"""GKD: representations are distilled without any label, by queries of the student to the teacher's tokens; the task is learnt after, on the
frozen encoder.

Lv et al., "Generalizable Knowledge Distillation from Vision Foundation Models for Semantic Segmentation" (CVPR 2026, arXiv 2603.02554).
Defaults are those of the authors' code (Younger-hua/GKD, commit da68631); the paper's body was not at hand, docs/gkd.md says what is our
decision. ``v [B, N, C]`` are patch tokens and ``c [B, C]`` the class token, after the final norm.
"""

from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import nn

from ..distill.align import map_to_tokens, replace_masked
from ..distill.method import Method
from ..distill.taps import parse_tap, patch_embedding_of
from ..errors import UserError
from ..registry import METHODS
from ..schema import FLAG, NUMBER, WEIGHT


# -- query-based soft distillation -----------------------------------------------------------------------------------------
def query_soft_attention(query, key, value, scale=1.0, fused=False):
    """``softmax(scale * query key^T) value`` of ``query, key [B, N, C]`` and ``value [B, N, D]``, in float32 under autocast too.

    ``fused``: torch's scaled_dot_product_attention, which keeps no ``[B, N, N]`` matrix where its kernels allow; equal to rounding.
    """
    with torch.autocast(query.device.type, enabled=False):
        query, key, value = query.float(), key.float(), value.float()
        if fused:
            return F.scaled_dot_product_attention(query, key, value, scale=scale)
        return (scale * query @ key.transpose(1, 2)).softmax(-1) @ value


class QuerySoftDistillation(nn.Module):
    """Student tokens ``[B, N, C_s]`` -> ``[B, N, C_t]``: each place mixes the student's own values by its likeness to the teacher's tokens
    ``[B, N, C_t]``.

    Queries and values are the student's, each through a LayerNorm and a linear layer of its own; keys are the teacher's raw tokens. Values
    of the teacher would let the head copy its target.

    Args:
        scale: of the logits; 1, as in the authors' code, makes the attention nearly one-hot at first, ``C_t ** -0.5`` is the usual one.
        fused: see ``query_soft_attention``.
    """

    def __init__(self, student_channels, teacher_channels, scale=1.0, fused=False):
        super().__init__()
        self.standardize_query, self.query = nn.LayerNorm(student_channels), nn.Linear(student_channels, teacher_channels)
        self.standardize_value, self.value = nn.LayerNorm(student_channels), nn.Linear(student_channels, teacher_channels)
        self.scale, self.fused = scale, fused

    def forward(self, student, teacher):
        return query_soft_attention(
            self.query(self.standardize_query(student)),
            teacher.detach(),
            self.value(self.standardize_value(student)),
            self.scale,
            self.fused,
        )


# -- the terms -------------------------------------------------------------------------------------------------------------
def token_loss(output, target):
    """Mean squared difference over every element of tokens, in float32; the target's gradient is not followed. All three terms are this
    one.
    """
    return F.mse_loss(output.float(), target.detach().float())


def feature_loss(patches, target, cls=None, cls_target=None):
    """``token_loss`` of patches ``[B, N, C]``; with ``cls [B, 1, C]`` of the patches and the class token together, so that the latter
    counts as one of N + 1 (as in the authors' code).
    """
    if cls is not None:
        patches, target = torch.cat([cls, patches], 1), torch.cat([cls_target, target], 1)
    return token_loss(patches, target)


def random_patch_mask(batch, tokens, probability=0.5, ratio=0.5, first_n=True, generator=None, device='cpu'):
    """Bool ``[batch, tokens]``, True where a patch is hidden: ``int(tokens * ratio)`` of each of ``floor(batch * probability)`` images.

    ``first_n``: the first images of the batch, else images at random. Draws from ``generator``, by default torch's stream of ``device``.
    """
    images, hidden = int(batch * probability), int(tokens * ratio)
    order = torch.rand(batch, tokens, generator=generator, device=device).argsort(1)
    mask = order < hidden  # an argsort of noise is a random permutation of each row
    chosen = torch.arange(batch, device=device) if first_n else torch.rand(batch, generator=generator, device=device).argsort()
    return mask & (chosen < images)[:, None]


# -- the method ------------------------------------------------------------------------------------------------------------
@METHODS.register_module()
class GKD(Method):
    """``feat_weight * L_feat + mask_weight * L_mask + cls_weight * L_cls``, a QuerySoftDistillation head each, dropped at export.

    L_feat compares the tokens of the image, L_mask those of a view in which half the images have half their patch embeddings replaced by
    one learnt token (over all tokens, hidden or not; the teacher sees the whole image), L_cls the class tokens. The mask costs a second
    pass of the student.

    Args:
        student: taps of patch tokens ``[B, N, C]``, or of maps ``[B, C, H, W]``, on one grid; ``patches`` of a TimmViT.
        teacher: the same of the teacher.
        student_cls: taps of class tokens ``[B, C]``; ``cls`` of a TimmViT. None, for networks without: the mean of the tokens (our
            decision).
        teacher_cls: the same of the teacher.
        feat_weight: alpha, the weight of the term on patch tokens; a term of weight 0 is not built.
        mask_weight: beta, that of the term on masked patches.
        cls_weight: gamma, that of the term on class tokens.
        feat_includes_cls: the class token is one of the N + 1 of L_feat.
        mask_probability: share of the images that are masked.
        mask_ratio: share of their patches.
        first_n: the first images of the batch, else random ones.
        embed: tap of the student's patch embedding; found by itself in ViTs, MiT and LVT.
        scale: see QuerySoftDistillation.
        fused: see QuerySoftDistillation.

    Raises:
        UserError: for grids that differ, no patch embedding, a student of which nothing is trained, a batch in which no image would be
            masked.
    """

    rules = dict(
        feat_weight=WEIGHT,
        mask_weight=WEIGHT,
        cls_weight=WEIGHT,
        feat_includes_cls=FLAG,
        mask_probability=NUMBER,
        mask_ratio=NUMBER,
        first_n=FLAG,
        scale=NUMBER,
        fused=FLAG,
    )

    def __init__(
        self,
        student,
        teacher,
        student_cls=None,
        teacher_cls=None,
        feat_weight=1.0,
        mask_weight=1.0,
        cls_weight=1.0,
        feat_includes_cls=True,
        mask_probability=0.5,
        mask_ratio=0.5,
        first_n=True,
        embed=None,
        scale=1.0,
        fused=False,
    ):
        super().__init__()
        self.keep(student=student, teacher=teacher, student_cls=student_cls, teacher_cls=teacher_cls, embed=embed)
        self.keep(feat_weight=feat_weight, mask_weight=mask_weight, cls_weight=cls_weight)
        self.keep(mask_probability=mask_probability, mask_ratio=mask_ratio, first_n=first_n, scale=scale, fused=fused)
        self.keep(feat_includes_cls=bool(feat_includes_cls and feat_weight))
        if not (0 <= mask_probability <= 1 and 0 <= mask_ratio <= 1):
            raise UserError(f'GKD: mask_probability is {mask_probability} and mask_ratio {mask_ratio}; give shares from 0 to 1.')
        if not (feat_weight or mask_weight or cls_weight):
            raise UserError('GKD: all three weights are 0, so nothing would be distilled; set feat_weight, mask_weight or cls_weight.')
        if not mask_weight:
            self.second_pass = None

    # -- taps ------------------------------------------------------------------------------------------------------------
    def find_taps(self, student, teacher):
        if not any(p.requires_grad for p in student.parameters()):
            raise UserError(
                f'GKD: nothing of the student ({type(student).__name__}) is trained, so only the query heads would learn; take frozen=True '
                'out of it.'
            )
        if self.mask_weight and self.embed is None:
            self.embed = patch_embedding_of(student, 'GKD')
        self.student_taps = [t for t in (self.student, self.student_cls, self.embed if self.mask_weight else None) if t]
        self.teacher_taps = [t for t in (self.teacher, self.teacher_cls) if t]
        if self.mask_weight:
            of_input, *self.place = parse_tap(self.embed)
            if of_input:
                raise UserError(
                    f'GKD: embed {self.embed!r} names the input of a module; name the patch embedding itself, whose output is masked.'
                )

    def setup(self, student_shapes, teacher_shapes):
        s, t = student_shapes[self.student], teacher_shapes[self.teacher]
        for tap, shape in ((self.student, s), (self.teacher, t)):
            if len(shape) not in (3, 4):
                raise UserError(
                    f'GKD: tap {tap!r} gives {len(shape)} dimensions {tuple(shape)}; tap tokens [B, N, C] or a map [B, C, H, W].'
                )
        self._check_grid(s, t)
        channels = [shape[1] if len(shape) == 4 else shape[2] for shape in (s, t)]
        for role, tap, shapes, wanted in (
            ('student', self.student_cls, student_shapes, channels[0]),
            ('teacher', self.teacher_cls, teacher_shapes, channels[1]),
        ):
            if tap and tuple(shapes[tap][1:]) != (wanted,):
                raise UserError(
                    f'GKD: tap {tap!r} of the {role} gives {tuple(shapes[tap])}, but its patch tokens have {wanted} channels; tap a class '
                    'token [B, C] of the same width.'
                )

        def head(fused=self.fused):
            return QuerySoftDistillation(*channels, self.scale, fused)

        if self.feat_weight:
            self.qsd_feat = head()
        if self.cls_weight or self.feat_includes_cls:
            self.qsd_cls = head(fused=False)  # of one token the plain softmax is 1 exactly, and its query's gradient 0 exactly
        if self.mask_weight:
            self.qsd_mask = head()
            shape = student_shapes[self.embed]
            if len(shape) not in (3, 4):
                raise UserError(
                    f'GKD: embed {self.embed!r} gives {tuple(shape)}; name the patch embedding, whose output is [B, N, C] or [B, h, w, C].'
                )
            self.mask_token = nn.Parameter(torch.zeros(shape[-1]))

    @staticmethod
    def _grid(shape):
        return shape[2] * shape[3] if len(shape) == 4 else shape[1]

    def _check_grid(self, s, t):
        both = len(s) == len(t) == 4
        if self._grid(s) != self._grid(t) or both and tuple(s[2:]) != tuple(t[2:]):

            def told(shape):
                return f'{shape[2]}x{shape[3]}' if len(shape) == 4 else f'{shape[1]}'

            raise UserError(
                f'GKD: student tap {self.student!r} gives a grid of {told(s)} tokens and teacher tap {self.teacher!r} of {told(t)}; give '
                'both one patch size and one image size.'
            )

    # -- the masked view -------------------------------------------------------------------------------------------------
    def check_image(self, image):
        """Called before the networks run. Raises UserError where the mask would hide no image."""
        if self.training and self.mask_weight and self.mask_probability and int(len(image) * self.mask_probability) == 0:
            raise UserError(
                f'GKD: of a batch of {len(image)} the share mask_probability={self.mask_probability} is no whole image; use a larger '
                'batch_size (and drop_last=True in epochs), mask_probability=1, or mask_weight=0.'
            )

    @contextmanager
    def second_pass(self, student):
        """What is different in the student's second pass, whose taps ``forward`` gets as ``masked``: its patch embedding has a random mask."""
        path, index = self.place

        def hide(module, args, out):
            x = out if index is None else out[index]
            mask = random_patch_mask(len(x), x[0, ..., 0].numel(), self.mask_probability, self.mask_ratio, self.first_n, device=x.device)
            x = replace_masked(x, mask, self.mask_token)
            return x if index is None else tuple(x if i == index else y for i, y in enumerate(out))

        handle = student.get_submodule(path).register_forward_hook(hide)
        try:
            yield
        finally:
            handle.remove()

    # -- loss ------------------------------------------------------------------------------------------------------------
    def forward(self, student, teacher, batch, masked=None):
        self._check_grid(student[self.student].shape, teacher[self.teacher].shape)
        v_s, v_t = (x if x.dim() == 3 else map_to_tokens(x) for x in (student[self.student], teacher[self.teacher]))
        losses, cls = {}, ()
        if self.cls_weight or self.feat_includes_cls:
            c_s, c_t = (
                (own[tap] if tap else v.mean(1))[:, None]
                for own, tap, v in ((student, self.student_cls, v_s), (teacher, self.teacher_cls, v_t))
            )
            cls = self.qsd_cls(c_s, c_t), c_t.float()
        if self.feat_weight:
            losses['loss_feat'] = self.feat_weight * feature_loss(
                self.qsd_feat(v_s, v_t), v_t.float(), *(cls if self.feat_includes_cls else ())
            )
        if self.mask_weight:
            hidden = masked[self.student]
            losses['loss_mask'] = self.mask_weight * token_loss(
                self.qsd_mask(hidden if hidden.dim() == 3 else map_to_tokens(hidden), v_t), v_t
            )
        if self.cls_weight:
            losses['loss_cls'] = self.cls_weight * token_loss(*cls)
        return losses
