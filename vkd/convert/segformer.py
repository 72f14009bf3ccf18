"""Names and layouts of other projects' weights, to mmseg's and back."""

import re

import torch

from ..errors import UserError

#: official SegFormer-style name -> mmseg's, of what only changes its name; {i} counts the stages from 1 there and from 0 here
_BACKBONE = [
    (r'patch_embed{i}.proj.', 'layers.{k}.0.projection.'),
    (r'patch_embed{i}.norm.', 'layers.{k}.0.norm.'),
    (r'norm{i}.', 'layers.{k}.2.'),
]
_BLOCK = {
    'norm1.': 'norm1.',
    'norm2.': 'norm2.',
    'attn.proj.': 'attn.attn.out_proj.',
    'attn.sr.': 'attn.sr.',
    'attn.norm.': 'attn.norm.',
    'mlp.fc1.': 'ffn.layers.0.',
    'mlp.dwconv.dwconv.': 'ffn.layers.1.',
    'mlp.fc2.': 'ffn.layers.4.',
}
_AS_CONV = ('ffn.layers.0.weight', 'ffn.layers.4.weight')  # linear there, 1x1 convolution here


def _reversed_blocks(weight):
    """The four blocks of input channels of the fusing convolution, in the other order."""
    return torch.cat(weight.chunk(4, dim=1)[::-1], dim=1)


def segformer_to_mmseg(state):
    """State dict of an official SegFormer-style segmentor (``backbone.`` optional, ``decode_head.``) -> that of mmseg's EncoderDecoder with
    MixVisionTransformer and LinearSegformerHead.

    Queries, keys and values are joined; linear layers of the feed-forward part and of the decoder become 1x1 convolutions; the decoder
    concatenates stages 4 to 1 there and 1 to 4 here. A prefix ``module.`` is dropped, and so are the tensors that official files hold and
    no forward pass uses: ``head.*`` of ImageNet, and ``decode_head.conv_seg.*`` beside ``linear_pred``. Raises UserError for a tensor that
    has no place.
    """
    out, joined = {}, {}
    predicts = any('linear_pred' in key for key in state)
    for key, value in state.items():
        name = key.removeprefix('module.')
        if name.startswith('head.') or predicts and name.startswith('decode_head.conv_seg.'):
            continue
        plain = name.removeprefix('backbone.').removeprefix('encoder.')
        block = re.match(r'block(\d)\.(\d+)\.(.+)', plain)
        if name.startswith('decode_head.'):
            target, value = _decoder_to_mmseg(name.removeprefix('decode_head.'), value, key)
            out[f'decode_head.{target}'] = value
        elif block:
            stage, index, rest = int(block[1]) - 1, block[2], block[3]
            base = f'backbone.layers.{stage}.1.{index}.'
            part = re.match(r'attn\.(q|kv)\.(weight|bias)', rest)
            if part:
                joined.setdefault(f'{base}attn.attn.in_proj_{part[2]}', {})[part[1]] = value
                continue
            found = next((rest.replace(a, b, 1) for a, b in _BLOCK.items() if rest.startswith(a)), None)
            if found is None:
                raise _unknown(key)
            out[base + found] = value[:, :, None, None] if found in _AS_CONV else value
        else:
            for theirs, ours in _BACKBONE:
                found = re.match('^' + re.escape(theirs).replace(r'\{i\}', r'(\d)') + r'(\w+)$', plain)
                if found:
                    out['backbone.' + ours.format(k=int(found[1]) - 1) + found[2]] = value
                    break
            else:
                raise _unknown(key)
    for name, parts in joined.items():
        if set(parts) != {'q', 'kv'}:
            raise UserError(f'Weights of {name!r} are not whole: only {sorted(parts)} of q and kv is there; convert the whole checkpoint.')
        out[name] = torch.cat([parts['q'], parts['kv']])
    return out


def _unknown(key):
    return UserError(f'Tensor {key!r} has no place in an mmseg SegFormer; is this a SegFormer-style checkpoint?')


def _decoder_to_mmseg(name, value, key):
    found = re.match(r'linear_c(\d)\.proj\.(weight|bias)', name)
    if found:
        return f'convs.{int(found[1]) - 1}.conv.{found[2]}', value[:, :, None, None] if value.dim() == 2 else value
    if name == 'linear_fuse.conv.weight':
        return 'fusion_conv.conv.weight', _reversed_blocks(value)
    for theirs, ours in (('linear_fuse.bn.', 'fusion_conv.bn.'), ('linear_pred.', 'conv_seg.')):
        if name.startswith(theirs):
            return name.replace(theirs, ours, 1), value
    raise _unknown(key)


def mmseg_to_segformer(state):
    """The inverse of ``segformer_to_mmseg``: mmseg's names -> the official ones, with ``backbone.`` and ``decode_head.`` in front."""
    out = {}
    for key, value in state.items():
        if key.startswith('decode_head.'):
            name = key.removeprefix('decode_head.')
            found = re.match(r'convs\.(\d)\.conv\.(weight|bias)', name)
            if found:
                name, value = f'linear_c{int(found[1]) + 1}.proj.{found[2]}', value.flatten(1) if found[2] == 'weight' else value
            elif name == 'fusion_conv.conv.weight':
                name, value = 'linear_fuse.conv.weight', _reversed_blocks(value)
            elif name.startswith(('fusion_conv.bn.', 'conv_seg.')):
                name = name.replace('fusion_conv.bn.', 'linear_fuse.bn.').replace('conv_seg.', 'linear_pred.')
            else:
                raise UserError(f'Tensor {key!r} has no counterpart in the official decoder; use LinearSegformerHead.')
            out[f'decode_head.{name}'] = value
            continue
        found = re.match(r'backbone\.layers\.(\d)\.(\d)\.(.+)', key)
        if not found:
            raise UserError(f'Tensor {key!r} is of no MixVisionTransformer; give a segmentor with that backbone.')
        stage, part, rest = int(found[1]) + 1, found[2], found[3]
        if part == '0':
            out[f'backbone.patch_embed{stage}.{rest.replace("projection.", "proj.")}'] = value
        elif part == '2':
            out[f'backbone.norm{stage}.{rest}'] = value
        else:
            index, rest = rest.split('.', 1)
            base = f'backbone.block{stage}.{index}.'
            if rest.startswith('attn.attn.in_proj_'):
                kind, width = rest.removeprefix('attn.attn.in_proj_'), value.shape[0] // 3
                out[f'{base}attn.q.{kind}'], out[f'{base}attn.kv.{kind}'] = value[:width], value[width:]
                continue
            theirs = next((rest.replace(b, a, 1) for a, b in _BLOCK.items() if rest.startswith(b)), None)
            if theirs is None:
                raise UserError(f'Tensor {key!r} has no counterpart in the official encoder; give a segmentor with a MixVisionTransformer.')
            out[base + theirs] = value.flatten(1) if rest in _AS_CONV else value
    return out
