"""TransKD: a hierarchical vision transformer teaches a smaller one, by its stages' feature maps and by its patch embeddings.

Liu et al., "TransKD: Efficient Transformer Knowledge Distillation for Semantic Segmentation" (arXiv 2202.13393). The defaults are those of
the authors' code (RuipingL/TransKD, commit 39ab795); the paper's body was not at hand, so what only it could settle is marked as our
decision in docs/transkd.md. Throughout, i = 1..4 counts the stages, ``F_i [B, c_i, H_i, W_i]`` is a stage's output after its closing norm,
and ``E_i [B, H_i W_i, c_i]`` its patch embedding after the norm of the embedding, before the first block.
"""

import torch
import torch.nn.functional as F
from torch import nn

from ..distill.losses import cwd_loss, kl_loss
from ..distill.method import Method
from ..distill.taps import stages_of, student_input
from ..errors import UserError
from ..registry import METHODS
from ..schema import COUNT, FLAG, POSITIVE, WEIGHT, list_of, name_of


# -- feature maps ----------------------------------------------------------------------------------------------------------
class Selection(nn.Module):
    """Mixes two maps ``[B, mid, H, W]`` by weights per channel that sum to one, drawn from the mean of their sum (a selective kernel's
    gate).

    With ``legacy_batch1`` there are two squeezes, one for batches of one image and one for larger ones. Which of them a batch uses is not
    known before it comes, and may differ between processes, so the other one gets a gradient of zero rather than none.
    """

    def __init__(self, mid, squeezed, legacy_batch1=False):
        super().__init__()
        self.squeeze = nn.Sequential(nn.Conv2d(mid, squeezed, 1, bias=False), nn.BatchNorm2d(squeezed), nn.ReLU())
        self.single = nn.Sequential(nn.Conv2d(mid, squeezed, 1, bias=False), nn.ReLU()) if legacy_batch1 else None
        self.current, self.deeper = nn.Conv2d(squeezed, mid, 1), nn.Conv2d(squeezed, mid, 1)

    def forward(self, current, deeper):
        pooled = F.adaptive_avg_pool2d(current + deeper, 1)
        used, other = (self.single, self.squeeze) if self.single is not None and len(pooled) == 1 else (self.squeeze, self.single)
        gate = used(pooled)
        if other is not None:  # of the last batch of an epoch, or of another process: it stays in the graph, with a gradient of zero
            gate = gate + 0 * sum(p.sum() for p in other.parameters())
        share = torch.sigmoid(self.current(gate) - self.deeper(gate))  # softmax of two
        return share * current + (1 - share) * deeper


class CrossSelectiveFusion(nn.Module):
    """Student maps -> maps in teacher channels, each fused with what the deeper stages hold.

    Args:
        student_channels: of the student's stages, shallow to deep.
        teacher_channels: of the teacher's.
        mid_channels: width of the fusion.
        legacy_batch1: the authors' second squeeze, without batch norm, for batches of one image.

    Takes and returns a list of maps, shallow to deep. Raises UserError for a batch of one image in training mode, whose pooled map has no
    variance (unless ``legacy_batch1``).
    """

    def __init__(self, student_channels, teacher_channels, mid_channels=64, legacy_batch1=False):
        super().__init__()
        squeezed = max(mid_channels // 16, 32)
        self.legacy_batch1 = legacy_batch1
        self.reduce = nn.ModuleList(
            nn.Sequential(nn.Conv2d(c, mid_channels, 1, bias=False), nn.BatchNorm2d(mid_channels)) for c in student_channels
        )
        self.select = nn.ModuleList(Selection(mid_channels, squeezed, legacy_batch1) for _ in student_channels[1:])
        self.expand = nn.ModuleList(
            nn.Sequential(nn.Conv2d(mid_channels, c, 3, padding=1, bias=False), nn.BatchNorm2d(c)) for c in teacher_channels
        )
        for conv, _ in [*self.reduce, *self.expand]:
            nn.init.kaiming_uniform_(conv.weight, a=1)

    def forward(self, maps):
        if self.training and len(maps[0]) == 1 and not self.legacy_batch1 and isinstance(self.select[0].squeeze[1], nn.BatchNorm2d):
            raise UserError(
                'TransKD: a batch of one image has no variance for the batch norm of its fusion; use batch_size of 2 or more, SyncBN, or '
                'legacy_batch1=True.'
            )
        deeper, out = None, []
        for i in reversed(range(len(maps))):
            current = self.reduce[i](maps[i])
            if deeper is not None:
                current = self.select[i](current, F.interpolate(deeper, size=current.shape[-2:], mode='nearest'))
            deeper = current
            out.append(self.expand[i](current))
        return out[::-1]


def hierarchical_context_loss(student_maps, teacher_maps):
    """Sum over the stages of a weighted mean of squared differences: of the maps, and of both pooled to 4x4, 2x2 and 1x1 (levels below the
    map's height only).

    The weights halve from level to level and are divided by their sum. Chen et al., "Distilling Knowledge via Knowledge Review", CVPR 2021,
    as TransKD uses it.

    Args: lists of maps ``[B, C_i, H_i, W_i]``.
    """
    total = 0
    for student, teacher in zip(student_maps, teacher_maps, strict=False):
        student, teacher = student.float(), teacher.detach().float()
        loss, weight, weights = F.mse_loss(student, teacher), 1.0, 1.0
        for level in (level for level in (4, 2, 1) if level < student.shape[2]):
            weight /= 2
            loss = loss + weight * F.mse_loss(F.adaptive_avg_pool2d(student, level), F.adaptive_avg_pool2d(teacher, level))
            weights += weight
        total = total + loss / weights
    return total


FEATURE_LOSSES = dict(
    hcl=hierarchical_context_loss,
    cwd=lambda s, t, tau=1.0: sum(cwd_loss(a, b, tau) for a, b in zip(s, t, strict=False)),
    kl=lambda s, t, tau=1.0: sum(kl_loss(a, b, tau) for a, b in zip(s, t, strict=False)),
)


# -- patch embeddings ------------------------------------------------------------------------------------------------------
class PatchEmbeddingAlignment(nn.Module):
    """A linear layer a stage: tokens ``[B, N_i, c_i]`` -> ``[B, N_i, C_i]``."""

    def __init__(self, student_channels, teacher_channels):
        super().__init__()
        self.project = nn.ModuleList(nn.Linear(s, t) for s, t in zip(student_channels, teacher_channels, strict=False))

    def forward(self, tokens):
        return [project(x) for project, x in zip(self.project, tokens, strict=False)]


class GLMixer(nn.Module):
    """Global (self-attention) and local (a gated convolution along the row-major tokens) mixing of ``[B, N, C]``; same shape out.

    ``mix`` starts the two learnt weights: the authors leave theirs uninitialised, 0.5 each is our decision. ``add`` adds the input.
    """

    def __init__(self, channels, heads=8, mix=(0.5, 0.5), add=False):
        super().__init__()
        if channels % heads:
            raise UserError(f'TransKD: {channels} channels do not divide into {heads} heads; set heads.')
        self.heads, self.add = heads, add
        self.qkv, self.out = nn.Linear(channels, 3 * channels, bias=False), nn.Linear(channels, channels)
        self.local, self.gate = nn.Conv1d(channels, channels, 3, padding=1), nn.Conv1d(channels, channels, 3, padding=1)
        self.mix = nn.Parameter(torch.tensor(mix, dtype=torch.float32))

    def forward(self, x):
        b, n, c = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        glob = self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, c))
        line = x.transpose(1, 2)
        local = (self.local(line) * torch.sigmoid(self.gate(line))).transpose(1, 2)
        mixed = self.mix[0] * glob + self.mix[1] * local
        return mixed + x if self.add else mixed


class EmbeddingAssistant(nn.Module):
    """Patch embeddings in the teacher's widths, of the image and of the student's first three stages: ``[X_1 … X_4] -> [B, N_i, C_i]``,
    mixed with the aligned ones.

    ``mixed_i = v_i aligned_i + v_(i+4) own_i``; the eight learnt scalars start at ``share``, 0.1, 0.2 … 0.8 as in the authors' code.
    """

    def __init__(self, in_channels, teacher_channels, share=None):
        super().__init__()
        sizes = [(7, 4, 3)] + [(3, 2, 1)] * (len(teacher_channels) - 1)
        self.embed = nn.ModuleList(nn.Conv2d(c, t, k, s, p) for c, t, (k, s, p) in zip(in_channels, teacher_channels, sizes, strict=False))
        self.standardize = nn.ModuleList(nn.LayerNorm(t) for t in teacher_channels)
        count = 2 * len(teacher_channels)
        if share is not None and len(share) != count:
            raise UserError(
                f'TransKD: share has {len(share)} scalars; give {count}, of the aligned embeddings first, then of the assistant\'s.'
            )
        self.share = nn.Parameter(
            0.1 * torch.arange(1, count + 1, dtype=torch.float32) if share is None else torch.tensor(share, dtype=torch.float32)
        )
        for conv in self.embed:
            nn.init.normal_(conv.weight, std=(2 / (conv.out_channels * conv.kernel_size[0] ** 2)) ** 0.5)
            nn.init.zeros_(conv.bias)

    def tokens(self, sources):
        """The assistant's own embeddings of the image and of ``F_1 … F_3``."""
        return [ln(conv(x).flatten(2).transpose(1, 2)) for conv, ln, x in zip(self.embed, self.standardize, sources, strict=False)]

    def forward(self, aligned, sources):
        n = len(aligned)
        return [self.share[i] * x + self.share[i + n] * y for i, (x, y) in enumerate(zip(aligned, self.tokens(sources), strict=False))]


def patch_embedding_loss(student_tokens, teacher_tokens, weights=(0.1, 0.1, 0.5, 1.0)):
    """``sum_i weights_i * mean((student_i - teacher_i)^2)`` of tokens ``[B, N_i, C_i]``."""
    return sum(w * F.mse_loss(s.float(), t.detach().float()) for w, s, t in zip(weights, student_tokens, teacher_tokens, strict=False) if w)


# -- the method ------------------------------------------------------------------------------------------------------------
def find_taps(model, role='model'):
    """``(stage taps, embedding taps)`` of the hierarchical transformer inside ``model``; see ``vkd.distill.taps.stages_of``."""
    return stages_of(model, 'TransKD', role)


def as_tokens(x):
    """Tokens ``[B, N, C]`` of tokens, or of a map ``[B, H, W, C]`` as timm's and LVT's embeddings give it."""
    return x.flatten(1, 2) if x.dim() == 4 else x


@METHODS.register_module()
class TransKD(Method):
    """Feature maps through a cross-stage fusion, patch embeddings through a linear alignment; taps are found in the networks themselves.

    Args:
        variant: 'base'; 'gl', with a GLMixer before the deepest alignment; 'ea', with an EmbeddingAssistant beside all four.
        feature_loss: 'hcl', 'cwd' or 'kl', on the fused maps.
        feature_weight: its weight.
        tau: temperature of 'cwd' and 'kl'.
        embedding_weights: of the four stages.
        embedding_stage: only this one (1 to 4), with weight 1; 0 none; None all.
        mid_channels: see CrossSelectiveFusion.
        legacy_batch1: see CrossSelectiveFusion.
        heads: see GLMixer.
        mix: see GLMixer.
        add: see GLMixer.
        share: see EmbeddingAssistant.
        student_stages: four taps, for a student that ``find_taps`` does not know.
        student_embeddings: four taps of its patch embeddings.
        teacher_stages: four taps, for a teacher that ``find_taps`` does not know.
        teacher_embeddings: four taps of its patch embeddings.
        student_channels: four numbers; probed where not given, and compared where given.
        teacher_channels: the same of the teacher.

    Raises:
        UserError: for networks without four stages on equal grids, channels that contradict the network, images below 32 pixels, a batch of
            one image in training.
    """

    variants = ('base', 'gl', 'ea')
    rules = dict(
        variant=name_of(variants),
        feature_loss=name_of(FEATURE_LOSSES),
        feature_weight=WEIGHT,
        tau=POSITIVE,
        embedding_weights=list_of(WEIGHT),
        mid_channels=COUNT,
        legacy_batch1=FLAG,
        heads=COUNT,
        add=FLAG,
    )

    def __init__(
        self,
        variant='base',
        feature_loss='hcl',
        feature_weight=1.0,
        tau=1.0,
        embedding_weights=(0.1, 0.1, 0.5, 1.0),
        embedding_stage=None,
        mid_channels=64,
        legacy_batch1=False,
        heads=8,
        mix=(0.5, 0.5),
        add=False,
        share=None,
        student_stages=None,
        student_embeddings=None,
        teacher_stages=None,
        teacher_embeddings=None,
        student_channels=None,
        teacher_channels=None,
    ):
        super().__init__()
        self.keep(variant=variant, feature_loss=feature_loss, feature_weight=feature_weight, tau=tau)
        self.keep(mid_channels=mid_channels, legacy_batch1=legacy_batch1, heads=heads, mix=mix, add=add, share=share)
        self.keep(embedding_weights=embedding_weights)
        if len(embedding_weights) != 4:
            raise UserError(f'TransKD: {len(embedding_weights)} embedding_weights were given; give four, one a stage.')
        if embedding_stage is not None and embedding_stage not in range(5):
            raise UserError(f'TransKD: embedding_stage is {embedding_stage!r}; give 1 to 4, 0 for none, or None for all.')
        self.weights = tuple(embedding_weights) if embedding_stage is None else tuple(float(i + 1 == embedding_stage) for i in range(4))
        if not feature_weight and not any(self.weights):
            raise UserError('TransKD: feature_weight and the weights of all embeddings are 0, so nothing would be distilled; set one.')
        self.given = dict(
            student=(student_stages, student_embeddings, student_channels), teacher=(teacher_stages, teacher_embeddings, teacher_channels)
        )
        self.stages, self.embeddings = {}, {}

    def find_taps(self, student, teacher):
        """Fills in the taps; called once, before they are tried."""
        for role, model in (('student', student), ('teacher', teacher)):
            stages, embeddings, _ = self.given[role]
            if stages is None or embeddings is None:
                found = find_taps(model, role)
                stages, embeddings = stages or found[0], embeddings or found[1]
            if len(stages) != 4 or len(embeddings) != 4:
                raise UserError(
                    f'TransKD: {len(stages)} {role}_stages and {len(embeddings)} {role}_embeddings were given; four of each are needed.'
                )
            self.stages[role], self.embeddings[role] = list(stages), list(embeddings)
        self.student_taps, self.teacher_taps = (self.stages[r] + self.embeddings[r] for r in ('student', 'teacher'))

    def setup(self, student_shapes, teacher_shapes):
        channels = {}
        for role, shapes in (('student', student_shapes), ('teacher', teacher_shapes)):
            channels[role] = [shapes[t][1] for t in self.stages[role]]
            embedded = [shapes[t][-1] for t in self.embeddings[role]]
            if embedded != channels[role]:
                raise UserError(
                    f'TransKD: the {role} has stages of {channels[role]} channels and embeddings of {embedded}; they must agree: fix '
                    f'{role}_stages or {role}_embeddings.'
                )
            given = self.given[role][2]
            if given is not None and list(given) != channels[role]:
                raise UserError(
                    f'TransKD: {role}_channels are given as {list(given)}, but the network has {channels[role]}; leave them out.'
                )
        for i, (s, t) in enumerate(zip(self.stages['student'], self.stages['teacher'], strict=False)):
            self._check_grid(i, student_shapes[s][-2:], teacher_shapes[t][-2:])
        self.fusion = CrossSelectiveFusion(channels['student'], channels['teacher'], self.mid_channels, self.legacy_batch1)
        if any(self.weights):
            self.alignment = PatchEmbeddingAlignment(channels['student'], channels['teacher'])
            if self.variant == 'gl' and self.weights[3]:
                self.mixer = GLMixer(channels['student'][3], self.heads, self.mix, self.add)
            if self.variant == 'ea':
                self.assistant = EmbeddingAssistant([3, *channels['student'][:3]], channels['teacher'], self.share)

    @property
    def without_gradient(self):
        """What belongs to stages whose weight is 0."""
        parts = (
            ['alignment.project', *(['assistant.embed', 'assistant.standardize'] if self.variant == 'ea' else [])]
            if any(self.weights)
            else []
        )
        return [f'{part}.{i}.{p}' for part in parts for i, w in enumerate(self.weights) for p in ('weight', 'bias') if not w]

    @staticmethod
    def _check_grid(i, student, teacher):
        if tuple(student) != tuple(teacher):
            raise UserError(
                f'TransKD: at stage {i + 1} the student has a grid of {student[0]}x{student[1]} and the teacher of '
                f'{teacher[0]}x{teacher[1]}; both need the same image and strides.'
            )

    @staticmethod
    def check_image(image):
        """Called before the networks run. Raises UserError for less than 32 pixels."""
        if min(image.shape[-2:]) < 32:
            raise UserError(
                f'TransKD: images of {image.shape[-2]}x{image.shape[-1]} leave the fourth stage no pixel; use 32 pixels or more.'
            )

    def forward(self, student, teacher, batch):
        maps, theirs = [student[t] for t in self.stages['student']], [teacher[t] for t in self.stages['teacher']]
        for i, (s, t) in enumerate(zip(maps, theirs, strict=False)):
            self._check_grid(i, s.shape[-2:], t.shape[-2:])
        options = {} if self.feature_loss == 'hcl' else dict(tau=self.tau)
        losses = dict(loss_csf=self.feature_weight * FEATURE_LOSSES[self.feature_loss](self.fusion(maps), theirs, **options))
        if any(self.weights):
            tokens = [as_tokens(student[t]) for t in self.embeddings['student']]
            if self.variant == 'gl' and self.weights[3]:
                tokens[3] = self.mixer(tokens[3])
            aligned = self.alignment(tokens)
            if self.variant == 'ea':
                aligned = self.assistant(aligned, [student_input(batch['inputs']), *maps[:3]])
            losses['loss_pea'] = patch_embedding_loss(aligned, [as_tokens(teacher[t]) for t in self.embeddings['teacher']], self.weights)
        return losses
