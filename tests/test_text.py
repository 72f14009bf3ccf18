"""Text embeddings and CLIP weights, with CLIPs of two layers; the real architecture is built once."""

import importlib.util
import json
import warnings

import numpy as np
import open_clip
import pytest
import torch
from helpers import ROOT
from mmseg.datasets import COCOStuffDataset, PascalVOCDataset
from safetensors.torch import load_file, save_file
from torch.nn.functional import normalize

from vkd import UserError
from vkd.commands.line import command
from vkd.models.clip import clip_embeddings, convert_archive, is_torchscript, load_clip, openai_mark
from vkd.text.embeddings import TextEmbeddings, _digest, load_text_embeddings, save_text_embeddings, synthetic_embeddings
from vkd.text.prompts import TEMPLATES, encode_classes, prompts
from vkd.text.zegclip import CAMVID_ROWS, from_zegclip
from vkd.text.zero_shot import class_names

TINY = dict(
    embed_dim=16,
    vision_cfg=dict(image_size=32, layers=2, width=64, patch_size=16),
    text_cfg=dict(context_length=77, vocab_size=49408, width=64, heads=1, layers=2),
)
ANIMALS = ('cat', 'dog', 'giraffe')
COCO, VOC = COCOStuffDataset.METAINFO['classes'], PascalVOCDataset.METAINFO['classes'][1:]


@pytest.fixture(scope='module', autouse=True)
def tiny_clips(tmp_path_factory):
    """open_clip knows the models tiny and tiny-quickgelu while these tests run."""
    folder, before = tmp_path_factory.mktemp('clips'), list(open_clip.factory._MODEL_CONFIG_PATHS)
    for name, quick in (('tiny', False), ('tiny-quickgelu', True)):
        (folder / f'{name}.json').write_text(json.dumps(dict(TINY, quick_gelu=quick)))
    open_clip.add_model_config(folder)
    yield
    open_clip.factory._MODEL_CONFIG_PATHS[:] = before
    open_clip.factory._rescan_model_configs()
    for name in ('tiny', 'tiny-quickgelu'):
        open_clip.factory._MODEL_CONFIGS.pop(name, None)


@pytest.fixture(scope='module')
def weights(tmp_path_factory, tiny_clips):
    torch.manual_seed(0)
    model, path = load_clip('tiny-quickgelu', random=True), tmp_path_factory.mktemp('weights') / 'clip.pt'
    torch.save(dict(state_dict=model.state_dict()), path)
    return model, path


@pytest.fixture(scope='module')
def archive(tmp_path_factory, weights):
    """A TorchScript archive of the official layout: half-precision matrices, and three buffers beside the weights."""
    model, path = open_clip.CLIP(**TINY, quick_gelu=True).eval(), tmp_path_factory.mktemp('archive') / 'ViT-T-16.pt'
    model.load_state_dict(weights[0].state_dict())
    for name, value in dict(input_resolution=32, context_length=77, vocab_size=49408).items():
        model.__dict__.pop(name, None)
        model.register_buffer(name, torch.tensor(value))
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        traced = torch.jit.trace_module(model, dict(encode_image=torch.ones(1, 3, 32, 32)))
    for name, p in traced.named_parameters():
        if p.ndim > 1 and 'embedding' not in name:
            p.data = p.data.half()
    torch.jit.save(traced, path)
    return path


def emb(classes=ANIMALS, width=8, **more):
    rows = normalize(torch.randn(len(classes), width, generator=torch.Generator().manual_seed(1)), dim=1)
    return TextEmbeddings(
        rows, **{**dict(classes=classes, templates='single', clip='tiny-quickgelu', checkpoint_sha256='ab', source='a test'), **more}
    )


# -- prompts and encoding --------------------------------------------------------------------------------------------------
def test_template_sets():
    assert prompts('cat') == ['a photo of a cat']
    many = prompts('cat', 'multi15')
    assert (
        len(set(many)) == 15
        and many[:2] == ['a photo of a cat.', 'a photo of a small cat.']
        and many[4] == 'This is a photo of a cat.'
        and many[14] == 'This is one cat in the scene.'
    )
    assert sum(s.endswith('in the scene.') for s in many) == 7 and all(s.endswith('.') for s in many)
    assert {k: len(v) for k, v in TEMPLATES.items()} == dict(single=1, multi15=15, vild=14, imagenet=80) and set(TEMPLATES['vild']) != set(
        TEMPLATES['multi15']
    )
    assert prompts('a {} b', ['x {}']) == ['x a {} b']
    for wrong, told in (('multi', 'unknown'), (['no place'], 'no place for the class'), ([], 'empty')):
        with pytest.raises(UserError, match=told):
            prompts('cat', wrong)


def test_the_tokenizer_reads_what_the_specification_says():
    tokenizer = open_clip.tokenizer.SimpleTokenizer()
    assert tokenizer('a photo of a cat')[0, :8].tolist() == [49406, 320, 1125, 539, 320, 2368, 49407, 0] and tokenizer('x').shape == (1, 77)
    assert tokenizer.encode('pottedplant') == [3547, 4841, 3912]


def test_each_template_is_normalised_before_the_mean(weights):
    model = weights[0]
    got = encode_classes(model, ANIMALS, 'multi15', names=dict(dog='hot dog'))
    with torch.no_grad():
        for row, name in zip(got, ('cat', 'hot dog', 'giraffe'), strict=False):
            each = model.encode_text(open_clip.tokenize(prompts(name, 'multi15')))
            mean = sum(e / e.norm() for e in each) / 15
            assert torch.allclose(row, mean / mean.norm(), atol=1e-6) and not torch.allclose(
                row, each.mean(0) / each.mean(0).norm(), atol=1e-7
            )
    assert got.dtype == torch.float32 and got.shape == (3, 16) and torch.allclose(got.norm(dim=1), torch.ones(3)) and not got.requires_grad
    with pytest.raises(UserError, match="'dogs' is none of the 3 classes; nearest: 'dog'"):
        encode_classes(model, ANIMALS, names=dict(dogs='x'))
    with pytest.raises(UserError, match='tokens, but the CLIP reads 75'):
        encode_classes(model, ['cat ' * 80])


def test_classes_of_a_clip(weights):
    model, path = weights
    got = clip_embeddings('tiny-quickgelu', path, ANIMALS, names=dict(dog='hot dog'))
    assert torch.equal(got.embeddings, encode_classes(model, ANIMALS, names=dict(dog='hot dog'))) and not got.synthetic
    assert (got.clip, got.templates, len(got.checkpoint_sha256)) == ('tiny-quickgelu', 'single', 64) and 'dog=hot dog' in got.source


def test_synthetic_rows_are_seeded_and_marked():
    a, b, c = (synthetic_embeddings(ANIMALS, 512, s) for s in (0, 0, 1))
    assert torch.equal(a.embeddings, b.embeddings) and not torch.equal(a.embeddings, c.embeddings) and a.synthetic and a.clip == 'synthetic'
    assert (a.embeddings @ a.embeddings.T - torch.eye(3)).abs().max() < 0.2


# -- the cache -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize('name', ['t.safetensors', 't.pt'])
def test_a_cache_comes_back_whole(tmp_path, name):
    for one in (emb(), synthetic_embeddings(ANIMALS, 8)):
        save_text_embeddings(tmp_path / name, one)
        got = load_text_embeddings(tmp_path / name, classes=list(ANIMALS), clip='tiny-quickgelu', width=8)
        assert torch.equal(got.embeddings, one.embeddings) and vars(got) | dict(embeddings=0) == vars(one) | dict(embeddings=0)


def edited(path, **change):
    """The file with other facts, and its old hash."""
    if path.suffix == '.pt':
        torch.save({**torch.load(path, weights_only=True), **change}, path)
    else:
        from safetensors import safe_open

        with safe_open(path, 'pt') as file:
            facts = file.metadata()
        rows = change.pop('embeddings', load_file(path)['embeddings'])
        save_file(dict(embeddings=rows), path, {**facts, **{k: v if isinstance(v, str) else json.dumps(v) for k, v in change.items()}})


@pytest.mark.parametrize('name', ['t.safetensors', 't.pt'])
@pytest.mark.parametrize(
    'change',
    [
        dict(embeddings=-emb().embeddings),
        dict(clip='ViT-B-16'),
        dict(synthetic=True),
        dict(classes=['cat', 'giraffe', 'dog']),
        dict(templates='vild'),
        dict(source='x'),
    ],
    ids=lambda c: next(iter(c)),
)
def test_a_tampered_cache_is_found(tmp_path, name, change):
    save_text_embeddings(tmp_path / name, emb())
    edited(tmp_path / name, **change)
    with pytest.raises(UserError, match='do not match their own hash') as error:
        load_text_embeddings(tmp_path / name)
    assert name in str(error.value) and '\n' not in str(error.value)


@pytest.mark.parametrize(
    'asked, told',
    [
        (dict(classes=('cat', 'dog')), "of 3 other classes than the 2 of the data ('giraffe' is none of them)"),
        (dict(classes=('cat', 'dog', 'zebra')), "'zebra' has no row"),
        (dict(classes=('cat', 'giraffe', 'dog')), "another order (row 1 is 'dog', class 1 of the data is 'giraffe')"),
        (dict(clip='ViT-B-16'), "of CLIP 'tiny-quickgelu', but the model uses 'ViT-B-16'"),
        (dict(width=512), "8 wide, but the model's are 512 wide"),
    ],
    ids=['fewer', 'others', 'order', 'clip', 'width'],
)
def test_a_cache_of_something_else_is_refused(tmp_path, asked, told):
    save_text_embeddings(tmp_path / 't.safetensors', emb())
    with pytest.raises(UserError) as error:
        load_text_embeddings(tmp_path / 't.safetensors', **asked)
    assert told in str(error.value) and 't.safetensors' in str(error.value) and '\n' not in str(error.value)


def test_rows_that_are_no_embeddings():
    rows = emb().embeddings
    for given, told in (
        (dict(embeddings=rows * 1.01), "'cat' has length 1.01"),
        (dict(embeddings=rows * torch.nan), 'length nan'),
        (dict(embeddings=rows.half()), 'float16 of shape (3, 8)'),
        (dict(embeddings=rows[:2]), '2 rows for 3 classes'),
        (dict(classes=('a', 'b', 'a')), "'a' twice"),
        (dict(embeddings=[1]), 'list'),
    ):
        with pytest.raises(UserError) as error:
            TextEmbeddings(**{**vars(emb()), **given})
        assert told in str(error.value)


def test_a_file_with_wrong_rows_and_a_right_hash(tmp_path):
    save_text_embeddings(tmp_path / 't.pt', emb())
    wrong = emb()
    wrong.embeddings.mul_(2)
    edited(tmp_path / 't.pt', embeddings=wrong.embeddings, hash=_digest(wrong))
    with pytest.raises(UserError, match='t.pt.*length 2'):
        load_text_embeddings(tmp_path / 't.pt')


def test_files_that_are_no_cache(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'a.safetensors').write_bytes(b'no')
    (tmp_path / 'a.pt').write_bytes(b'no')
    save_file(dict(embeddings=torch.ones(2, 2)), tmp_path / 'b.safetensors')
    torch.save(dict(embeddings=torch.ones(2, 2)), tmp_path / 'b.pt')
    torch.save(dict(format='vkd.text_embeddings.1', embeddings=emb().embeddings), tmp_path / 'c.pt')
    torch.save(dict(format='vkd.text_embeddings.1', embeddings=Command()), tmp_path / 'd.pt')
    (tmp_path / 'e.npy').write_bytes(b'')
    for name, told in (
        ('a.safetensors', 'cannot be read'),
        ('a.pt', 'cannot be read'),
        ('b.safetensors', 'holds no text embeddings'),
        ('b.pt', 'holds no text embeddings'),
        ('c.pt', "incomplete ('classes')"),
        ('d.pt', 'cannot be read'),
        ('e.npy', 'neither .safetensors nor .pt'),
        ('nowhere.pt', 'do not exist'),
    ):
        with pytest.raises(UserError) as error:
            load_text_embeddings(tmp_path / name)
        assert told in str(error.value) and name in str(error.value) and '\n' not in str(error.value)
    assert not (tmp_path / 'ran').exists()  # nothing in a file is run
    torch.load(tmp_path / 'd.pt', weights_only=False)
    assert (tmp_path / 'ran').exists()
    with pytest.raises(UserError, match='neither'):
        save_text_embeddings(tmp_path / 'x.bin', emb())


class Command:
    """Unpickled without care, it runs."""

    def __reduce__(self):
        return exec, ("import pathlib; pathlib.Path('ran').touch()",)


# -- the published arrays --------------------------------------------------------------------------------------------------
def array(tmp_path, rows=20, name='voc12_single.npy', width=16):
    values = np.random.default_rng(0).normal(size=(rows, width))
    values = (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float16)
    np.save(tmp_path / name, values)
    return tmp_path / name, torch.from_numpy(values.astype(np.float32))


def test_rows_of_a_published_array(tmp_path):
    path, values = array(tmp_path)
    got = from_zegclip(path, VOC)
    assert (
        got.classes == VOC
        and got.templates == 'single'
        and got.clip == 'ViT-B-16-quickgelu'
        and torch.allclose(got.embeddings, values, atol=1e-3)
    )
    some = from_zegclip(path, {'Car': 'car', 'person': 'person', 'Rider': ('person', 'bicycle')})
    mean = got.embeddings[VOC.index('person')] + got.embeddings[VOC.index('bicycle')]
    assert torch.equal(some.embeddings[0], got.embeddings[VOC.index('car')]) and torch.allclose(
        some.embeddings[2], mean / mean.norm(), atol=1e-6
    )
    assert 'Car=car' in some.source and 'Rider=mean of person and bicycle' in some.source and 'person=' not in some.source
    coco = from_zegclip(array(tmp_path, 171, 'coco_multi.npy')[0], CAMVID_ROWS)
    assert (
        coco.templates == 'multi15'
        and coco.classes == tuple(CAMVID_ROWS)
        and from_zegclip(array(tmp_path, 3, 'x.npy')[0], ['b'], classes_of='abc').classes == ('b',)
    )


def test_arrays_that_are_no_embeddings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path, values = array(tmp_path)
    np.save(tmp_path / 'ints.npy', np.ones((20, 4), int))
    np.save(tmp_path / 'long.npy', values.numpy() * 1.1)
    np.save(tmp_path / 'objects.npy', np.array([Command()], object), allow_pickle=True)
    np.savez(tmp_path / 'many.npy', a=values.numpy())
    (tmp_path / 'many.npy.npz').rename(tmp_path / 'many.npy')
    for name, told in (
        ('ints.npy', 'int64 of shape (20, 4)'),
        ('long.npy', ') has length 1.1'),
        ('objects.npy', 'cannot be read'),
        ('many.npy', 'an archive'),
        ('nowhere.npy', 'does not exist'),
    ):
        with pytest.raises(UserError) as error:
            from_zegclip(tmp_path / name, VOC)
        assert told in str(error.value) and name in str(error.value)
    with pytest.raises(UserError, match='19 rows, which are not the 20 classes of VOC nor the 171'):
        from_zegclip(array(tmp_path, 19, 'short.npy')[0], VOC)
    with pytest.raises(UserError, match="'Sofa' asks for row 'soffa'.*nearest: 'sofa'"):
        from_zegclip(path, dict(Sofa='soffa'))


def test_the_real_arrays(zegclip):
    voc, coco = from_zegclip(zegclip / 'voc12_single.npy', VOC), from_zegclip(zegclip / 'coco_single.npy', COCO)
    for name in ('person', 'car', 'cat', 'train', 'sheep'):  # one CLIP and one template: the two files must agree
        assert voc.embeddings[VOC.index(name)] @ coco.embeddings[COCO.index(name)] > 0.999
    camvid = from_zegclip(zegclip / 'coco_single.npy', CAMVID_ROWS)
    alike = camvid.embeddings @ camvid.embeddings.T - torch.eye(11)
    assert alike.max() < 0.9  # no class stands on another's row
    multi = from_zegclip(zegclip / 'coco_multi.npy', COCO)
    assert multi.templates == 'multi15' and 0.7 < (multi.embeddings * coco.embeddings).sum(1).min() < 0.999


# -- CLIP ------------------------------------------------------------------------------------------------------------------
def test_weights_of_a_file_reproduce_the_model(weights, tmp_path):
    model, path = weights
    again = load_clip('tiny-quickgelu', path)
    assert not again.training and all(
        torch.equal(a, b) for a, b in zip(model.state_dict().values(), again.state_dict().values(), strict=False)
    )
    save_file({f'module.{k}': v.half().contiguous() for k, v in model.state_dict().items()}, tmp_path / 'half.safetensors')
    assert {p.dtype for p in load_clip('tiny', tmp_path / 'half.safetensors').parameters()} == {torch.float32}


def test_a_clip_without_its_weights_is_an_error(weights, tmp_path):
    model, path = weights
    state = model.state_dict()
    torch.save({k: v for k, v in state.items() if k != 'visual.proj'}, tmp_path / 'less.pt')
    torch.save({**state, 'visual.proj': torch.ones(64, 8)}, tmp_path / 'other.pt')
    for call, told in (
        (dict(name='tiny-quickgelu'), 'has no checkpoint'),
        (dict(name='tiny-quickgelu', checkpoint=path, random=True), 'one of the two'),
        (dict(name='ViT-B-61', checkpoint=path), 'unknown to open_clip'),
        (dict(name='tiny', checkpoint=tmp_path / 'no.pt'), 'does not exist'),
        (dict(name='tiny', checkpoint=tmp_path / 'less.pt'), "not 'visual.proj': no such key"),
        (dict(name='tiny', checkpoint=tmp_path / 'other.pt'), 'shape (64, 8) for (64, 16)'),
        (dict(name='xlm-roberta-base-ViT-B-32', checkpoint=path), 'hub'),
    ):
        with pytest.raises(UserError) as error:
            load_clip(**call)
        assert told in str(error.value) and '\n' not in str(error.value)


def test_marks_of_openai(weights, tmp_path):
    state = weights[0].state_dict()
    assert openai_mark(state, None, 'clip.pt') is None
    assert 'input_resolution' in openai_mark(
        {**state, **{k: torch.tensor(1) for k in ('input_resolution', 'context_length', 'vocab_size')}}
    )
    assert (
        'precisions' in openai_mark({k: v.half() if k.endswith('attn.in_proj_weight') else v for k, v in state.items()})
        and openai_mark({k: v.half() for k, v in state.items()}) is None
    )
    torch.save(state, tmp_path / 'vit_openai.bin')
    with pytest.raises(UserError, match="exact GELU.*its name holds 'openai'.*QuickGELU.*use tiny-quickgelu"):
        load_clip('tiny', tmp_path / 'vit_openai.bin')
    assert load_clip('tiny', tmp_path / 'vit_openai.bin', openai=False) and load_clip('tiny-quickgelu', tmp_path / 'vit_openai.bin')
    with pytest.raises(UserError, match='openai=True'):
        load_clip('tiny', weights[1], openai=True)


def test_the_two_gelus_differ_silently(weights):
    image = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        a, b = (load_clip(name, weights[1]).encode_image(image) for name in ('tiny', 'tiny-quickgelu'))
    assert (a - b).abs().max() > 1e-5  # the reason for refusing


def test_an_official_archive_is_converted_once(archive, weights, tmp_path):
    assert is_torchscript(archive) and not is_torchscript(weights[1])
    with pytest.raises(UserError, match='TorchScript archive.*vkd convert clip'):
        load_clip('tiny-quickgelu', archive)
    tool, target = load_tool('converters/clip'), tmp_path / 'clip.safetensors'
    with pytest.raises(SystemExit, match='runs code.*--run-archive-code'):
        command(tool.main, tool.arguments(), [str(archive), str(target)])
    assert not target.exists()
    command(tool.main, tool.arguments(), [str(archive), str(target), '--run-archive-code'])
    model = load_clip('tiny-quickgelu', target)
    stored = load_file(target)
    assert {str(v.dtype) for v in stored.values()} == {'torch.float16', 'torch.float32'} and all(
        p.dtype == torch.float32 for p in model.parameters()
    )
    assert all(torch.equal(v, weights[0].state_dict()[k].to(stored[k].dtype).float()) for k, v in model.state_dict().items())
    with pytest.raises(UserError, match='the converter marked it so'):
        load_clip('tiny', target)
    with pytest.raises(UserError, match='the converter marked it so'):
        clip_embeddings('tiny', target, ANIMALS)
    with pytest.raises(UserError, match='no TorchScript archive'):
        convert_archive(weights[1], target)
    with pytest.raises(UserError, match='end in .safetensors'):
        convert_archive(archive, tmp_path / 'x.pt')
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2)), tmp_path / 'linear.pt')
    with pytest.raises(UserError, match="not of the layout.*'input_resolution'"):
        convert_archive(tmp_path / 'linear.pt', target)


def test_the_real_architecture():
    """ViT-B/16 in open_clip's names: its image tower by hand, and split in two at any block."""
    model = load_clip('ViT-B-16-quickgelu', random=True)
    tower, image = model.visual, torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    blocks, count = tower.transformer.resblocks, lambda m: sum(p.numel() for p in m.parameters())
    assert (count(blocks[-1]), count(tower.ln_post), tower.proj.numel(), count(tower)) == (
        7_087_872,
        1_536,
        393_216,
        86_192_640,
    ) and tower.transformer.batch_first
    with torch.no_grad():
        x = tower._embeds(image)
        states = [x]
        for block in blocks:
            states.append(block(states[-1]))
        out = tower.ln_post(states[-1])[:, 0] @ tower.proj
        assert torch.allclose(out, model.encode_image(image), atol=1e-5)
        for k in (0, 1, 3):
            y = states[12 - k]
            for block in blocks[12 - k :]:
                y = block(y)
            assert torch.equal(y, states[-1])


# -- the tool --------------------------------------------------------------------------------------------------------------
def load_tool(name):
    spec = importlib.util.spec_from_file_location(name.replace('/', '_'), ROOT / f'tools/{name}.py')
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool


def cache(*options):
    tool = load_tool('cache_text_embeddings')
    return command(tool.main, tool.arguments(), [str(o) for o in options])


def test_the_tool(weights, tmp_path, capsys):
    out = tmp_path / 'o.safetensors'
    cache(
        '--classes',
        'cat,hot dog',
        '--clip',
        'tiny-quickgelu',
        '--checkpoint',
        weights[1],
        '--templates',
        'multi15',
        '--name',
        'cat=tabby cat',
        '--out',
        out,
    )
    got = load_text_embeddings(out, ('cat', 'hot dog'), 'tiny-quickgelu', 16)
    assert torch.equal(got.embeddings, encode_classes(weights[0], ('tabby cat', 'hot dog'), 'multi15')) and got.templates == 'multi15'
    cache('--classes', 'voc20', '--synthetic', '--seed', 3, '--width', 24, '--out', tmp_path / 's.pt')
    assert load_text_embeddings(tmp_path / 's.pt', VOC, width=24).synthetic and 'SYNTHETIC' in capsys.readouterr().out
    path, _ = array(tmp_path, 171, 'coco_single.npy')
    cache('--classes', 'camvid', '--from-zegclip', path, '--rows', 'Pole=metal + railing', '--out', out)
    got = load_text_embeddings(out, class_names('camvid'))
    assert 'Pole=mean of metal and railing' in got.source and 'Sky=sky-other' in got.source


@pytest.mark.parametrize(
    'options, told',
    [
        (['--classes', 'voc12', '--synthetic'], "'voc12' is neither known"),
        (['--classes', ',', '--synthetic'], 'holds no name'),
        (['--classes', 'voc20', '--clip', 'ViT-B-16'], 'needs --checkpoint'),
        (['--classes', 'a,a', '--synthetic'], "'a' twice"),
        (['--classes', 'voc20', '--synthetic', '--rows', 'a=b'], '--rows belongs to --from-zegclip'),
        (['--classes', 'voc20', '--from-zegclip', 'x.npy', '--rows', 'sofa'], 'not of the form'),
        (['--classes', 'voc20', '--from-zegclip', 'x.npy', '--rows', 'Sky=sky-other'], "'Sky', which is none of the classes"),
        (['--classes', 'voc20', '--from-zegclip', 'x.npy'], 'does not exist'),
    ],
)
def test_what_the_tool_refuses(tmp_path, options, told):
    with pytest.raises(SystemExit) as error:
        cache(*options, '--out', tmp_path / 'o.pt')
    assert told in str(error.value) and not (tmp_path / 'o.pt').exists()


def test_class_lists(tmp_path):
    (tmp_path / 'c.txt').write_text('sofa\n\nhot dog \n')
    assert (
        class_names(str(tmp_path / 'c.txt')) == ('sofa', 'hot dog')
        and class_names('sofa,') == ('sofa',)
        and class_names('a, b c') == ('a', 'b c')
        and class_names('coco-stuff') == COCO
    )
