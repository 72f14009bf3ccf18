"""Plain vision transformers of timm as a backbone: tokens to distil, maps to segment, checkpoints of the official releases at other patch
and image sizes.
"""

import sys

import timm
import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from mmengine.model import BaseModule
from timm.layers import resample_abs_pos_embed, resample_patch_embed
from torch import nn
from torch.utils.checkpoint import checkpoint

from ...build.checkpoint import load_weights
from ...distill.align import replace_masked
from ...errors import UserError, choice, nearest
from ...registry import MODELS

#: strides of the four maps that a segmentation head gets, over the patch size
PYRAMID = (4, 2, 1, 0.5)


def resize_positions(positions, old, new, prefix, resample='bicubic', offset=0.0):
    """Position embeddings ``[1, prefix + h w, C]`` of a grid ``old = (h, w)`` on the grid ``new``; those of the ``prefix`` tokens are kept.

    ``resample='bicubic'``: plain bicubic, without smoothing where the grid shrinks; 'timm': with it. ``offset``: added to the new sides in
    the bicubic factor, so that place i is read at ``(i + 1/2) old / (new + offset) - 1/2``; DINO and DINOv2 have 0.1 there.
    """
    if tuple(old) == tuple(new):
        return positions
    if resample == 'timm':
        return resample_abs_pos_embed(positions, new_size=list(new), old_size=list(old), num_prefix_tokens=prefix)
    kept, grid = positions[:, :prefix], positions[:, prefix:]
    grid = grid.float().view(1, *old, -1).permute(0, 3, 1, 2)
    factor = dict(scale_factor=[(n + offset) / o for n, o in zip(new, old, strict=True)]) if offset else dict(size=tuple(new))
    grid = F.interpolate(grid, **factor, mode='bicubic', align_corners=False).flatten(2).transpose(1, 2)
    return torch.cat([kept, grid.to(positions.dtype)], 1)


def resize_kernel(kernel, size, resample='bicubic'):
    """The kernel ``[C, 3, p, p]`` of a patch embedding at another patch ``size``.

    'bicubic' resizes it as a picture, so that its answer to a constant image grows with the area (14 to 16: 256/196); 'timm' keeps the
    answers to resized images (Beyer et al., "FlexiViT", CVPR 2023, a pseudo-inverse). The two give different networks.
    """
    if tuple(kernel.shape[-2:]) == tuple(size):
        return kernel
    if resample == 'timm':
        return resample_patch_embed(kernel, list(size))
    return F.interpolate(kernel.float(), size=tuple(size), mode='bicubic', align_corners=False).to(kernel.dtype)


class Readout(nn.Identity):
    """A place where tokens can be tapped; ``when_tapped`` is called once something is to read it, which is what ``TapReader`` does."""

    def __init__(self, when_tapped):
        super().__init__()
        self.when_tapped = when_tapped


@MODELS.register_module()
class TimmViT(BaseModule):
    """A plain ViT of timm (``vit_*``, ``deit_*``, DINO, DINOv2 with and without registers, CLIP's image tower, ``eva02_*``).

    Without ``out_indices`` it gives ``(cls [B, C], patches [B, N, C])`` after the final norm; with them, maps ``[B, C, H/p, W/p]`` of those
    blocks' patch tokens, before the norm. The tokens after the final norm can always be tapped as ``cls`` and ``patches``; blocks and a
    norm that neither a map nor a tap needs are not run, and do not learn. An image of another size than ``img_size`` has its positions
    resampled on the way.

    Args:
        arch (str): name of a timm model.
        img_size (int | tuple): that the position embeddings are for.
        patch_size (int, optional): another than the model's own.
        out_indices (tuple, optional): 0-based blocks whose maps are given.
        out_norm: after the final norm.
        pyramid: resize four maps bilinearly to strides p/4, p/2, p and 2p.
        tokens: without effect; older configs asked by it for what a tap of ``cls`` or ``patches`` brings by itself.
        frozen: no gradients, always in eval mode, and its output carries no graph.
        options: more for timm's constructor, such as ``dict(init_values=1.0)``, a LayerScale that starts as the identity.
        resample: 'bicubic', or 'timm' (see ``resize_positions`` and ``resize_kernel``); teacher and student should have the same.
        interpolate_offset: ``offset`` of ``resize_positions``, for 'bicubic'; 0.1 is what DINO's and DINOv2's own code has.
        init_cfg: ``dict(type='Pretrained', checkpoint=path)``: a local file of an official release, of timm, or of a run of vkd. Keys are
            converted by timm, a distillation token is dropped, and patch and position embeddings are resampled; the share of matched
            tensors is logged.

    Raises:
        UserError: for an unknown model, one without class token, an image that its patches do not fill, a checkpoint that fits less than 99
            % of its tensors, or lacks an embedding.
    """

    def __init__(
        self,
        arch,
        img_size=224,
        patch_size=None,
        out_indices=None,
        out_norm=False,
        pyramid=False,
        tokens=False,
        frozen=False,
        resample='bicubic',
        interpolate_offset=0.0,
        drop_path_rate=0.0,
        with_cp=False,
        options=None,
        init_cfg=None,
    ):
        super().__init__(init_cfg)
        if not timm.is_model(arch):
            raise UserError(
                f'TimmViT: arch {arch!r} is no model of timm; '
                f'{nearest(arch, timm.list_models("*vit*") + timm.list_models("deit*") + timm.list_models("eva02*"))}.'
            )
        choice('TimmViT', 'resample', resample, ('bicubic', 'timm'))
        if not 0 <= interpolate_offset < 1 or (interpolate_offset and resample != 'bicubic'):
            raise UserError(
                f'TimmViT: interpolate_offset is {interpolate_offset} with resample {resample!r}; give a share of a place from 0 to below 1, '
                "and resample='bicubic'."
            )
        self.arch, self.options = arch, {**(options or {}), **({} if patch_size is None else dict(patch_size=patch_size))}
        try:
            self.vit = self._create(img_size=img_size, drop_path_rate=drop_path_rate)
        except (TypeError, AssertionError) as error:  # timm's words for options that a network lacks
            raise UserError(
                f'TimmViT: {arch!r} is no plain vision transformer with a class token ({error}); choose one such as deit_small_patch16_224.'
            ) from error
        if getattr(self.vit, 'cls_token', None) is None or not hasattr(self.vit, 'blocks') or getattr(self.vit, 'rope_mixed', False):
            raise UserError(f'TimmViT: {arch!r} has no class token, or no plain blocks; choose a model such as deit_small_patch16_224.')
        if getattr(self.vit, 'dist_token', None) is not None:
            raise UserError(
                f'TimmViT: {arch!r} has a distillation token; choose its twin without one ({arch.replace("_distilled", "")}), into which a '
                'checkpoint of it loads too.'
            )
        sides = list(zip(self.vit.patch_embed.img_size, self.vit.patch_embed.patch_size, strict=False))
        if any(n % p for n, p in sides):
            raise UserError(
                f'TimmViT: img_size {"x".join(str(n) for n, _ in sides)} is not filled by patches of {"x".join(str(p) for _, p in sides)}; '
                'choose a multiple.'
            )
        self.out_indices = None if out_indices is None else tuple(out_indices)
        if self.out_indices is not None and not all(0 <= i < len(self.vit.blocks) for i in self.out_indices):
            raise UserError(f'TimmViT: out_indices are {self.out_indices}, but {arch!r} has blocks 0 to {len(self.vit.blocks) - 1}.')
        if pyramid and len(self.out_indices or ()) != len(PYRAMID):
            raise UserError(f'TimmViT: a pyramid needs four out_indices, but they are {self.out_indices}; name four blocks.')
        self.out_norm, self.pyramid, self.frozen, self.resample, self.with_cp = out_norm, pyramid, frozen, resample, with_cp
        self.interpolate_offset = interpolate_offset
        self.to_the_end = self.out_indices is None  # or something taps what the end gives
        self.cls, self.patches = Readout(self._run_to_the_end), Readout(self._run_to_the_end)
        self.report = self.cache = None  # the latter is set by a FeatureCache while it trains
        if frozen:
            self.requires_grad_(False)
        elif not self.to_the_end:
            self._unread().requires_grad_(False)

    def _unread(self):
        """The blocks, and the norm, that no map needs."""
        return nn.ModuleList([*self.vit.blocks[max(self.out_indices) + 1 :], *([] if self.out_norm else [self.vit.norm])])

    def _run_to_the_end(self):
        """From now on the tokens after the final norm are computed, and learn if the encoder does."""
        if not self.to_the_end:
            self.to_the_end = True
            if not self.frozen and self.vit.patch_embed.proj.weight.requires_grad:  # not an encoder that its role froze
                self._unread().requires_grad_(True)

    def _create(self, **more):
        return timm.create_model(
            self.arch, pretrained=False, **{**dict(num_classes=0, global_pool='token', dynamic_img_size=True), **self.options, **more}
        )

    # -- weights ---------------------------------------------------------------------------------------------------------
    def init_weights(self):
        """timm's own initialisation was drawn when the model was built; only a checkpoint is left to load."""
        if self.init_cfg and self.init_cfg.get('checkpoint'):
            self.load(self.init_cfg['checkpoint'], unsafe=self.init_cfg.get('unsafe_pickle', False))
        self._is_init = True

    def load(self, name, unsafe=False):
        """Loads the encoder out of checkpoint ``name`` and returns ``dict(checkpoint, matched, total, share, missing)``. Raises UserError
        under 99 %.
        """
        found, own = self._converted(load_weights(name, unsafe)), self.vit.state_dict()
        fits = {k: v for k, v in found.items() if k in own and own[k].shape == v.shape}
        missing = sorted(set(own) - set(fits))
        self.report = dict(checkpoint=str(name), matched=len(fits), total=len(own), share=len(fits) / len(own), missing=missing)
        # of many tensors one alone may matter
        if self.report['share'] < 0.99 or any(k.startswith(('patch_embed.', 'pos_embed', 'cls_token')) for k in missing):
            missing.sort(key=lambda k: k.startswith('blocks.'))
            why = (
                f'has shape {tuple(found[missing[0]].shape)} for {tuple(own[missing[0]].shape)}' if missing[0] in found else 'is not in it'
            )
            raise UserError(
                f'Checkpoint {str(name)!r} fits {len(fits)} of {len(own)} tensors ({self.report["share"]:.0%}) of {self.arch}, for example '
                f'{missing[0]!r} {why}; '
                'give a checkpoint of this encoder (of a stage that distilled into it, or of its release).',
                code='partial-checkpoint',
            )
        self.vit.load_state_dict(fits, strict=False)
        print_log(
            f'{self.arch}: {len(fits)} of {len(own)} tensors ({self.report["share"]:.0%}) from {name}'
            + (f', without {", ".join(missing)}' if missing else ''),
            logger='current',
        )
        return self.report

    def _converted(self, state):
        """``{name in self.vit: tensor}`` of a checkpoint: keys of the student, of a backbone, or of a release; resampled to this patch and
        grid.
        """
        for prefix in ('student.', 'module.', 'backbone.', 'vit.'):
            if any(k.startswith(prefix) for k in state):
                state = {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}
        kernel = next((v for k, v in state.items() if k.endswith(('patch_embed.proj.weight', 'conv1.weight')) and v.dim() == 4), None)
        key = next((k for k in state if k.endswith(('pos_embed', 'positional_embedding')) and not k.startswith('transformer.')), None)
        if kernel is None:
            return {}
        own_kernel = self.vit.patch_embed.proj.weight
        prefix = 0 if self.vit.no_embed_class else self.vit.num_prefix_tokens
        grid = None
        if key is not None:
            tokens = state[key].shape[-2]
            # releases of DINOv2 give their registers no position, but one to the class token
            spent = prefix or int('register_tokens' in state or 'mask_token' in state)
            if 'dist_token' in state:  # its position is the second
                position = state[key]
                state = {
                    **{k: v for k, v in state.items() if k != 'dist_token' and not k.startswith('head_dist.')},
                    key: torch.cat([position[..., :1, :], position[..., 2:, :]], -2),
                }
                tokens -= 1
            side = round((tokens - spent) ** 0.5)
            own_grid = self.vit.patch_embed.grid_size
            grid = own_grid if tokens - spent == own_grid[0] * own_grid[1] else (side, side)
            if grid[0] * grid[1] != tokens - spent:
                return {}
        # timm's conversion resamples too; against a model of the checkpoint's own sizes it converts names alone (meta: no memory)
        sizes = dict(patch_size=kernel.shape[-1], **({} if grid is None else dict(img_size=tuple(n * kernel.shape[-1] for n in grid))))
        with torch.device('meta'):
            twin = self._create(**{'img_size': 224, **sizes})
        state = sys.modules[type(self.vit).__module__].checkpoint_filter_fn(dict(state), twin)
        if 'norm.weight' not in state and 'fc_norm.weight' in state:
            state = {k.replace('fc_norm.', 'norm.'): v for k, v in state.items()}
        if 'patch_embed.proj.weight' in state:
            state['patch_embed.proj.weight'] = resize_kernel(state['patch_embed.proj.weight'], own_kernel.shape[-2:], self.resample)
        if grid is not None and state.get('pos_embed') is not None:
            state['pos_embed'] = self._positions(state['pos_embed'], grid, self.vit.patch_embed.grid_size, prefix)
        return state

    def _positions(self, positions, old, new, prefix):
        return resize_positions(positions, old, new, prefix, self.resample, self.interpolate_offset)

    # -- running ---------------------------------------------------------------------------------------------------------
    def train(self, mode=True):
        super().train(mode and not self.frozen)
        if self.frozen:
            self.requires_grad_(False)
        return self

    def _embed(self, x, mask, mask_token):
        """``(tokens with positions [B, prefix + N, C], rotary embedding or None, (h, w))``."""
        vit, size = self.vit, self.vit.patch_embed.patch_size
        if x.shape[-2] % size[0] or x.shape[-1] % size[1]:
            raise UserError(
                f'{self.arch}: patches of {size[0]}x{size[1]} do not fill an image of {x.shape[-2]}x{x.shape[-1]}; choose a crop or '
                'size_divisor (and a probe_shape of the Distiller) that they divide.'
            )
        x = vit.patch_embed(x)
        if mask is not None:
            x = replace_masked(x, mask, x.new_zeros(x.shape[-1]) if mask_token is None else mask_token)
        grid = x.shape[1:3]
        prefix = [t.expand(x.shape[0], -1, -1) for t in (vit.cls_token, getattr(vit, 'reg_token', None)) if t is not None]
        x = x.flatten(1, 2)
        if vit.pos_embed is None:
            x = torch.cat([*prefix, x], 1)
        elif vit.no_embed_class:
            x = torch.cat([*prefix, x + self._positions(vit.pos_embed, vit.patch_embed.grid_size, grid, 0)], 1)
        else:
            x = torch.cat([*prefix, x], 1) + self._positions(vit.pos_embed, vit.patch_embed.grid_size, grid, vit.num_prefix_tokens)
        rope = getattr(vit, 'rope', None)
        return vit.norm_pre(vit.pos_drop(x)), None if rope is None else rope.get_embed(shape=tuple(grid)), grid

    def _run(self, x, indices, mask=None, mask_token=None, to_the_end=True):
        """``(outputs of the blocks ``indices``, output of the last block or None, (h, w))``; tokens with their prefix, before the final
        norm.
        """
        x, rope, grid = self._embed(x, mask, mask_token)
        seen, depth = {}, len(self.vit.blocks) if to_the_end else max(indices) + 1
        for i, block in enumerate(self.vit.blocks[:depth]):
            args = {} if rope is None else dict(rope=rope)
            x = (
                checkpoint(block, x, use_reentrant=False, **args)
                if self.with_cp and self.training and torch.is_grad_enabled()
                else block(x, **args)
            )
            if i in indices:
                seen[i] = x
        return [seen[i] for i in indices], x if to_the_end else None, grid

    def _final(self, x):
        x = self.vit.norm(x)
        return self.cls(x[:, 0]), self.patches(x[:, self.vit.num_prefix_tokens :])

    def forward_tokens(self, x, mask=None, mask_token=None):
        """``(cls [B, C], patches [B, N, C])`` of images ``[B, 3, H, W]``, after the final norm.

        ``mask [B, N]``: True where the patch embedding is replaced by ``mask_token [C]`` (zeros by default), before positions are added.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            return self._final(self._run(x, (), mask, mask_token)[1])

    def forward(self, x):
        if self.out_indices is None:
            return self.forward_tokens(x)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            maps = self._maps(x) if self.cache is None else self.cache.maps(x, self._maps)
            if self.pyramid:
                maps = [
                    y if scale == 1 else F.interpolate(y, scale_factor=scale, mode='bilinear', align_corners=False)
                    for y, scale in zip(maps, PYRAMID, strict=False)
                ]
        return tuple(maps)

    def _maps(self, x):
        """Maps ``[B, C, H/p, W/p]`` of ``out_indices``."""
        outs, last, grid = self._run(x, self.out_indices, to_the_end=self.to_the_end)
        if self.to_the_end:
            self._final(last)
        outs = [self.vit.norm(y) if self.out_norm else y for y in outs]
        return [y[:, self.vit.num_prefix_tokens :].transpose(1, 2).reshape(y.shape[0], -1, *grid) for y in outs]
