"""The CLIP semantic head: any segmentation network's features into CLIP's image-text space, through the frozen end of CLIP's own image
encoder.

Chimera-Seg-style, reconstructed: of Chen et al., "Chimera-Seg" (arXiv 2506.22032) the abstract alone was at hand. It names a frozen part of
the visual encoder, its fixed projections and light trainable parts; which blocks, how many, what is trained and every constant is our
decision (docs/chimera_seg.md).
"""

import math

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import nn
from torchvision.ops import sigmoid_focal_loss

from ...errors import UserError
from ...io.files import sha256
from ...registry import MODELS
from ...text.embeddings import load_text_embeddings
from ...text.zero_shot import PAD_VALUE, Split, pseudo_labels, zero_shot_split
from ..clip import load_clip
from ..clip_embedding import ClipEmbedding


# -- semantic alignment ----------------------------------------------------------------------------------------------------
class TextSimilarity(nn.Module):
    """Unit vectors ``[B, D, h, w]`` -> class scores ``[B, K, h, w]``: the cosine to each row of the buffer ``text [K, D]``, over a
    temperature. float32 under autocast too.

    ``learn_scale``: the factor ``1 / tau`` is trained, at most 100.
    """

    def __init__(self, text, tau=0.07, learn_scale=False):
        super().__init__()
        self.register_buffer('text', text)
        self.log_scale = nn.Parameter(torch.tensor(-math.log(tau))) if learn_scale else -math.log(tau)

    def forward(self, x):
        if isinstance(self.log_scale, nn.Parameter):
            with torch.no_grad():  # a clamp of the output would have no gradient back
                self.log_scale.clamp_(max=math.log(100))
            scale = self.log_scale.exp()
        else:
            scale = math.exp(self.log_scale)
        with torch.autocast(x.device.type, enabled=False):
            return scale * torch.matmul(self.text, x.float().flatten(2)).unflatten(2, x.shape[-2:])


def mean_cross_entropy(logits, target):
    """Cross entropy of logits ``[B, K, H, W]``, mean over the places whose target is not 255, zero where all are. For semantic alignment
    the columns of seen classes alone, and a target that
    counts among them: unseen columns as negatives would teach that unseen classes never occur.
    """
    return F.cross_entropy(logits, target, ignore_index=255, reduction='sum') / (target != 255).sum().clamp(min=1)


def nel_loss(logits, target, focal_weight=100.0, dice_weight=1.0):
    """ZegCLIP's non-mutually-exclusive loss: sigmoid focal and dice of each class by itself, on logits ``[B, K, H, W]``; ``target`` in 0 ..
    K-1, 255 is ignored.

    Zhou et al., "ZegCLIP" (CVPR 2023): its weights; reductions are ours (focal: mean over valid places and classes; dice: mean over the
    classes that occur).
    """
    valid = (target != 255)[:, None]
    hot = F.one_hot(target.masked_fill(target == 255, 0), logits.shape[1]).movedim(-1, 1).to(logits.dtype) * valid
    focal = (sigmoid_focal_loss(logits, hot) * valid).sum() / (valid.sum() * logits.shape[1]).clamp(min=1)
    p = logits.sigmoid() * valid
    dice = 1 - (2 * (p * hot).sum((0, 2, 3)) + 1) / (p.pow(2).sum((0, 2, 3)) + hot.sum((0, 2, 3)) + 1)
    occurs = hot.sum((0, 2, 3)) > 0
    return focal_weight * focal + dice_weight * (dice * occurs).sum() / occurs.sum().clamp(min=1)


# -- the head --------------------------------------------------------------------------------------------------------------
@MODELS.register_module()
class ClipSemanticHead(BaseDecodeHead):
    """A decode head of mmseg whose classifier is text: ``inner`` head's features -> ``embed`` (adapter and frozen end of CLIP) -> cosine to
    the text embedding of each class.

    Taps: ``decode_head.embed`` gives the unit vectors, ``decode_head.conv_seg`` the class scores.

    Args:
        inner (dict): any mmseg decode head; its features before the classifier are taken.
        clip (dict): ``name`` of an open_clip CLIP, and ``checkpoint``, a local file; ``random=True`` for untrained weights (tests, and to
            show the machinery).
        text_embeddings: file of ``vkd cache-text``, in the order of the data set's classes, made with the same CLIP; None:
            a checkpoint brings the rows.
        num_classes: K, seen and unseen together.
        unseen: ids of the classes that have no label in training, or the name of a split (``vkd.datasets.zero_shot.SPLITS``); all others
            are seen.
        num_blocks: see ``FrozenViT``, ``FrozenResNet`` and ``ClipEmbedding``.
        attn_mode: see ``FrozenViT``, ``FrozenResNet`` and ``ClipEmbedding``.
        max_tokens: see ``FrozenViT``, ``FrozenResNet`` and ``ClipEmbedding``.
        test_tokens: see ``FrozenViT``, ``FrozenResNet`` and ``ClipEmbedding``.
        tau: see ``TextSimilarity``.
        learn_scale: see ``TextSimilarity``.
        sam_weight: weight of the cross entropy over the seen classes.
        nel_weight: weight of ``nel_loss``; 0 turns it off.
        seen_bias: taken from the scores of seen classes in prediction. ZegCLIP takes 0.1 of sigmoid scores; these are cosines over
            ``tau``.
        self_training: transductive second phase: ignored places learn the best of the unseen classes as the network itself sees it
            (``pseudo_labels``), and all columns compete. Padding must not be 255 then, but ``pad_index``.

    Raises:
        UserError: for an unseen label in training (on a GPU, where looking would wait for the device, an assertion on it), a text file of
            other classes or of another CLIP, a wrong split.
    """

    def __init__(
        self,
        inner,
        num_classes,
        clip,
        text_embeddings=None,
        unseen=(),
        num_blocks=1,
        attn_mode='full',
        max_tokens=4096,
        test_tokens=None,
        tau=0.07,
        learn_scale=False,
        sam_weight=1.0,
        nel_weight=0.0,
        seen_bias=0.0,
        self_training=False,
        pad_index=PAD_VALUE,
        align_corners=False,
        ignore_index=255,
    ):
        in_channels = inner['in_channels']  # the built head may have summed them
        inner = MODELS.build(dict(inner, num_classes=num_classes))
        super().__init__(
            in_channels,
            inner.channels,
            num_classes=num_classes,
            in_index=inner.in_index,
            input_transform=inner.input_transform,
            dropout_ratio=0,
            align_corners=align_corners,
            # that loss is not used
            ignore_index=ignore_index,
            init_cfg=None,
            loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
        )
        inner.conv_seg, inner.dropout = nn.Identity(), None
        self.inner = inner
        clip = dict(clip)
        self.clip_name = name = clip.pop('name')
        self.embed = ClipEmbedding(load_clip(name, **clip).visual, inner.channels, num_blocks, attn_mode, max_tokens, test_tokens)
        known = load_text_embeddings(text_embeddings, clip=name, width=self.embed.out_channels) if text_embeddings else None
        if known and len(known.classes) != num_classes:
            raise UserError(
                f'Text embeddings {str(text_embeddings)!r} are of {len(known.classes)} classes, the head has {num_classes}; make them from '
                'the classes of the data set.'
            )
        self.classes, self.synthetic = None, False
        if known:
            self._note_text(known, text_embeddings)
            if known.checkpoint_sha256 and clip.get('checkpoint') and sha256(clip['checkpoint']) != known.checkpoint_sha256:
                raise UserError(
                    f'Text embeddings {str(text_embeddings)!r} were made with other weights of {name} than {str(clip["checkpoint"])!r}; '
                    'make them again with these.'
                )
            if isinstance(unseen, str) and known.classes != tuple(zero_shot_split(unseen).classes):
                raise UserError(
                    f'Text embeddings {str(text_embeddings)!r} are of other classes, or in another order, than the split {unseen!r}; make '
                    f'them with --classes {unseen}.'
                )
        self.conv_seg = TextSimilarity(
            known.embeddings.clone() if known else torch.zeros(num_classes, self.embed.out_channels), tau, learn_scale
        )
        self.sam_weight, self.nel_weight, self.seen_bias, self.self_training, self.pad_index = (
            sam_weight,
            nel_weight,
            seen_bias,
            self_training,
            pad_index,
        )
        self.set_split(zero_shot_split(unseen).unseen if isinstance(unseen, str) else unseen)
        if not len(self.seen) or self_training and not len(self.unseen):
            raise UserError(
                f'ClipSemanticHead: of {num_classes} classes {len(self.unseen)} are unseen; leave one to learn, and one to be found where '
                'self_training is on.'
            )
        self._named, self._file_rows = bool(text_embeddings), known and known.embeddings
        self._clip_state = {k: v.clone() for k, v in self.embed.frozen.state_dict().items()}
        self.register_load_state_dict_post_hook(lambda module, keys: module._after_load())

    def _note_text(self, text, path=''):
        self.classes, self.synthetic = text.classes, text.synthetic
        if text.synthetic:
            print_log(
                f'The text embeddings {str(path)!r} are synthetic: random rows by which no unseen class can be told.',
                logger='current',
                level=30,
            )

    def _after_load(self):
        """What was loaded counts: nothing is put back over it, and rows of a file that it replaced are told of."""
        self._clip_state = None
        if self._file_rows is not None and not torch.equal(self._file_rows, self.conv_seg.text.cpu()):
            raise UserError(
                'ClipSemanticHead: the checkpoint holds other rows of text than the file that text_embeddings names; name the file of the '
                'run (or None, which takes the checkpoint\'s), '
                'and give other classes by vkd test --text-embeddings.'
            )

    def set_split(self, unseen):
        """Which classes are ``unseen``: ids; all others are seen."""
        split = Split(map(str, range(self.num_classes)), unseen)
        for name, value in dict(seen=split.seen, unseen=split.unseen).items():
            self.register_buffer(name, torch.tensor(value, dtype=torch.long, device=self.conv_seg.text.device), persistent=False)
        self.register_buffer('target_of', self._targets().to(self.conv_seg.text.device), persistent=False)

    def _targets(self):
        """``[256]``: what each value of a label map means, a position among the seen classes, 255 (ignored) or -1 (a leak)."""
        table = torch.full((256,), -1)
        there = self.seen[self.seen < 256].cpu()  # more classes can be asked for than a label map can hold
        table[there] = torch.arange(len(there))
        table[self.ignore_index] = 255
        if self.self_training:
            table[self.pad_index] = 255
        return table

    def init_weights(self):
        super().init_weights()
        if self._clip_state:  # an init_cfg further up may have drawn all Linear and Conv2d anew
            self.embed.frozen.load_state_dict(self._clip_state)
            self._clip_state = None

    @staticmethod
    def without_files(cfg):
        """The config of this head for use with its checkpoint, without the files that it was built from: the checkpoint holds what they
        gave.
        """
        return dict(cfg, text_embeddings=None, clip=dict(name=cfg['clip']['name'], random=True))

    def forward(self, inputs):
        return self.conv_seg(self.embed(self.inner(inputs)))

    def loss_by_feat(self, seg_logits, batch_data_samples):
        self._check_named()
        label = self._stack_batch_gt(batch_data_samples).squeeze(1).long()
        target = self.target(label)
        full = self._resized(seg_logits, label) if self.self_training else None
        # once: these are the largest maps of all
        logits = self._resized(seg_logits[:, self.seen], label) if full is None else full[:, self.seen]
        valid = target != 255
        out = dict(acc_seg=100 * ((logits.detach().argmax(1) == target) & valid).sum() / valid.sum().clamp(min=1))
        if self.nel_weight:
            out['loss_nel'] = self.nel_weight * nel_loss(logits, target)
        if self.self_training:
            logits, target = full, pseudo_labels(label, full, self.unseen, self.ignore_index, self.pad_index)
        out['loss_sam'] = self.sam_weight * mean_cross_entropy(logits, target)
        return out

    def _resized(self, logits, label):
        return F.interpolate(logits, size=label.shape[-2:], mode='bilinear', align_corners=self.align_corners)

    def _check_named(self):
        """Raises UserError where neither a file nor a checkpoint has brought text; looked at once, since looking waits for the device."""
        if not self._named and not bool(self.conv_seg.text.any()):
            raise UserError(
                'ClipSemanticHead: text_embeddings=None, and no checkpoint has brought the rows of the classes; give a file of '
                'vkd cache-text.'
            )
        self._named = True

    def target(self, label):
        """Labels ``[B, H, W]`` -> positions among the seen classes, 255 where ignored (or padded, in self-training). Raises UserError for
        an unseen class.
        """
        target = self.target_of[label]
        leaked = target == -1
        told = 'unseen classes, or ids of no class, are among the training labels'
        if label.device.type == 'cpu':
            if leaked.any():
                found = sorted(set(label[leaked].tolist()))
                raise UserError(
                    f'ClipSemanticHead: {told}: {", ".join(map(str, found[:8]))} of {self.num_classes} classes; put '
                    f'MaskUnseenLabels(unseen={self.unseen.tolist()}) behind the loading of labels.'
                )
        else:
            torch._assert_async(~leaked.any(), f'ClipSemanticHead: {told}; put MaskUnseenLabels behind the loading of labels')
        return target

    def predict_by_feat(self, seg_logits, batch_img_metas):
        self._check_named()
        return super().predict_by_feat(self.biased(seg_logits), batch_img_metas)

    def biased(self, logits):
        """``logits [B, K, h, w]`` less ``seen_bias`` at the seen classes."""
        if not self.seen_bias:
            return logits
        return (
            logits
            - torch.zeros(logits.shape[1], device=logits.device, dtype=logits.dtype).index_fill(0, self.seen, self.seen_bias)[:, None, None]
        )


def set_text(segmentor, embeddings, unseen=()):
    """Gives a segmentor's ``ClipSemanticHead`` other classes: ``embeddings``, a ``TextEmbeddings`` of the same CLIP; nothing is trained
    again. ``unseen``: names that ``seen_bias`` spares.

    Raises:
        UserError: for a segmentor without such a head, or embeddings of another width or another CLIP.
    """
    head = getattr(segmentor, 'decode_head', None)
    if not isinstance(head, ClipSemanticHead):
        raise UserError(
            f'{type(segmentor).__name__} has no ClipSemanticHead, so text cannot name its classes; give a config of configs/chimeraseg.'
        )
    rows = embeddings.embeddings
    if rows.shape[1] != head.embed.out_channels:
        raise UserError(
            f'The text embeddings are {rows.shape[1]} wide, this CLIP {head.embed.out_channels}; make them with the CLIP of the head.'
        )
    if not embeddings.synthetic and embeddings.clip != head.clip_name:
        raise UserError(
            f'The text embeddings are of CLIP {embeddings.clip!r}, the head of {head.clip_name!r}: their spaces differ; make them with '
            f'--clip {head.clip_name}.'
        )
    head.conv_seg.text, head._file_rows, head._named = rows.to(head.conv_seg.text), None, True
    head._note_text(embeddings)
    head.num_classes = head.out_channels = len(rows)
    segmentor.num_classes = segmentor.out_channels = len(rows)
    head.set_split([i for i, name in enumerate(embeddings.classes) if name in unseen])
