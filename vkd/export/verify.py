"""Whether a graph computes what its network does: both run on the same inputs, of every kind that the graph claims to take."""

import numpy as np
import torch
import torch.nn.functional as F

#: largest difference of the outputs, over the largest logit where that is above 1, at which a graph counts as equal
TOLERANCE = 1e-4


def example(model, channels, text):
    """``draw(batch, height, width, classes=3)``, the named inputs of one run on noise from one stream: ``image``, and unit rows of ``text``
    where the graph takes them.
    """
    device = next(model.parameters()).device
    random = torch.Generator().manual_seed(0)

    def draw(b, h, w, k=3):
        rows = (
            dict(text=F.normalize(torch.randn(k, model.decode_head.embed.out_channels, generator=random), dim=1).to(device)) if text else {}
        )
        return dict(image=torch.randn(b, channels, h, w, generator=random).to(device), **rows)

    return draw


def worst_difference(network, graph, draw, size, any_size):
    """Largest ``difference`` of ``network`` and the bytes ``graph`` over inputs of ``draw``: other batches and numbers of classes, and
    other sizes than ``size`` where it takes them.
    """
    import onnxruntime

    session, (h, w) = onnxruntime.InferenceSession(graph, providers=['CPUExecutionProvider']), size
    kinds = [(2, (h, w), 3), (1, (h, w), 1), (3, (h, w), 5)] + [(1, (h + 32, w + 64), 3), (2, (h + 24, w + 8), 4)] * any_size
    return np.max([difference(network, session, draw(b, *s, k)) for b, s, k in kinds])  # not max(), which loses a nan


@torch.no_grad()
def difference(network, session, example):
    """Largest difference of the two runtimes, over the largest logit where that is above 1; infinite for outputs of unlike shapes."""
    ours = network(*example.values()).cpu().numpy()
    theirs = session.run(None, {k: v.cpu().numpy() for k, v in example.items()})[0]
    return float(np.abs(ours - theirs).max() / max(1, np.abs(ours).max())) if ours.shape == theirs.shape else np.inf
