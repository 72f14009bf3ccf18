"""Every registered method with its variants and options, as configs for the networks of ``helpers.networks``."""

import inspect

from vkd import METHODS

#: what a method needs beyond its defaults on these networks; InfoNCE depends on how many images all processes hold, which is tested apart
_SCORES = dict(student='decode_head.conv_seg', teacher='decode_head.conv_seg')
OPTIONS = dict(
    GloReDi=dict(_SCORES, memory_size=4),
    ChimeraSeg=dict(student='backbone[3]', teacher='backbone[3]', mode='cosine'),
    OutputKD=_SCORES,
    WaveletKD=_SCORES,
    # of two places, the deepest stage, an L1 between affinities is all kink
    FAKD=dict(student='backbone[0]', teacher='backbone[0]'),
)


#: cases of a method beside its variants: options by which other parameters of it learn, or other terms are there
OPTION_CASES = {
    'TransKD:base, one stage': dict(embedding_stage=1),
    'TransKD:base, no stage': dict(embedding_stage=0),
    'TransKD:gl, without the deepest': dict(variant='gl', embedding_weights=(0.1, 0.1, 0.5, 0.0)),
    'TransKD:ea, one stage': dict(variant='ea', embedding_stage=2),
    # a batch norm over two pooled values is all sign: of 64 channels with these initial weights, bfloat16 turns some round
    'TransKD:base, two squeezes': dict(legacy_batch1=True, mid_channels=32),
    'GKD:no mask': dict(mask_weight=0),
    'GKD:mask alone': dict(feat_weight=0, cls_weight=0),
    'CTCL:pixels alone': dict(hfd_weight=0, region_weight=0),
    'CTCL:low layers alone': dict(region_weight=0, pixel_weight=0),
    'FeatureKD:at': dict(loss='at'),
    'FitNet:two pairs': dict(student=['backbone[2]', 'backbone[3]'], teacher=['backbone[2]', 'backbone[3]']),
    'KDCL:general': dict(mode='general'),
}


def method(name):
    """A config of a registered method: its defaults, and the deepest stage for taps that have none; ``name`` may end in ``:variant``, or be
    one of ``OPTION_CASES``.
    """
    more = OPTION_CASES.get(name)
    name, _, variant = name.partition(':')
    more = (dict(variant=variant) if variant else {}) if more is None else more
    needed = {
        k: 'backbone[3]'
        for k, p in inspect.signature(METHODS.get(name)).parameters.items()
        if k in ('student', 'teacher') and p.default is p.empty
    }
    return dict(type=name, **{**needed, **OPTIONS.get(name, {}), **more})


#: every registered method, each of its variants, and each case of its options
METHOD_CASES = [
    case
    for n in sorted(METHODS.module_dict)
    for case in (
        *(f'{n}:{v}' if v else n for v in getattr(METHODS.get(n), 'variants', [''])),
        *(case for case in OPTION_CASES if case.partition(':')[0] == n),
    )
]
