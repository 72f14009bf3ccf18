"""A network as an ONNX graph."""

import io
import logging
import warnings

import torch
import torch.nn.functional as F
from mmseg.models.segmentors import BaseSegmentor
from torch import nn

from ..build.networks import forward_features
from ..errors import UserError
from ..models.clip_embedding import ClipEmbedding
from ..models.heads.clip_semantic import ClipSemanticHead
from ..models.restorers import Restorer
from .verify import TOLERANCE, example, worst_difference


class Logits(nn.Module):
    """``image [B, C, H, W]`` -> the network's output; a segmentor's logits are resized to the image, as mmseg does before its argmax.

    ``text [K, D]``, where given, stands in for the rows of its ``ClipSemanticHead``.
    """

    def __init__(self, model):
        super().__init__()
        self.model, self.output = model, 'restored' if isinstance(model, Restorer) else 'logits'

    def forward(self, image, text=None):
        """What the exported graph gives for ``image [B, C, H, W]`` (and, where classes are an input of it, their vectors ``text``)."""
        if text is not None:
            return self._with(text, image)
        logits = forward_features(self.model, image)
        if not isinstance(self.model, BaseSegmentor):
            return logits
        if isinstance(getattr(self.model, 'decode_head', None), ClipSemanticHead):
            logits = self.model.decode_head.biased(logits)
        return F.interpolate(logits, size=image.shape[-2:], mode='bilinear', align_corners=self.model.align_corners)

    def _with(self, text, image):
        rows = self.model.decode_head.conv_seg._buffers
        own, rows['text'] = rows['text'], text
        try:
            return self(image)
        finally:
            rows['text'] = own


def to_onnx(model, size, channels=3, text=False):
    """``(bytes of an ONNX file, facts)`` of ``model`` traced at ``size = (H, W)``; facts: exporter, opset, batch and size ('any' or
    numbers), difference.

    torch has two exporters and neither does all networks: the tracing one is quick but may bake sizes in without a word, the other is slow
    and knows more. So each graph is run against torch at every kind of input that it claims to take, and the first that agrees is kept.
    ``text``: the rows of a ``ClipSemanticHead`` are an input, of any number of classes.
    """
    try:
        import onnx
        import onnxruntime  # noqa: F401  asked for here, before the work of tracing
    except ImportError as error:
        raise UserError(f'Export to ONNX needs {error.name}; run pip install onnx onnxscript onnxruntime.') from error
    if text:
        _check_text(model)
    network, (h, w) = Logits(model).eval(), size
    draw = example(model, channels, text)
    first = draw(2, h, w)
    reasons = []
    for any_size, dynamo in [(True, False), (True, True)] * (not is_rigid(model)) + [(False, False), (False, True)]:
        try:
            graph = _trace(network, first, _axes(any_size, text), dynamo)
            worst = worst_difference(network, graph, draw, size, any_size)
        except Exception as error:  # the exporters and the runtime each raise their own kinds
            reasons.append(f'{type(error).__name__}: {" ".join(str(error).split())[:160]}')
            continue
        if worst <= TOLERANCE:
            return graph, dict(
                exporter='dynamo' if dynamo else 'trace',
                opset=onnx.load_model_from_string(graph).opset_import[0].version,
                batch='any',
                size='any' if any_size else [h, w],
                input='image',
                **(dict(text='float32 [K, D], rows of length 1, any K') if text else {}),
                output=network.output,
                output_size='of the image' if isinstance(model, BaseSegmentor) else 'of the network',
                difference=float(worst),
                tolerance=TOLERANCE,
            )
        reasons.append(f'its output differs by {worst:.2g}')
    raise UserError(
        f'{type(model).__name__} cannot be exported to ONNX at {h}x{w} ({reasons[-1]}); try another --shape, or export without --onnx.'
    )


def _check_text(model):
    """Raises UserError where the graph of ``model`` cannot take text as an input."""
    if not isinstance(getattr(model, 'decode_head', None), ClipSemanticHead):
        raise UserError(f'{type(model).__name__} has no ClipSemanticHead, so its graph cannot take text; leave out --text-input.')
    if model.decode_head.seen_bias:
        raise UserError(
            'seen_bias belongs to the classes of the run, and a graph with text as an input has none of its own; set seen_bias to 0, or '
            'leave out --text-input.'
        )


def is_rigid(model):
    """Whether padding, pooling or a limit of tokens is worked out from the size of the map, so that no graph is right at all sizes."""
    return any(
        isinstance(m, ClipEmbedding)
        or type(m).__name__.endswith('Same')
        or isinstance(m, nn.AdaptiveAvgPool2d)
        and m.output_size not in (1, (1, 1))
        for m in model.modules()
    )


def _axes(any_size, text):
    """``{input: {axis: name}}`` of the axes that may have another length than in the traced example."""
    image = {0: 'batch', **({2: 'height', 3: 'width'} if any_size else {})}
    return dict(image=image, **(dict(text={0: 'classes'}) if text else {}))


def _trace(network, example, axes, dynamo):
    """The bytes of one attempt, without the exporters' talk."""
    level = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter('ignore')
            names = dict(input_names=list(example), output_names=[network.output])
            if dynamo:
                program = torch.onnx.export(
                    network, tuple(example.values()), dynamo=True, dynamic_shapes=tuple(axes.values()), verbose=False, **names
                )
                return program.model_proto.SerializeToString()
            file = io.BytesIO()
            torch.onnx.export(
                network,
                tuple(example.values()),
                file,
                dynamo=False,
                dynamic_axes={**axes, network.output: {**axes['image'], **({1: 'classes'} if 'text' in axes else {})}},
                opset_version=17,
                **names,
            )
            return file.getvalue()
    finally:
        logging.disable(level)
